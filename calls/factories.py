"""Calls for tests, at any point of their way."""

import secrets
from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.factories import AccountFactory
from agents.factories import AgentFactory, PhoneNumberFactory
from calls.models import Call, CallEvent, DialAttempt, MediaTicket, Turn


def new_sid() -> str:
    """Return a carrier's id of a call."""
    return f"CA{secrets.token_hex(16)}"


class CallFactory(DjangoModelFactory[Call]):
    """An outbound call, waiting to be dialled. Traits: dialled, live, over, inbound."""

    class Meta:
        model = Call
        skip_postgeneration_save = True

    account = factory.SubFactory(AccountFactory)
    agent = factory.SubFactory(AgentFactory, account=factory.SelfAttribute("..account"))
    agent_public_id = factory.SelfAttribute("agent.agent_id")
    number = factory.SubFactory(
        PhoneNumberFactory,
        account=factory.SelfAttribute("..account"),
        agent=factory.SelfAttribute("..agent"),
    )
    direction = Call.Direction.OUTBOUND
    from_number = factory.SelfAttribute("number.phone_number")
    to_number = "+447386172392"

    class Params:
        dialled = factory.Trait(
            status=Call.Status.INITIATED,
            carrier_sid=factory.LazyFunction(new_sid),
            attempt=factory.RelatedFactory(
                "calls.factories.DialAttemptFactory",
                factory_related_name="call",
                status=DialAttempt.Status.ACCEPTED,
                carrier_sid=factory.SelfAttribute("call.carrier_sid"),
            ),
        )
        live = factory.Trait(
            dialled=True,
            status=Call.Status.IN_PROGRESS,
            answered_at=factory.LazyFunction(timezone.now),
        )
        over = factory.Trait(
            dialled=True,
            status=Call.Status.COMPLETED,
            ended_reason=Call.EndedReason.CALLEE_HANGUP,
            answered_at=factory.LazyFunction(lambda: timezone.now() - timedelta(seconds=37)),
            ended_at=factory.LazyFunction(timezone.now),
            duration_ms=37_000,
        )
        inbound = factory.Trait(
            direction=Call.Direction.INBOUND,
            status=Call.Status.RINGING,
            carrier_sid=factory.LazyFunction(new_sid),
            from_number="+447386172392",
            to_number=factory.SelfAttribute("number.phone_number"),
        )

    @classmethod
    def _create(cls, model_class: type[Call], *args: Any, **kwargs: Any) -> Call:
        created_at = kwargs.pop("created_at", None)  # the model's own default is now
        call = super()._create(model_class, *args, **kwargs)
        if created_at is not None:
            Call.objects.filter(pk=call.pk).update(created_at=created_at)
            call.created_at = created_at
        return call


class DialAttemptFactory(DjangoModelFactory[DialAttempt]):
    class Meta:
        model = DialAttempt

    call = factory.SubFactory(CallFactory)
    token = factory.LazyFunction(lambda: secrets.token_urlsafe(24))


class TurnFactory(DjangoModelFactory[Turn]):
    class Meta:
        model = Turn

    call = factory.SubFactory(CallFactory, live=True)
    sequence = factory.Sequence(lambda n: n)
    role = Turn.Role.AGENT
    text = "Hello, this is Acme Dental."
    started_ms = factory.LazyAttribute(lambda turn: turn.sequence * 3000)
    ended_ms = factory.LazyAttribute(lambda turn: turn.started_ms + 2000)


class CallEventFactory(DjangoModelFactory[CallEvent]):
    class Meta:
        model = CallEvent

    call = factory.SubFactory(CallFactory)
    kind = "queued"


class MediaTicketFactory(DjangoModelFactory[MediaTicket]):
    class Meta:
        model = MediaTicket

    call = factory.SubFactory(CallFactory, dialled=True)
    token_sha256 = factory.LazyFunction(lambda: secrets.token_hex(32))
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(seconds=120))
