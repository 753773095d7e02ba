"""A campaign that may call at any hour does not, after the machine stood still by day, go on at
night."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from accounts.factories import api_client
from agents.factories import PhoneNumberFactory
from calls.models import Call
from campaigns import dispatch, services
from campaigns.factories import CampaignFactory, people
from campaigns.models import Campaign, RecipientCall
from campaigns.tests.running import end
from campaigns.texts import dispatch as texts
from sms.models import Message, TextRecipient

pytestmark = pytest.mark.django_db

AFTERNOON = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)  # a Monday; the law of GB: 8:00 to 21:00
NIGHT = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
MORNING = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def campaign() -> Campaign:
    """Without hours of its own: by the afternoon it has called one of two people."""
    with time_machine.travel(AFTERNOON, tick=False):
        campaign = CampaignFactory.create(max_concurrent=1, breaker_since=AFTERNOON)
        people(campaign, 2)
        assert dispatch.dispatch(campaign.pk) == 1
        end(Call.objects.get())
    return campaign


def test_it_calls_nobody_until_their_lawful_hours_open(campaign: Campaign):
    assert dispatch.dispatch(campaign.pk, NIGHT) == 0
    assert dispatch.dispatch(campaign.pk, MORNING - MINUTE) == 0
    assert dispatch.dispatch(campaign.pk, MORNING) == 1


def test_a_campaign_that_never_stood_still_calls_through_the_night(campaign: Campaign):
    RecipientCall.objects.update(created_at=NIGHT - 59 * MINUTE)

    assert dispatch.dispatch(campaign.pk, NIGHT) == 1


def test_one_that_is_resumed_at_night_calls_at_night(campaign: Campaign):
    services.pause(campaign.pk)
    with time_machine.travel(NIGHT, tick=False):
        services.resume(campaign.pk)

        assert dispatch.dispatch(campaign.pk) == 1


def test_one_that_should_have_started_by_day_does_not_start_calling_at_night():
    campaign = CampaignFactory.create(draft=True)
    with time_machine.travel(AFTERNOON, tick=False):
        people(campaign, 1)
        services.schedule(campaign.pk, AFTERNOON + 60 * MINUTE)

    with time_machine.travel(NIGHT, tick=False):
        assert dispatch.dispatch_all() == 0
    with time_machine.travel(MORNING, tick=False):
        assert dispatch.dispatch_all() == 1


def test_one_in_which_nobody_was_due_did_not_stand_still(campaign: Campaign):
    campaign.recipients.filter(status="pending").update(due_at=NIGHT - 59 * MINUTE)

    assert dispatch.dispatch(campaign.pk, NIGHT) == 1


def test_a_call_that_waits_meanwhile_does_not_ring_late(campaign: Campaign):
    later = AFTERNOON + 5 * MINUTE

    dispatch.dispatch(campaign.pk, later)

    assert Call.objects.latest("pk").dial_before == later + timedelta(hours=1)


@pytest.fixture
def texted() -> Any:
    number: Any = PhoneNumberFactory.create()
    campaign = {
        "agent_id": number.agent.agent_id,
        "from_number": number.phone_number,
        "message_template": "Hello",
        "recipients": [{"phone": "+447386172392"}, {"phone": "+447386172393"}],
        "schedule_type": "now",
    }
    with time_machine.travel(AFTERNOON, tick=False):
        client = api_client(number.account)
        client.post("/v1/sms/campaigns", campaign, content_type="application/json")
        second = TextRecipient.objects.get(phone="+447386172393")
        TextRecipient.objects.filter(pk=second.pk).update(send_after=AFTERNOON + MINUTE)
        assert texts.dispatch_all() == 1
    return second


def test_a_text_campaign_that_stood_still_waits_for_the_morning(texted: TextRecipient):
    assert texts.dispatch_all(NIGHT) == 0
    texted.refresh_from_db()
    assert texted.send_after == MORNING
    assert texts.dispatch_all(MORNING) == 1


def test_a_text_campaign_that_never_stood_still_texts_through_the_night(texted: TextRecipient):
    Message.objects.update(created_at=NIGHT - 59 * MINUTE)

    assert texts.dispatch_all(NIGHT) == 1
