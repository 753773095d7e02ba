"""Texts and threads for tests, at any point of their way."""

import secrets
from datetime import timedelta

from django.utils import timezone
from factory.declarations import (
    LazyAttribute,
    LazyFunction,
    RelatedFactory,
    SelfAttribute,
    SubFactory,
    Trait,
)
from factory.django import DjangoModelFactory

from accounts.factories import AccountFactory
from agents.factories import AgentFactory, PhoneNumberFactory
from sms.models import Message, MessagePart, Thread

PERSON = "+447386172392"


def new_sid() -> str:
    """Return a carrier's id of a text."""
    return f"SM{secrets.token_hex(16)}"


class ThreadFactory(DjangoModelFactory[Thread]):
    """A thread without a reply window. Trait: open (we texted an hour ago)."""

    class Meta:
        model = Thread

    account = SubFactory(AccountFactory)
    number = SubFactory(PhoneNumberFactory, account=SelfAttribute("..account"))
    our_number = SelfAttribute("number.phone_number")
    their_number = PERSON

    class Params:
        open = Trait(
            agent=SelfAttribute("number.agent"),
            reply_until=LazyFunction(lambda: timezone.now() + timedelta(hours=23)),
            window_open=True,
        )


class MessageFactory(DjangoModelFactory[Message]):
    """An outbound text in one part that waits to be sent. Traits: taken (the carrier has it),
    inbound."""

    class Meta:
        model = Message
        skip_postgeneration_save = True

    thread = SubFactory(ThreadFactory)
    account = SelfAttribute("thread.account")
    direction = Message.Direction.OUTBOUND
    origin = Message.Origin.API
    agent = SubFactory(AgentFactory, account=SelfAttribute("..account"))
    agent_public_id = SelfAttribute("agent.agent_id")
    from_number = SelfAttribute("thread.our_number")
    to_number = SelfAttribute("thread.their_number")
    body = "Your appointment is at 3 pm."
    encoding = "GSM-7"
    part = RelatedFactory(
        "sms.factories.PartFactory",
        factory_related_name="message",
        thread=SelfAttribute("message.thread"),
        body=SelfAttribute("message.body"),
    )

    class Params:
        taken = Trait(
            sent_at=LazyFunction(timezone.now),
            part=RelatedFactory(
                "sms.factories.PartFactory",
                factory_related_name="message",
                thread=SelfAttribute("message.thread"),
                body=SelfAttribute("message.body"),
                taken=True,
            ),
        )
        inbound = Trait(
            direction=Message.Direction.INBOUND,
            origin=Message.Origin.PERSON,
            status=Message.Status.RECEIVED,
            from_number=SelfAttribute("thread.their_number"),
            to_number=SelfAttribute("thread.our_number"),
            carrier_sid=LazyFunction(new_sid),
            body="What time is it?",
            part=None,
        )


class PartFactory(DjangoModelFactory[MessagePart]):
    class Meta:
        model = MessagePart

    message = SubFactory(MessageFactory, part=None)
    thread = LazyAttribute(lambda part: part.message.thread)
    body = "Your appointment is at 3 pm."

    class Params:
        taken = Trait(
            status=MessagePart.Status.QUEUED,
            carrier_sid=LazyFunction(new_sid),
            attempts=1,
            sending_at=LazyFunction(timezone.now),
            check_at=LazyFunction(lambda: timezone.now() + timedelta(seconds=15)),
        )
