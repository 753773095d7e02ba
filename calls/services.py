"""A call's life: placed, moved along ``Call.NEXT``, ended once. Nothing else writes a call's
status."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Avg, Exists
from django.utils import timezone

from accounts.errors import ApiError, not_found_error
from accounts.hours.enforcement import last_moment, refuse_outside_hours
from accounts.models import Account
from accounts.suppression import refuse_if_suppressed
from agents.models import Agent, PhoneNumber
from calls import news, nudges, openings, transfers, usage
from calls.machines import BY_TRANSCRIPT
from calls.models import Aftercare, Call, CallEvent, DialAttempt
from calls.signals import call_ended

logger = logging.getLogger(__name__)

_MINUTE = Decimal(60_000)
_CENT = Decimal("0.01")
# Each dials until nothing waits, so a few are enough for any number of calls.
WORKERS_WOKEN = 3


def record(call: Call, kind: str, **data: Any) -> None:
    """Write down that something happened to ``call``, in the caller's transaction."""
    CallEvent.objects.create(call=call, kind=kind, data=data)


def request_call(
    account: Account,
    *,
    agent_id: str,
    to_number: str,
    from_number: str | None = None,
    **about: Any,
) -> Call:
    """Place a call as an API client asks for it (spec 3.2): by ids and numbers.

    ``about`` is what ``place_call`` takes. What cannot be placed is an ApiError and leaves no row.
    """
    agent = Agent.objects.of(account).filter(agent_id=agent_id).first()
    if agent is None:
        raise not_found_error("agent_not_found", "Agent not found.", "agent_id")
    if not agent.is_active:
        raise not_found_error("agent_not_found", "This agent is not active. Set is_active first.")
    number = number_to_call_from(account, agent, from_number)
    if not (number.carrier_account.sid and number.carrier_account.auth_token):
        raise ApiError(
            "agent_missing_twilio_credentials",
            f"{number.phone_number} has no Twilio credentials. Import it again with them.",
        )
    if account.enforce_calling_hours:
        refuse_if_suppressed(account, to_number)  # what no later hour changes comes first
        about["dial_before"] = refuse_outside_hours(account, to_number, agent.timezone)
    else:
        about["dial_before"] = last_moment(to_number, agent.timezone, timezone.now())
    return place_call(account, agent=agent, number=number, to_number=to_number, **about)


def number_to_call_from(account: Account, agent: Agent, wanted: str | None) -> PhoneNumber:
    """Return the number asked for, whoever it is attached to, else the agent's first.

    Raises ApiError ``from_number_not_found``, ``agent_missing_phone_number``.
    """
    numbers = (
        PhoneNumber.objects.of(account)
        .filter(outbound_enabled=True)
        .select_related("carrier_account")
        .order_by("created_at", "pk")
    )
    if wanted:
        number = numbers.filter(phone_number=wanted).first()
        if number is None:
            raise ApiError(
                "from_number_not_found",
                "from_number is not one of your imported numbers with outbound calls enabled.",
                details={"field": "from_number"},
            )
        return number
    number = numbers.filter(agent=agent).first()
    if number is None and agent.phone_number:
        number = numbers.filter(phone_number=agent.phone_number).first()
    if number is None:
        raise ApiError(
            "agent_missing_phone_number",
            "The agent has no number with outbound calls enabled. Attach one, or send from_number.",
        )
    return number


@transaction.atomic
def place_call(
    account: Account,
    *,
    agent: Agent,
    number: PhoneNumber,
    to_number: str,
    prompt: str = "",
    variables: dict[str, str] | None = None,
    metadata: dict[str, Any] | None = None,
    campaign_id: str = "",
    voicemail_message: str | None = None,
    voicemail_action: str = "",
    dial_before: datetime | None = None,
) -> Call:
    """Record an outbound call and have a worker dial it once the row is committed.

    The caller has checked that ``agent`` and ``number`` are the account's and may call;
    ``to_number`` is E.164. A call that could not be dialled until ``dial_before`` is canceled.

    Raises ApiError 403 ``recipient_unsubscribed`` for a person who asked not to be called, and
    leaves no row.
    """
    refuse_if_suppressed(account, to_number)
    asked = Call(
        to_number=to_number,
        prompt=prompt,
        variables=variables or {},
        metadata=metadata or {},
        campaign_id=campaign_id,
        voicemail_message=voicemail_message,
        voicemail_action=voicemail_action,
        dial_before=dial_before,
    )
    return place_calls(account, agent=agent, number=number, asked=[asked])[0]


@transaction.atomic
def place_calls(
    account: Account, *, agent: Agent, number: PhoneNumber, asked: Sequence[Call]
) -> list[Call]:
    """Record outbound calls (``asked``: unsaved, each says whom to call and why) and have workers
    dial them once the rows are committed.

    What ``place_call`` says of the caller holds; the caller has also asked the do-not-contact list,
    in this transaction.
    """
    for call in asked:
        call.account, call.agent, call.number = account, agent, number
        call.agent_public_id, call.from_number = agent.agent_id, number.phone_number
        call.direction = Call.Direction.OUTBOUND
    calls = Call.objects.bulk_create(asked)
    CallEvent.objects.bulk_create(CallEvent(call=call, kind="queued") for call in calls)
    for _ in range(min(len(calls), WORKERS_WOKEN)):
        transaction.on_commit(nudges.dial_next, robust=True)
    return calls


@transaction.atomic
def move_call(
    call_pk: int,
    status: str,
    *,
    at: datetime | None = None,
    duration_s: int | None = None,
    error_code: int | None = None,
    error_message: str = "",
) -> bool:
    """Move a call to ``status``; return whether anything changed.

    The carrier repeats its callbacks and delivers them out of order, so a move that ``Call.NEXT``
    does not allow is old news, not an error. ``at`` is when it happened (default now);
    ``duration_s`` is the connected time as the carrier counts it, with an ending.
    """
    call = Call.objects.select_for_update().get(pk=call_pk)
    if status not in Call.NEXT.get(call.status, ()):
        return False
    if status in Call.TERMINAL:
        _end(call, status, at, duration_s, error_code, error_message)
        return True
    call.status = status
    changed = ["status"]
    if status == Call.Status.IN_PROGRESS and call.answered_at is None:
        call.answered_at = at or timezone.now()
        changed.append("answered_at")
    call.save(update_fields=changed)
    record(call, status)
    if status == Call.Status.IN_PROGRESS:
        news.tell_started(call)
    elif status == Call.Status.RINGING:
        transaction.on_commit(partial(openings.want, call.pk), robust=True)
    return True


def bind(call: Call, sid: str, *, attempt: int) -> None:
    """Note in ``call``, whose row the caller holds, that the carrier has it as ``sid``."""
    call.carrier_sid = sid
    call.save(update_fields=["carrier_sid"])
    record(call, "accepted", attempt=attempt)
    move_call(call.pk, Call.Status.INITIATED)


def bind_waiting(call: Call, sid: str, *, attempt: int) -> bool:
    """Do so for a call that still waits to be dialled, in two queries; False if it does not, or
    the carrier's call is another one's."""
    others = Call.objects.filter(carrier_sid=sid)
    waiting = Call.objects.filter(pk=call.pk, status=Call.Status.QUEUED, carrier_sid="")
    if not waiting.exclude(Exists(others)).update(carrier_sid=sid, status=Call.Status.INITIATED):
        return False
    CallEvent.objects.bulk_create(
        [
            CallEvent(call=call, kind="accepted", data={"attempt": attempt}),
            CallEvent(call=call, kind=Call.Status.INITIATED),
        ]
    )
    return True


def end_call(
    call_pk: int,
    status: str,
    *,
    at: datetime | None = None,
    duration_s: int | None = None,
    error_code: int | None = None,
    error_message: str = "",
) -> bool:
    """End a call, once: its reason, connected time and minutes are settled and its line is free.

    Returns False if it is over already. The reason is what the engine meant (``intend_end``), else
    what ``status`` (one of ``Call.TERMINAL``) and the direction say.
    """
    if status not in Call.TERMINAL:
        raise ValueError(f"{status} is no ending")
    return move_call(
        call_pk,
        status,
        at=at,
        duration_s=duration_s,
        error_code=error_code,
        error_message=error_message,
    )


def _end(
    call: Call,
    status: str,
    at: datetime | None,
    duration_s: int | None,
    error_code: int | None,
    error_message: str,
) -> None:
    # The carrier's clock counts whole seconds and may be a little behind ours.
    call.ended_at = max(at or timezone.now(), call.created_at)
    call.status = status
    taken_at = transfers.end_with(call)
    call.ended_reason = call.intended_reason or (
        Call.EndedReason.TRANSFERRED if taken_at else _derived_reason(call, status)
    )
    call.error_code = error_code
    call.error_message = error_message
    if duration_s is not None:
        # The same whether or not, and in which order, the other callbacks came.
        connected = timedelta(seconds=duration_s)
        call.answered_at = call.ended_at - connected if duration_s else None
    else:
        connected = call.ended_at - call.answered_at if call.answered_at else timedelta()
    call.duration_ms = max(0, round(connected / timedelta(milliseconds=1)))
    if call.ended_reason == Call.EndedReason.VOICEMAIL_DETECTED and not call.voicemail_detected:
        call.voicemail_detected = True
        call.voicemail_detection_method = call.voicemail_detection_method or BY_TRANSCRIPT
    call.charged_minutes = _charged_minutes(call, taken_at)
    if call.answered_at is not None or connected:
        call.avg_latency_ms = average_latency_ms(call)
    call.save(
        update_fields=[
            "ended_at",
            "status",
            "ended_reason",
            "error_code",
            "error_message",
            "answered_at",
            "duration_ms",
            "charged_minutes",
            "voicemail_detected",
            "voicemail_detection_method",
            "avg_latency_ms",
        ]
    )
    record(call, "ended", status=status, reason=call.ended_reason)
    usage.count_ended(call)
    Aftercare.objects.create(call=call)
    transaction.on_commit(partial(_announce_end, call.pk), robust=True)
    transaction.on_commit(partial(nudges.after_call, call.pk), robust=True)
    transaction.on_commit(nudges.dial_soon, robust=True)  # its line is free
    transaction.on_commit(partial(openings.forget, call.pk), robust=True)


def _charged_minutes(call: Call, taken_at: datetime | None) -> Decimal:
    """The connected time; of a transferred call that until a person took it (spec 6.7.1)."""
    if call.voicemail_detected:
        return Decimal(0)
    ms = call.duration_ms
    if taken_at is not None and call.answered_at is not None:
        ms = min(ms, max(0, round((taken_at - call.answered_at) / timedelta(milliseconds=1))))
    return (Decimal(ms) / _MINUTE).quantize(_CENT)


@transaction.atomic
def note_transferred(call_pk: int) -> bool:
    """Correct the record of a call that ended before the carrier told that a person had taken it;
    return whether there was anything to correct.
    """
    call = Call.objects.select_for_update().get(pk=call_pk)
    taken = call.transfers.bridged().last()
    if taken is None or not call.is_over or call.ended_reason == Call.EndedReason.TRANSFERRED:
        return False
    call.ended_reason = Call.EndedReason.TRANSFERRED
    charged, call.charged_minutes = call.charged_minutes, _charged_minutes(call, taken.bridged_at)
    call.save(update_fields=["ended_reason", "charged_minutes"])
    usage.count_less(call, charged)
    record(call, "transferred after all")
    return True


def _announce_end(call_pk: int) -> None:
    for receiver, result in call_ended.send_robust(Call, call_pk=call_pk):
        if isinstance(result, Exception):
            logger.error("call_ended receiver %s failed", receiver, exc_info=result)


def _derived_reason(call: Call, status: str) -> str:
    """Spec 6.2: who hung up where the call was connected, else the carrier's word."""
    if call.direction == Call.Direction.INBOUND:
        failed = status == Call.Status.FAILED
        return Call.EndedReason.FAILED if failed else Call.EndedReason.CALLER_HANGUP
    if status == Call.Status.COMPLETED:
        return Call.EndedReason.CALLEE_HANGUP
    return Call.EndedReason(status)


def average_latency_ms(call: Call) -> int | None:
    """Return the mean answer latency of the call's committed turns, or None if nothing was
    answered."""
    mean = call.turns.aggregate(mean=Avg("latency_ms"))["mean"]
    return None if mean is None else round(mean)


@transaction.atomic
def withdraw(call_pk: int, why: str) -> bool:
    """Cancel a call that waits to be dialled; False if it is being dialled, or past that.

    A call it withdraws has rung nowhere. ``why`` is for the person who placed it.
    """
    call = Call.objects.select_for_update().get(pk=call_pk)
    if call.status != Call.Status.QUEUED or (DialAttempt.objects.open().filter(call=call).exists()):
        return False
    return move_call(call_pk, Call.Status.CANCELED, error_message=why)


@transaction.atomic
def turn_away(call_pk: int) -> bool:
    """Drop an inbound call that was never answered: it leaves no row, and its line is free.

    False, and nothing dropped, once the call was connected or is over.
    """
    rings = Call.objects.select_for_update().filter(
        pk=call_pk, direction=Call.Direction.INBOUND, status=Call.Status.RINGING
    )
    return bool(rings.delete()[0])


@transaction.atomic
def intend_end(call_pk: int, reason: str) -> bool:
    """Commit why the call is about to be ended, before anybody hangs up. The first intention stays.

    Returns False if there was one already, or the call is over.
    """
    call = Call.objects.select_for_update().get(pk=call_pk)
    if call.is_over or call.intended_reason:
        return False
    call.intended_reason = Call.EndedReason(reason)
    call.save(update_fields=["intended_reason"])
    record(call, "ending", reason=call.intended_reason)
    return True


@transaction.atomic
def note_answered_by(call_pk: int, answered_by: str) -> bool:
    """Store the carrier's answering-machine verdict; return whether it is news of a call that is
    not over. What comes of it is the live engine's to say (``note_voicemail``).
    """
    call = Call.objects.select_for_update().get(pk=call_pk)
    if call.amd_result:
        return False
    call.amd_result = answered_by[:24]
    call.save(update_fields=["amd_result"])
    record(call, "amd", answered_by=call.amd_result)
    return not call.is_over


@transaction.atomic
def note_voicemail(call_pk: int, method: str) -> None:
    """Store that a voicemail answered, and by which of ``calls.machines``' methods it was known.

    The live engine decides that, from the carrier's verdict and from what is said. A call it says
    so of is not charged, also if the ending came first.
    """
    call = Call.objects.select_for_update().get(pk=call_pk)
    call.voicemail_detected, call.voicemail_detection_method = True, method
    call.charged_minutes = Decimal(0)
    call.save(update_fields=["voicemail_detected", "voicemail_detection_method", "charged_minutes"])


def note_latency(call_pk: int) -> None:
    """Bring the call's average answer latency up to date with its committed turns."""
    call = Call.objects.get(pk=call_pk)
    Call.objects.filter(pk=call_pk).update(avg_latency_ms=average_latency_ms(call))
