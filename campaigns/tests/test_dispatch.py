from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase

from accounts import suppression
from calls import services as calls
from calls.factories import CallFactory
from calls.models import Call
from campaigns import outcomes, services
from campaigns.dispatch import AT_ONCE, dispatch, dispatch_all
from campaigns.factories import (
    CampaignFactory,
    RecipientFactory,
    people,
)
from campaigns.models import Campaign, RecipientCall
from campaigns.tests.running import ROOMY, end, states

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign() -> Campaign:
    return CampaignFactory.create(account__max_concurrent_calls=ROOMY)


# --- placing --------------------------------------------------------------------------------------


def test_each_person_becomes_one_call_with_their_own_words(campaign: Campaign):
    campaign.prompt, campaign.metadata = "For all.", {"batch": 1, "of": "all"}
    campaign.save()
    first = RecipientFactory.create(
        campaign=campaign, variables={"name": "Ann"}, metadata={"of": "Ann"}
    )
    second = RecipientFactory.create(campaign=campaign, prompt_override="For Bob.")

    assert dispatch(campaign.pk) == 2

    one, two = Call.objects.order_by("pk")
    assert (one.to_number, one.prompt, one.variables) == (first.phone, "For all.", {"name": "Ann"})
    assert one.metadata == {"batch": 1, "of": "Ann"}
    assert (two.to_number, two.prompt) == (second.phone, "For Bob.")
    assert {one.campaign_id, two.campaign_id} == {campaign.campaign_id}
    assert (one.from_number, one.agent) == (campaign.from_number, campaign.agent)
    first.refresh_from_db()
    assert (first.status, first.attempts) == ("calling", 1)
    assert RecipientCall.objects.get(recipient=first).call == one


def test_a_second_dispatcher_finds_nobody_left(campaign: Campaign):
    people(campaign, 3)

    assert [dispatch(campaign.pk), dispatch(campaign.pk)] == [3, 0]

    assert Call.objects.count() == 3


@pytest.mark.parametrize("status", sorted(set(Campaign.Status.values) - {"running"}))
def test_only_a_running_campaign_calls(status: str):
    ended = timezone.now() if status in {"completed", "canceled", "failed"} else None
    campaign = CampaignFactory.create(
        status=status, ended_at=ended, starts_at=timezone.now() + timedelta(days=1)
    )
    people(campaign, 1)

    assert dispatch(campaign.pk) == 0
    assert dispatch_all() == 0

    assert not Call.objects.exists()


@pytest.mark.parametrize(
    ("switch", "words"), [("account", "account is not active"), ("agent", "Set its is_active")]
)
def test_a_campaign_whose_account_or_agent_is_switched_off_pauses(
    campaign: Campaign, switch: str, words: str
):
    people(campaign, 1)
    switched: Any = getattr(campaign, switch)
    switched.is_active = False
    switched.save()

    assert dispatch(campaign.pk) == 0

    campaign.refresh_from_db()
    assert (campaign.status, states(campaign)) == ("paused", {"pending": 1})
    assert words in campaign.status_reason


def test_a_call_that_cannot_be_placed_leaves_its_person_uncalled(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
):
    people(campaign, 2)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("down")

    with monkeypatch.context() as patch:
        patch.setattr("campaigns.dispatch.place_calls", broken)
        assert dispatch_all() == 0

    assert states(campaign) == {"pending": 2}
    assert dispatch_all() == 2


def test_a_campaign_that_cannot_start_does_not_hold_up_the_others(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
):
    CampaignFactory.create(status="scheduled", starts_at=timezone.now())
    people(campaign, 2)

    def broken(*_: Any) -> None:
        raise RuntimeError("down")

    monkeypatch.setattr("campaigns.dispatch.start_if_due", broken)
    assert dispatch_all() == 2


@pytest.mark.django_db(transaction=True)
def test_ten_dispatchers_at_once_call_everybody_once():
    campaigns = [
        CampaignFactory.create(account__max_concurrent_calls=ROOMY),
        CampaignFactory.create(account__max_concurrent_calls=ROOMY),
    ]
    for campaign in campaigns:
        people(campaign, 60)

    def work(_: int) -> int:
        try:
            return dispatch_all()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        placed = sum(pool.map(work, range(10)))
    placed += dispatch_all()  # whom all ten left to each other

    assert placed == 120
    assert Call.objects.count() == 120
    assert len(set(Call.objects.values_list("campaign_id", "to_number"))) == 120
    assert set(RecipientCall.objects.values_list("attempt", flat=True)) == {1}


def test_a_full_batch_takes_less_than_six_queries_a_dial(
    campaign: Campaign, django_assert_max_num_queries: Any
):
    people(campaign, AT_ONCE)

    with django_assert_max_num_queries(6 * AT_ONCE):
        assert dispatch(campaign.pk) == AT_ONCE


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["global", "account", "campaign"])
def test_no_more_calls_are_under_way_than_each_limit_allows(
    campaign: Campaign, settings: Any, what: str
):
    people(campaign, 5)
    if what == "global":
        settings.MAX_CONCURRENT_CALLS = 3
    elif what == "account":
        campaign.account.max_concurrent_calls = 3
        campaign.account.save()
    else:
        campaign.max_concurrent = 3
        campaign.save()

    assert [dispatch(campaign.pk), dispatch(campaign.pk)] == [3, 0]

    end(Call.objects.order_by("pk")[0])
    assert [dispatch(campaign.pk), dispatch(campaign.pk)] == [1, 0]


def test_other_peoples_calls_count_against_the_common_limits(campaign: Campaign, settings: Any):
    people(campaign, 5)
    settings.MAX_CONCURRENT_CALLS = 4
    CallFactory.create(live=True)
    CallFactory.create(account=campaign.account)

    assert dispatch(campaign.pk) == 2


def test_lines_reserved_for_callers_stay_free(campaign: Campaign, settings: Any):
    people(campaign, 5)
    settings.MAX_CONCURRENT_CALLS = 3
    settings.INBOUND_RESERVED_CALLS = 2

    assert dispatch(campaign.pk) == 1


def test_two_seconds_of_calls_wait_for_their_turn_at_the_carriers_pace(
    campaign: Campaign, settings: Any
):
    settings.CARRIER_CALLS_PER_SECOND = 3.0
    people(campaign, 20)

    assert dispatch(campaign.pk) == 6
    assert dispatch(campaign.pk) == 0

    Call.objects.filter(pk__in=Call.objects.all()[:2]).update(status="initiated")
    assert dispatch(campaign.pk) == 2


def test_campaigns_of_one_carrier_account_share_its_pace(campaign: Campaign, settings: Any):
    settings.CARRIER_CALLS_PER_SECOND = 4.0
    other = CampaignFactory.create(
        account=campaign.account, agent=campaign.agent, number=campaign.number
    )
    elsewhere = CampaignFactory.create(account=campaign.account, agent=campaign.agent)
    for one in (campaign, other, elsewhere):
        people(one, 20)

    assert dispatch(campaign.pk) + dispatch(other.pk) == 8
    assert dispatch(elsewhere.pk) == 8


def test_a_campaign_pauses_at_its_cap_of_calls(campaign: Campaign):
    campaign.max_calls = 3
    campaign.save()
    people(campaign, 5)

    assert dispatch(campaign.pk) == 3
    assert dispatch(campaign.pk) == 0

    campaign.refresh_from_db()
    assert (campaign.status, campaign.status_reason) == (
        "paused",
        "It has made the 3 calls that it may make.",
    )


def test_a_campaign_that_reaches_its_cap_with_its_last_person_is_completed(campaign: Campaign):
    campaign.max_calls = 2
    campaign.save()
    people(campaign, 2)
    assert [dispatch(campaign.pk), dispatch(campaign.pk)] == [2, 0]
    campaign.refresh_from_db()
    assert campaign.status == "running"

    for call in Call.objects.all():
        end(call)

    campaign.refresh_from_db()
    assert (campaign.status, campaign.status_reason) == ("completed", "")


def test_a_campaign_pauses_when_its_money_is_spent(campaign: Campaign, settings: Any):
    settings.CALL_PRICE_MICROS_PER_MINUTE = 80_000
    campaign.max_cost_micros, campaign.max_concurrent = 150_000, 1
    campaign.save()
    people(campaign, 5)

    for _ in range(2):
        assert dispatch(campaign.pk) == 1
        end(Call.objects.latest("pk"), duration_s=60)

    assert dispatch(campaign.pk) == 0
    campaign.refresh_from_db()
    assert (campaign.status, services.cost_micros(campaign)) == ("paused", 160_000)
    assert "$0.15" in campaign.status_reason


# --- hours ----------------------------------------------------------------------------------------

MORNING = [{"days": ["mon", "tue", "wed", "thu", "fri"], "start_minutes": 540, "end_minutes": 660}]
MONDAY_EIGHT = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


def test_each_person_is_called_in_the_morning_of_their_own_zone(campaign: Campaign):
    campaign.windows = MORNING
    campaign.save()
    london = RecipientFactory.create(campaign=campaign)
    new_york = RecipientFactory.create(
        campaign=campaign, group__zones=["America/New_York"], phone="+12125550123"
    )
    called = []

    for half_hour in range(24):
        now = MONDAY_EIGHT + timedelta(minutes=30 * half_hour)
        if dispatch(campaign.pk, now):
            called.append((now.hour, now.minute, Call.objects.latest("pk").to_number))

    assert called == [(9, 0, london.phone), (14, 0, new_york.phone)]


def test_whose_hours_end_first_is_called_first(campaign: Campaign):
    campaign.windows, campaign.max_concurrent = MORNING, 1
    campaign.save()
    RecipientFactory.create(campaign=campaign)
    paris = RecipientFactory.create(
        campaign=campaign, group__zones=["Europe/Paris"], phone="+33612345678"
    )

    dispatch(campaign.pk, MONDAY_EIGHT + timedelta(hours=1))

    assert Call.objects.get().to_number == paris.phone


def test_a_call_may_be_dialled_only_until_its_hours_end(campaign: Campaign):
    campaign.windows = MORNING
    campaign.save()
    people(campaign, 1)

    dispatch(campaign.pk, datetime(2026, 11, 23, 10, 59, tzinfo=UTC))

    assert Call.objects.get().dial_before == datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


def test_whom_the_closing_window_left_out_waits_for_the_next_one(campaign: Campaign):
    campaign.windows = MORNING
    campaign.save()
    (person,) = people(campaign, 1)
    evening = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
    dispatch(campaign.pk, evening - timedelta(minutes=1))
    call = Call.objects.get()

    calls.withdraw(call.pk, "Too late.")
    outcomes.settle(call.pk, evening)

    person.refresh_from_db()
    assert (person.status, person.outcome) == ("pending", "")
    assert dispatch(campaign.pk, evening) == 0
    assert dispatch(campaign.pk, evening + timedelta(hours=22)) == 1


def test_the_law_holds_beside_the_campaigns_own_hours(campaign: Campaign):
    campaign.windows = [{"start_minutes": 0, "end_minutes": 1440}]
    campaign.follow_law = True
    campaign.save()
    RecipientFactory.create(
        campaign=campaign,
        group__zones=["America/New_York"],
        group__law="US-FL",
        phone="+13055550123",
    )

    # 20:00 and 7:59 in Florida, then 8:00
    assert dispatch(campaign.pk, datetime(2026, 11, 24, 1, 0, tzinfo=UTC)) == 0
    assert dispatch(campaign.pk, datetime(2026, 11, 24, 12, 59, tzinfo=UTC)) == 0
    assert dispatch(campaign.pk, datetime(2026, 11, 24, 13, 0, tzinfo=UTC)) == 1


# --- people who said no ---------------------------------------------------------------------------


def test_who_said_no_after_the_intake_is_skipped_and_never_called(campaign: Campaign):
    unwilling, willing = people(campaign, 2)
    suppression.suppress(campaign.account, unwilling.phone, source="operator")

    assert dispatch(campaign.pk) == 1

    unwilling.refresh_from_db()
    assert (unwilling.status, unwilling.reason) == (
        "skipped",
        "This person asked not to be called.",
    )
    assert Call.objects.get().to_number == willing.phone


def test_a_campaign_whose_last_people_said_no_is_completed(campaign: Campaign):
    (person,) = people(campaign, 1)
    suppression.suppress(campaign.account, person.phone, source="operator")

    assert dispatch(campaign.pk) == 0

    campaign.refresh_from_db()
    assert campaign.status == "completed"


class NoSuppressedNumberIsDialled(HypothesisTestCase):
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("suppress"), st.integers(0, 7)),
                st.tuples(st.just("lift"), st.integers(0, 7)),
                st.tuples(st.just("dispatch"), st.integers(1, 3)),
                st.tuples(st.just("end"), st.sampled_from(["completed", "no-answer", "busy"])),
            ),
            max_size=25,
        )
    )
    def test_whatever_happens_in_which_order(self, steps: list[tuple[str, Any]]) -> None:
        campaign = CampaignFactory.create(
            account__max_concurrent_calls=ROOMY,
            retries={"no-answer": {"times": 2, "after_minutes": 0}},
            stop_on_failures=False,
        )
        everybody = people(campaign, 8)
        unwilling: set[str] = set()
        for step, what in steps:
            known = set(Call.objects.values_list("pk", flat=True))
            match step:
                case "suppress":
                    phone = everybody[what].phone
                    suppression.suppress(campaign.account, phone, source="operator")
                    unwilling.add(phone)
                case "lift":
                    phone = everybody[what].phone
                    suppression.lift(campaign.account, phone)
                    unwilling.discard(phone)
                case "dispatch":
                    Campaign.objects.filter(pk=campaign.pk).update(max_concurrent=what)
                    dispatch(campaign.pk)
                case "end":
                    for call in Call.objects.unfinished():
                        end(call, what)
            new = Call.objects.exclude(pk__in=known)
            assert not unwilling & set(new.values_list("to_number", flat=True))
        made = Counter(RecipientCall.objects.values_list("recipient", "attempt"))
        assert not made or set(made.values()) == {1}
