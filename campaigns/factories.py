"""Campaigns and people in them, for tests."""

import hashlib
from typing import Any

from django.utils.timezone import now
from factory.declarations import (
    LazyAttribute,
    LazyFunction,
    SelfAttribute,
    Sequence,
    SubFactory,
    Trait,
)
from factory.django import DjangoModelFactory

from accounts.factories import AccountFactory
from agents.factories import AgentFactory, PhoneNumberFactory
from calls.factories import CallFactory
from campaigns.models import Campaign, Recipient, RecipientCall, ZoneGroup


class CampaignFactory(DjangoModelFactory[Campaign]):
    """A running campaign without hours. Traits: draft."""

    class Meta:
        model = Campaign

    account = SubFactory(AccountFactory)
    agent = SubFactory(AgentFactory, account=SelfAttribute("..account"))
    agent_public_id = SelfAttribute("agent.agent_id")
    number = SubFactory(
        PhoneNumberFactory, account=SelfAttribute("..account"), agent=SelfAttribute("..agent")
    )
    from_number = SelfAttribute("number.phone_number")
    name = Sequence(lambda n: f"Campaign {n}")
    prompt = "Remind them of their appointment."
    timezone = "Europe/London"
    status = Campaign.Status.RUNNING
    launched_at = LazyFunction(now)

    class Params:
        draft = Trait(status=Campaign.Status.DRAFT, launched_at=None)


class ZoneGroupFactory(DjangoModelFactory[ZoneGroup]):
    class Meta:
        model = ZoneGroup
        django_get_or_create = ("campaign", "key")

    campaign = SubFactory(CampaignFactory)
    zones = ["Europe/London"]
    law = "GB"
    key = LazyAttribute(lambda o: hashlib.sha256(repr((o.zones, o.law)).encode()).hexdigest())


class RecipientFactory(DjangoModelFactory[Recipient]):
    class Meta:
        model = Recipient

    campaign = SubFactory(CampaignFactory)
    group = SubFactory(ZoneGroupFactory, campaign=SelfAttribute("..campaign"))
    row_index = Sequence(lambda n: n)
    phone = Sequence(lambda n: f"+4473861{n % 100_000:05d}")


class RecipientCallFactory(DjangoModelFactory[RecipientCall]):
    """A call that a campaign has placed: ``recipient`` is on the line."""

    class Meta:
        model = RecipientCall

    campaign = SubFactory(CampaignFactory)
    recipient = SubFactory(
        RecipientFactory, campaign=SelfAttribute("..campaign"), status="calling", attempts=1
    )
    attempt = 1
    call = SubFactory(
        CallFactory,
        account=SelfAttribute("..campaign.account"),
        agent=SelfAttribute("..campaign.agent"),
        number=SelfAttribute("..campaign.number"),
        to_number=SelfAttribute("..recipient.phone"),
        campaign_id=SelfAttribute("..campaign.campaign_id"),
    )


def people(campaign: Campaign, how_many: int, **fields: Any) -> list[Recipient]:
    """Return so many people of one zone group in ``campaign``."""
    return RecipientFactory.create_batch(how_many, campaign=campaign, **fields)
