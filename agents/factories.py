"""Agents and numbers for tests."""

import secrets

from factory.declarations import LazyFunction, SelfAttribute, Sequence, SubFactory
from factory.django import DjangoModelFactory

from accounts.factories import AccountFactory, CarrierAccountFactory
from agents.models import Agent, PhoneNumber


class AgentFactory(DjangoModelFactory[Agent]):
    class Meta:
        model = Agent

    account = SubFactory(AccountFactory)
    name = Sequence(lambda n: f"Agent {n}")


class PhoneNumberFactory(DjangoModelFactory[PhoneNumber]):
    """An imported number; its agent and carrier account are of the same account."""

    class Meta:
        model = PhoneNumber

    account = SubFactory(AccountFactory)
    agent = SubFactory(AgentFactory, account=SelfAttribute("..account"))
    carrier_account = SubFactory(CarrierAccountFactory, account=SelfAttribute("..account"))
    phone_number = Sequence(lambda n: f"+447446{n % 1_000_000:06d}")
    carrier_number_sid = LazyFunction(lambda: f"PN{secrets.token_hex(16)}")
