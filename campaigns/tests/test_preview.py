"""When people can be called: those whose turn it is, and those who are tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from accounts.factories import UserFactory, api_client
from calls.factories import CallFactory
from campaigns.factories import CampaignFactory, RecipientCallFactory, people
from campaigns.models import Campaign
from campaigns.outcomes import settle
from campaigns.preview import preview
from campaigns.progress import progress_of

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday, and winter in London
HOUR = timedelta(hours=1)


@pytest.fixture
def campaign(settings) -> Campaign:
    """Sixty calls a minute, Monday to Friday from nine to five."""
    settings.CARRIER_CALLS_PER_SECOND = 1.0
    settings.MAX_CONCURRENT_CALLS = settings.VOICE_SOCKETS = settings.TRANSCRIBER_SOCKETS = 1000
    return CampaignFactory.create(
        account__max_concurrent_calls=1000,
        windows=[
            {
                "days": ["mon", "tue", "wed", "thu", "fri"],
                "start_minutes": 9 * 60,
                "end_minutes": 17 * 60,
            }
        ],
    )


def test_who_is_tried_again_is_called_when_it_is_their_turn_and_not_now(campaign: Campaign):
    people(campaign, 30, due_at=NOON - HOUR)
    people(campaign, 2, due_at=NOON + HOUR, attempts=1)

    found = preview(campaign, NOON)

    now, again = found.slots
    assert (now.waiting, now.tries_again, now.opens_at) == (30, False, NOON)
    assert (again.waiting, again.tries_again, again.opens_at) == (2, True, NOON + HOUR)
    assert found.waiting == 32
    assert found.ends_at == NOON + HOUR + timedelta(seconds=2)


def test_a_retry_that_falls_due_after_hours_waits_for_the_next_opening(campaign: Campaign):
    people(campaign, 1, due_at=NOON + 6 * HOUR, attempts=1)

    found = preview(campaign, NOON)

    (again,) = found.slots
    next_morning = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert (again.opens_at, again.closes_at) == (next_morning, next_morning + 8 * HOUR)
    assert found.ends_at == next_morning + timedelta(seconds=1)


def test_retries_of_several_days_end_with_the_last_of_them(campaign: Campaign):
    for days in (1, 2, 3):
        people(campaign, 5, due_at=NOON + timedelta(days=days), attempts=1)

    found = preview(campaign, NOON)

    (again,) = found.slots
    assert (again.waiting, again.opens_at) == (15, NOON + timedelta(days=1))
    assert found.ends_at == NOON + timedelta(days=3, seconds=5)


def test_retries_come_between_those_who_wait_anyway(campaign: Campaign):
    people(campaign, 120, due_at=NOON)
    people(campaign, 60, due_at=NOON + timedelta(minutes=1), attempts=1)

    assert preview(campaign, NOON).ends_at == NOON + timedelta(minutes=3)


def test_before_a_start_at_a_set_time_nobody_counts_as_tried_again(campaign: Campaign):
    campaign.launched_at, campaign.starts_at = None, NOON + HOUR
    people(campaign, 3, due_at=NOON)

    (slot,) = preview(campaign, NOON).slots

    assert (slot.waiting, slot.tries_again, slot.opens_at) == (3, False, NOON + HOUR)


def test_a_busy_line_moves_a_person_to_those_who_are_tried_again(
    campaign: Campaign, client: Client, time_machine
):
    time_machine.move_to(NOON, tick=False)
    campaign.retries = {"busy": {"times": 1, "after_minutes": 60}}
    campaign.save(update_fields=["retries"])
    made = RecipientCallFactory.create(
        campaign=campaign,
        call=CallFactory.create(
            account=campaign.account,
            over=True,
            status="busy",
            ended_reason="busy",
            answered_at=None,
            duration_ms=0,
        ),
    )
    assert made.call is not None
    client.force_login(UserFactory.create(is_superuser=True))

    settle(made.call.pk)
    page = client.get(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
    shown = api_client(campaign.account).get(f"/v1/campaigns/{campaign.campaign_id}/hours").json()

    words = " ".join(page.content.decode().split())
    assert "<td>1 to be tried again</td>" in words
    assert "<td>Mon 23 Nov, 13:00</td>" in words
    (group,) = shown["groups"]
    assert (group["retry"], group["opens_at"]) == (True, "2026-11-23T13:00:00+00:00")
    assert shown["ends_at"] == "2026-11-23T13:00:01+00:00"


def test_the_estimated_end_is_not_before_the_last_turn(campaign: Campaign):
    RecipientCallFactory.create_batch(5, campaign=campaign)
    people(campaign, 2)
    people(campaign, 1, due_at=(last := datetime.now(UTC) + 3 * HOUR), attempts=1)

    assert progress_of(campaign).ends_at == last
