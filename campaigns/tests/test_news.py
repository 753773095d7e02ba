"""Listeners are told of campaigns; whoever is forgotten is forgotten here too."""

import json

import pytest

from accounts.factories import AccountFactory
from calls import retention
from calls.signals import account_closed
from campaigns import services
from campaigns.factories import CampaignFactory, RecipientCallFactory, RecipientFactory
from campaigns.models import Campaign, Recipient
from webhooks.factories import EndpointFactory
from webhooks.models import Event

pytestmark = pytest.mark.django_db


def test_each_step_of_a_campaign_is_told_once_with_its_counts():
    campaign = CampaignFactory.create(metadata={"order": 7})
    EndpointFactory.create(account=campaign.account)
    RecipientFactory.create(campaign=campaign)

    services.pause(campaign.pk)
    services.cancel(campaign.pk)

    told = [json.loads(event.body) for event in Event.objects.order_by("pk")]
    assert [news["event"] for news in told] == ["campaign.paused", "campaign.canceled"]
    assert told[0]["campaign_id"] == campaign.campaign_id
    assert told[0]["recipients"]["pending"] == 1
    assert told[0]["metadata"] == {"order": 7}
    assert told[0]["reason"]


def test_a_forgotten_person_is_in_no_campaign_of_the_account_any_more():
    made = RecipientCallFactory.create(recipient__status="done", recipient__outcome="answered")
    account, person = made.campaign.account, made.recipient.phone
    made.call.delete()
    other = RecipientFactory.create(campaign=made.campaign)
    elsewhere = RecipientFactory.create(phone=person)

    retention.forget_person(account, person)

    assert set(Recipient.objects.all()) == {other, elsewhere}


def test_a_closed_account_has_no_campaigns():
    recipient = RecipientFactory.create()
    kept = CampaignFactory.create(account=AccountFactory.create())

    account_closed.send(Campaign, account=recipient.campaign.account)

    assert list(Campaign.objects.all()) == [kept]
