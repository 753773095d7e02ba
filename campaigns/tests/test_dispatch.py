from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase

from accounts import suppression
from calls import services as calls
from calls.factories import CallFactory, DialAttemptFactory
from calls.models import Call
from campaigns import outcomes, services
from campaigns.dispatch import AT_ONCE, dispatch, dispatch_all
from campaigns.factories import (
    CampaignFactory,
    RecipientCallFactory,
    RecipientFactory,
    ZoneGroupFactory,
    people,
)
from campaigns.models import Campaign, Recipient, RecipientCall

pytestmark = pytest.mark.django_db

ROOMY = 1000


@pytest.fixture
def campaign() -> Campaign:
    return CampaignFactory.create(account__max_concurrent_calls=ROOMY)


def states(campaign: Campaign) -> Counter[str]:
    return Counter(campaign.recipients.values_list("status", flat=True))


def end(call: Call, status: str = "completed", **how: Any) -> None:
    calls.move_call(call.pk, "in-progress") if status == "completed" else None
    calls.end_call(call.pk, status, **how)
    outcomes.settle(call.pk)


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


# --- outcomes and retries -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("completed", "answered"),
        ("busy", "busy"),
        ("no-answer", "no-answer"),
        ("failed", "failed"),
    ],
)
def test_a_call_that_ended_is_written_down_once(campaign: Campaign, status: str, outcome: str):
    (person,) = people(campaign, 1)
    dispatch(campaign.pk)
    call = Call.objects.get()

    calls.end_call(call.pk, status, error_message="Why." if status == "failed" else "")

    assert [outcomes.settle(call.pk), outcomes.settle(call.pk)] == [True, False]
    person.refresh_from_db()
    assert (person.status, person.outcome) == ("done", outcome)
    assert person.reason == ("Why." if status == "failed" else "")
    campaign.refresh_from_db()
    assert campaign.status == "completed"


def test_a_voicemail_is_no_answer_by_a_person(campaign: Campaign):
    (person,) = people(campaign, 1)
    dispatch(campaign.pk)
    Call.objects.update(voicemail_detected=True)

    end(Call.objects.get())

    person.refresh_from_db()
    assert person.outcome == "voicemail"


@pytest.mark.django_db(transaction=True)
def test_news_of_an_ended_call_settles_it_and_wakes_the_dispatcher(sent: list[str]):
    campaign = CampaignFactory.create()
    (person,) = people(campaign, 1)
    dispatch(campaign.pk)
    sent.clear()

    calls.end_call(Call.objects.get().pk, "busy")

    person.refresh_from_db()
    assert (person.status, person.outcome) == ("done", "busy")
    assert "campaigns.tasks.dispatch" in sent


def test_the_sweep_finds_an_end_that_no_news_told_of(campaign: Campaign):
    (person,) = people(campaign, 1)
    dispatch(campaign.pk)
    calls.end_call(Call.objects.get().pk, "no-answer")

    assert [outcomes.sweep(), outcomes.sweep()] == [1, 0]

    person.refresh_from_db()
    campaign.refresh_from_db()
    assert (person.outcome, campaign.status) == ("no-answer", "completed")


def test_a_call_erased_before_it_was_written_down_frees_its_person(campaign: Campaign):
    made = RecipientCallFactory.create(campaign=campaign)
    assert made.call is not None
    made.call.delete()

    outcomes.sweep()

    made.recipient.refresh_from_db()
    assert (made.recipient.status, made.recipient.outcome) == ("done", "canceled")


def test_nobody_is_called_twice_unless_asked_for(campaign: Campaign):
    people(campaign, 1)
    dispatch(campaign.pk)

    end(Call.objects.get(), "no-answer")

    with time_machine.travel(timezone.now() + timedelta(days=7)):
        assert dispatch_all() == 0
    assert Call.objects.count() == 1


def test_retries_come_after_their_pause_and_so_often_as_asked_for(campaign: Campaign):
    campaign.retries = {"no-answer": {"times": 2, "after_minutes": 60}}
    campaign.save()
    (person,) = people(campaign, 1)
    now = timezone.now()
    placed = []

    for half_hours in range(10):
        at = now + timedelta(minutes=30 * half_hours)
        placed.append(dispatch(campaign.pk, at))
        for call in Call.objects.unfinished():
            calls.end_call(call.pk, "no-answer", at=at)
            outcomes.settle(call.pk, at)

    assert placed == [1, 0, 1, 0, 1, 0, 0, 0, 0, 0]
    person.refresh_from_db()
    assert (person.status, person.outcome, person.attempts) == ("done", "no-answer", 3)
    campaign.refresh_from_db()
    assert campaign.status == "completed"


def test_only_the_outcomes_named_are_tried_again(campaign: Campaign):
    campaign.retries = {"busy": {"times": 1, "after_minutes": 5, "other_hour": True}}
    campaign.save()
    first, second = people(campaign, 2)
    dispatch(campaign.pk)

    end(Call.objects.get(to_number=first.phone), "busy")
    end(Call.objects.get(to_number=second.phone), "no-answer")

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("pending", "done")
    wait = first.due_at - timezone.now()
    assert timedelta(hours=3, minutes=4) < wait <= timedelta(hours=3, minutes=5)


def test_a_dial_that_the_carrier_never_had_is_made_again(campaign: Campaign):
    (person,) = people(campaign, 1)
    dispatch(campaign.pk)
    call = Call.objects.get()
    DialAttemptFactory.create(call=call, status="lost")

    end(call, "failed")

    person.refresh_from_db()
    assert (person.status, person.outcome) == ("pending", "")
    assert dispatch(campaign.pk) == 1
    assert sorted(RecipientCall.objects.values_list("attempt", flat=True)) == [1, 2]


def test_a_dial_that_is_lost_again_and_again_is_given_up(campaign: Campaign):
    (person,) = people(campaign, 1)
    for _ in range(4):
        dispatch(campaign.pk)
        for call in Call.objects.unfinished():
            DialAttemptFactory.create(call=call, status="lost")
            end(call, "failed")

    person.refresh_from_db()
    assert (person.status, person.outcome, person.attempts) == ("done", "failed", 3)


# --- the breaker ----------------------------------------------------------------------------------


def failing(campaign: Campaign, failed: int, answered: int) -> None:
    for n in range(failed + answered):
        RecipientCallFactory.create(
            campaign=campaign,
            outcome="failed" if n < failed else "answered",
            settled_at=timezone.now(),
            recipient__status="done",
            recipient__outcome="failed" if n < failed else "answered",
        )


def test_a_campaign_whose_calls_mostly_fail_pauses_and_says_why(campaign: Campaign):
    failing(campaign, 8, 2)
    people(campaign, 1)

    assert dispatch(campaign.pk) == 0

    campaign.refresh_from_db()
    assert campaign.status == "paused"
    assert campaign.status_reason == (
        "8 of the last 10 calls failed. See what the carrier says of them."
    )


@pytest.mark.parametrize(("failed", "answered"), [(9, 0), (7, 3)])
def test_a_few_failures_stop_nothing(campaign: Campaign, failed: int, answered: int):
    failing(campaign, failed, answered)
    people(campaign, 1)

    assert dispatch(campaign.pk) == 1


def test_after_a_person_resumed_the_old_failures_no_longer_count(campaign: Campaign):
    failing(campaign, 10, 0)
    people(campaign, 1)
    dispatch(campaign.pk)

    services.resume(campaign.pk)

    assert dispatch(campaign.pk) == 1


def test_one_campaigns_trouble_does_not_stop_the_others(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
):
    broken = CampaignFactory.create(windows=[{"start_minutes": "odd"}])
    people(broken, 1)
    people(campaign, 1)

    assert dispatch_all() == 1

    assert Call.objects.get().campaign_id == campaign.campaign_id


def test_groups_are_asked_for_only_where_somebody_is_due(campaign: Campaign):
    ZoneGroupFactory.create(campaign=campaign, zones=["Asia/Tokyo"])
    people(campaign, 1, due_at=timezone.now() + timedelta(minutes=5))

    assert dispatch(campaign.pk) == 0
    assert Recipient.objects.get().status == "pending"
