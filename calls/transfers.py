"""A transfer's life: asked for, moved along ``Transfer.NEXT`` by what the carrier tells, settled
once. Nothing else writes a transfer's status.

The destination is a colleague, whom the operator named: the do-not-contact list is for the people
we call, and is not asked.
"""

import secrets
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone

from calls import nudges
from calls.models import Call, CallEvent, Transfer
from calls.transfer_rules import MOST_TRANSFERS

# By then a destination has answered, heard the whisper, or not: what is open longer is lost news.
OPEN_AT_MOST = timedelta(seconds=90)

S = Transfer.Status
# The carrier's words for a leg that led nowhere. One that is "completed" was picked up, and put
# down before the two were connected.
_FAILURES = {
    "busy": "busy",
    "no-answer": "no-answer",
    "canceled": "canceled",
    "completed": "declined",
}


@transaction.atomic
def ask(
    call_pk: int, *, generation: int, to_number: str, kind: str, after_turn: int
) -> Transfer | None:
    """Commit that the call is to be put through, before the carrier is told.

    ``to_number`` was allowed by the call's ``TransferRules``. None: the call is over, being ended
    or put through already, another socket has it, or it was tried often enough.
    """
    call = Call.objects.select_for_update().get(pk=call_pk)
    done = list(call.transfers.all())
    settled = all(one.status in {S.FAILED, S.CALLER_GONE} for one in done)
    if call.is_over or call.intended_reason or call.media_generation != generation:
        return None
    if not settled or len(done) >= MOST_TRANSFERS:
        return None
    transfer = Transfer.objects.create(
        call=call,
        number=len(done) + 1,
        token=secrets.token_urlsafe(24),
        to_number=to_number,
        kind=kind,
        after_turn=after_turn,
    )
    _record(transfer)
    if kind == Transfer.Kind.WARM:
        transaction.on_commit(partial(nudges.prepare_whisper, transfer.pk), robust=True)
    return transfer


def rings(transfer_pk: int, *, at: datetime | None = None, sid: str = "") -> bool:
    """The carrier was told to ring the destination, or does."""
    return _move(transfer_pk, S.RINGING, at=at, sid=sid)


def answered(transfer_pk: int, *, at: datetime | None = None, sid: str = "") -> bool:
    """The destination picked up: connected at once if cold, else it hears the whisper first."""
    kind = Transfer.objects.values_list("kind", flat=True).get(pk=transfer_pk)
    status = S.BRIDGED if kind == Transfer.Kind.COLD else S.WHISPERING
    return _move(transfer_pk, status, at=at, sid=sid)


def joined(transfer_pk: int, *, at: datetime | None = None, sid: str = "") -> bool:
    """The destination has heard the whisper and talks to the caller from now on."""
    return _move(transfer_pk, S.BRIDGED, at=at, sid=sid)


def failed(transfer_pk: int, failure: str) -> bool:
    """Nobody took the call. ``failure`` is the carrier's word for why."""
    return _move(transfer_pk, S.FAILED, failure=_FAILURES.get(failure, "failed"))


@transaction.atomic
def never_talked(transfer_pk: int) -> None:
    """The carrier says at the end that the two were not connected, though the whisper was over: the
    colleague had hung up at that moment. The caller is on the line, and the agent's again.
    """
    call_pk = Transfer.objects.values_list("call_id", flat=True).get(pk=transfer_pk)
    call = Call.objects.select_for_update().get(pk=call_pk)
    transfer = Transfer.objects.select_for_update().get(pk=transfer_pk)
    if transfer.status == S.BRIDGED and not call.is_over:
        _to(transfer, S.FAILED, timezone.now(), _FAILURES["completed"])


def parted(transfer_pk: int, *, at: datetime | None = None) -> None:
    """The two have stopped talking to each other."""
    Transfer.objects.bridged().filter(pk=transfer_pk, ended_at=None).update(
        ended_at=at or timezone.now()
    )


@transaction.atomic
def _move(
    transfer_pk: int,
    status: str,
    *,
    at: datetime | None = None,
    sid: str = "",
    failure: str = "",
) -> bool:
    """Move a transfer; False, and nothing changed, for old news."""
    call_pk = Transfer.objects.values_list("call_id", flat=True).get(pk=transfer_pk)
    call = Call.objects.select_for_update().get(pk=call_pk)
    transfer = Transfer.objects.select_for_update().get(pk=transfer_pk)
    if sid and not transfer.carrier_sid:
        transfer.carrier_sid = sid
        transfer.save(update_fields=["carrier_sid"])
    if status not in Transfer.NEXT.get(transfer.status, ()):
        return False
    _to(transfer, status, min(at or timezone.now(), timezone.now()), failure)
    if status == S.BRIDGED and not call.is_over:
        transaction.on_commit(nudges.dial_next, robust=True)  # its line is free
    return True


def _to(transfer: Transfer, status: str, at: datetime, failure: str = "") -> None:
    transfer.status, transfer.failure = status, failure
    match status:
        case S.RINGING:
            transfer.ringing_at = at
        case S.WHISPERING:
            transfer.answered_at = at
        case S.BRIDGED:
            transfer.answered_at = transfer.answered_at or at
            transfer.bridged_at = max(at, transfer.asked_at)
            transfer.ended_at = transfer.call.ended_at
        case _:
            transfer.ended_at, transfer.bridged_at = at, None
    transfer.save(
        update_fields=[
            "status", "failure", "ringing_at", "answered_at", "bridged_at", "ended_at",
        ]
    )  # fmt: skip
    _record(transfer, **({"failure": failure} if failure else {}))


def end_with(call: Call) -> datetime | None:
    """The locked ``call`` is over: settle what was open, and return when somebody had taken it."""
    last = call.transfers.select_for_update().last()
    if last is None or call.ended_at is None:
        return None
    if last.is_open:
        _to(last, S.CALLER_GONE, call.ended_at)
    elif last.status == S.BRIDGED and last.ended_at is None:
        last.ended_at = call.ended_at
        last.save(update_fields=["ended_at"])
    return last.bridged_at


def is_away(call: Call) -> bool:
    """Whether the call is being put through, or was: no agent may speak on it now."""
    held = (*Transfer.OPEN, S.BRIDGED)
    return call.transfers.filter(status__in=held).exists()


def _record(transfer: Transfer, **data: str) -> None:
    CallEvent.objects.create(
        call_id=transfer.call_id,
        kind="transfer",
        data={
            "number": transfer.number,
            "type": transfer.kind,
            "status": str(transfer.status),
            **data,
        },
    )
