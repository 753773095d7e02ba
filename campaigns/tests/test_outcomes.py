from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.errors import ApiError
from calls import services as calls
from calls.factories import DialAttemptFactory
from calls.models import Call
from campaigns import outcomes, services
from campaigns.dispatch import dispatch, dispatch_all
from campaigns.factories import (
    CampaignFactory,
    RecipientCallFactory,
    ZoneGroupFactory,
    people,
)
from campaigns.models import Campaign, Recipient, RecipientCall
from campaigns.tests.running import ROOMY, end

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign() -> Campaign:
    return CampaignFactory.create(account__max_concurrent_calls=ROOMY)


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


def test_who_was_talked_to_is_not_called_again_because_nobody_knows_how_the_call_ended(
    campaign: Campaign,
):
    campaign.retries = {"failed": {"times": 1, "after_minutes": 5}}
    campaign.save()
    (person,) = people(campaign, 1)
    dispatch(campaign.pk)
    call = Call.objects.get()
    calls.move_call(call.pk, "in-progress")

    end(call, "failed", error_message="The carrier did not say how this call ended.")

    person.refresh_from_db()
    assert (person.status, person.outcome) == ("done", "answered")
    with pytest.raises(ApiError, match="Nobody is left unanswered"):
        services.retry_unanswered(campaign.pk)


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


def test_a_call_that_cannot_be_settled_holds_up_no_other(campaign: Campaign):
    broken = CampaignFactory.create(retries={"no-answer": {"times": "odd"}})
    for one in (broken, campaign):
        people(one, 1)
        dispatch(one.pk)
    for call in Call.objects.all():
        calls.end_call(call.pk, "no-answer")

    assert outcomes.sweep() == 1

    assert Recipient.objects.get(campaign=campaign).outcome == "no-answer"
    assert Recipient.objects.get(campaign=broken).status == "calling"
    campaign.refresh_from_db()
    assert campaign.status == "completed"


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
