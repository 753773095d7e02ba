"""Calls for tests, at any point of their way."""

import secrets
from datetime import timedelta
from typing import Any

from django.utils import timezone
from factory.declarations import (
    LazyAttribute,
    LazyFunction,
    RelatedFactory,
    SelfAttribute,
    Sequence,
    SubFactory,
    Trait,
)
from factory.django import DjangoModelFactory

from accounts.factories import AccountFactory
from agents.factories import AgentFactory, PhoneNumberFactory
from calls.models import Call, CallEvent, DialAttempt, MediaTicket, Transfer, Turn


def new_sid() -> str:
    """Return a carrier's id of a call."""
    return f"CA{secrets.token_hex(16)}"


class CallFactory(DjangoModelFactory[Call]):
    """An outbound call, waiting to be dialled. Traits: dialled, live, over, inbound."""

    class Meta:
        model = Call
        skip_postgeneration_save = True

    account = SubFactory(AccountFactory)
    agent = SubFactory(AgentFactory, account=SelfAttribute("..account"))
    agent_public_id = SelfAttribute("agent.agent_id")
    number = SubFactory(
        PhoneNumberFactory,
        account=SelfAttribute("..account"),
        agent=SelfAttribute("..agent"),
    )
    direction = Call.Direction.OUTBOUND
    from_number = SelfAttribute("number.phone_number")
    to_number = "+447386172392"

    class Params:
        dialled = Trait(
            status=Call.Status.INITIATED,
            carrier_sid=LazyFunction(new_sid),
            attempt=RelatedFactory(
                "calls.factories.DialAttemptFactory",
                factory_related_name="call",
                status=DialAttempt.Status.ACCEPTED,
                carrier_sid=SelfAttribute("call.carrier_sid"),
            ),
        )
        live = Trait(
            dialled=True,
            status=Call.Status.IN_PROGRESS,
            answered_at=LazyFunction(timezone.now),
        )
        over = Trait(
            dialled=True,
            status=Call.Status.COMPLETED,
            ended_reason=Call.EndedReason.CALLEE_HANGUP,
            answered_at=LazyFunction(lambda: timezone.now() - timedelta(seconds=37)),
            ended_at=LazyFunction(timezone.now),
            duration_ms=37_000,
        )
        inbound = Trait(
            direction=Call.Direction.INBOUND,
            status=Call.Status.RINGING,
            carrier_sid=LazyFunction(new_sid),
            from_number="+447386172392",
            to_number=SelfAttribute("number.phone_number"),
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

    call = SubFactory(CallFactory)
    account = SelfAttribute("call.account")
    from_number = SelfAttribute("call.from_number")
    to_number = SelfAttribute("call.to_number")
    token = LazyFunction(lambda: secrets.token_urlsafe(24))


class TurnFactory(DjangoModelFactory[Turn]):
    class Meta:
        model = Turn

    call = SubFactory(CallFactory, live=True)
    sequence = Sequence(lambda n: n)
    role = Turn.Role.AGENT
    text = "Hello, this is Acme Dental."
    started_ms = LazyAttribute(lambda turn: turn.sequence * 3000)
    ended_ms = LazyAttribute(lambda turn: turn.started_ms + 2000)


class CallEventFactory(DjangoModelFactory[CallEvent]):
    class Meta:
        model = CallEvent

    call = SubFactory(CallFactory)
    kind = "queued"


class MediaTicketFactory(DjangoModelFactory[MediaTicket]):
    class Meta:
        model = MediaTicket

    call = SubFactory(CallFactory, dialled=True)
    token_sha256 = LazyFunction(lambda: secrets.token_hex(32))
    expires_at = LazyFunction(lambda: timezone.now() + timedelta(seconds=120))


class TransferFactory(DjangoModelFactory[Transfer]):
    """A cold transfer of a live call that the carrier was not asked for yet. Traits: rings, warm,
    bridged, failed."""

    class Meta:
        model = Transfer

    call = SubFactory(CallFactory, live=True, media_generation=1)
    number = Sequence(lambda n: n + 1)
    token = LazyFunction(lambda: secrets.token_urlsafe(24))
    to_number = "+442087601234"
    kind = Transfer.Kind.COLD

    class Params:
        warm = Trait(kind=Transfer.Kind.WARM)
        rings = Trait(status=Transfer.Status.RINGING, ringing_at=LazyFunction(timezone.now))
        bridged = Trait(
            status=Transfer.Status.BRIDGED,
            ringing_at=LazyFunction(timezone.now),
            answered_at=LazyFunction(timezone.now),
            bridged_at=LazyFunction(timezone.now),
        )
        failed = Trait(
            status=Transfer.Status.FAILED,
            failure="no-answer",
            ended_at=LazyFunction(timezone.now),
        )
