"""A campaign that was stopped calls nobody, whatever a call of its was on its way to."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
import responses
import time_machine
from django.utils import timezone

from calls import dialling
from calls.admission import Turn, admit
from calls.models import Call
from calls.tests.twilio_side import calls_url
from campaigns import outcomes, services
from campaigns.dispatch import dispatch
from campaigns.factories import CampaignFactory, people
from campaigns.models import Campaign
from campaigns.tests.running import ROOMY

pytestmark = pytest.mark.django_db

STOPS = [(services.pause, "pending"), (services.cancel, "canceled")]


@pytest.fixture
def campaign() -> Campaign:
    campaign = CampaignFactory.create(account__max_concurrent_calls=ROOMY)
    people(campaign, 1)
    dispatch(campaign.pk)
    return campaign


@pytest.fixture
def telco():
    """The carrier's REST answers. Any other request fails."""
    with responses.mock as mock:
        yield mock


def nobody_is_dialled_within_the_hour(telco: Any) -> bool:
    asked = len(telco.calls)
    for minutes in (1, 5, 59):
        with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=False):
            dialling.dial_due()
    return len(telco.calls) == asked


@pytest.mark.parametrize(("stop", "person"), STOPS)
def test_a_call_that_did_not_reach_the_carrier_is_not_tried_again_after_the_stop(
    telco: Any, campaign: Campaign, stop: Callable[[int], Any], person: str
):
    call = Call.objects.get()

    def stopped_meanwhile(_: Any) -> Any:
        stop(campaign.pk)
        raise requests.ConnectTimeout

    telco.add_callback("POST", calls_url(call.number), callback=stopped_meanwhile)

    dialling.dial_due()

    call.refresh_from_db()
    assert call.status == "canceled"
    outcomes.settle(call.pk)
    assert campaign.recipients.get().status == person
    assert nobody_is_dialled_within_the_hour(telco)


@pytest.mark.parametrize(("stop", "person"), STOPS)
def test_a_call_that_missed_its_turn_is_not_put_back_after_the_stop(
    telco: Any,
    campaign: Campaign,
    stop: Callable[[int], Any],
    person: str,
    monkeypatch: pytest.MonkeyPatch,
):
    late = timezone.now() - timedelta(minutes=1)

    def stopped_meanwhile(at_most: int) -> list[Turn]:
        turns = admit(at_most)
        stop(campaign.pk)
        for turn in turns:
            turn.attempt.created_at = late
        return turns

    monkeypatch.setattr(dialling, "admit", stopped_meanwhile)

    dialling.dial_next()

    call = Call.objects.get()
    assert call.status == "canceled"
    outcomes.settle(call.pk)
    assert campaign.recipients.get().status == person
    assert nobody_is_dialled_within_the_hour(telco)


def test_a_running_campaigns_call_is_tried_again_when_the_carrier_can_be_reached(
    telco: Any, campaign: Campaign
):
    call = Call.objects.get()
    telco.post(calls_url(call.number), body=requests.ConnectTimeout())

    dialling.dial_due()

    call.refresh_from_db()
    assert call.status == "queued"
    assert not nobody_is_dialled_within_the_hour(telco)
