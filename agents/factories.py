"""Agents and numbers for tests."""

import secrets

import factory
from factory.django import DjangoModelFactory

from accounts.factories import AccountFactory, CarrierAccountFactory
from agents.models import Agent, PhoneNumber


class AgentFactory(DjangoModelFactory[Agent]):
    class Meta:
        model = Agent

    account = factory.SubFactory(AccountFactory)
    name = factory.Sequence(lambda n: f"Agent {n}")


class PhoneNumberFactory(DjangoModelFactory[PhoneNumber]):
    """An imported number; its agent and carrier account are of the same account."""

    class Meta:
        model = PhoneNumber

    account = factory.SubFactory(AccountFactory)
    agent = factory.SubFactory(AgentFactory, account=factory.SelfAttribute("..account"))
    carrier_account = factory.SubFactory(
        CarrierAccountFactory, account=factory.SelfAttribute("..account")
    )
    phone_number = factory.Sequence(lambda n: f"+447446{n % 1_000_000:06d}")
    carrier_number_sid = factory.LazyFunction(lambda: f"PN{secrets.token_hex(16)}")
