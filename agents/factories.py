"""Agents and numbers for tests."""

import secrets
from datetime import timedelta

from django.utils import timezone
from factory.declarations import Dict, LazyFunction, SelfAttribute, Sequence, SubFactory
from factory.django import DjangoModelFactory

from accounts.factories import AccountFactory, CarrierAccountFactory
from agents.models import Agent, Calendar, Caller, CustomFunction, Note, PhoneNumber


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


class CallerFactory(DjangoModelFactory[Caller]):
    class Meta:
        model = Caller

    number = SubFactory(PhoneNumberFactory)
    caller_number = "+447386172392"
    name = "Sarah Johnson"


class NoteFactory(DjangoModelFactory[Note]):
    """What a call of yesterday left."""

    class Meta:
        model = Note

    account = SubFactory(AccountFactory)
    person = "+447386172392"
    kind = Note.Kind.CALL
    source = Sequence(lambda n: f"call_{n:016x}")
    at = LazyFunction(lambda: timezone.now() - timedelta(days=1))
    text = "Sarah booked a check-up for Tuesday at 2 pm."


class CustomFunctionFactory(DjangoModelFactory[CustomFunction]):
    class Meta:
        model = CustomFunction

    number = SubFactory(PhoneNumberFactory)
    name = "check_order"
    description = "Where an order is."
    url = "https://acme.example/orders"
    parameters = Dict(
        {
            "type": "object",
            "properties": Dict({"order": Dict({"type": "string"})}),
            "required": ["order"],
        }
    )


class CalendarFactory(DjangoModelFactory[Calendar]):
    class Meta:
        model = Calendar

    number = SubFactory(PhoneNumberFactory)
    api_key = "cal_live_s3cret"
    username = "acme"
    event_slug = "30min"
