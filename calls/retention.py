"""Forgetting: one call, all of them, what is too old, or everything about a person (spec 6.17).

Files go before rows: what breaks off half-way is found and finished by the next run. The log of
webhook deliveries stays without what was told, and so does that somebody must not be called.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import suppression
from accounts.errors import ApiError, not_found_error
from accounts.keys import revoke_key
from accounts.models import Account, CarrierAccount, Suppression
from accounts.steps import by_itself
from agents import history
from agents.models import Agent, Caller, Note, PhoneNumber
from agents.numbers import release_number
from calls.models import Call, CallQuerySet
from calls.outputs import CallOutput
from calls.signals import account_closed, person_exported, person_forgotten, too_old
from sms import recovery
from sms.models import Message, Thread, ToolRound
from sms.remembering import keep_outcomes
from webhooks import outbox

logger = logging.getLogger(__name__)

_AT_ONCE = 200
# One run of the daily purge takes so many calls, then another goes on.
PURGE_AT_MOST = 5_000
_TEXT_FIELDS = (
    "message_id",
    "direction",
    "origin",
    "from_number",
    "to_number",
    "status",
    "body",
    "metadata",
    "created_at",
)
_WISH_FIELDS = ("scope", "source", "evidence", "created_at", "lifted_at")


@dataclass(frozen=True, slots=True)
class Erased:
    calls: int = 0
    recordings: int = 0
    texts: int = 0


def delete_call(account: Account, call_id: str) -> Erased:
    """Erase one call, by our id or the carrier's: record, transcript, analysis, note, recording.

    Raises ApiError ``not_found`` (404), ``call_in_progress`` (409).
    """
    either = Q(call_id=call_id) | Q(carrier_sid=call_id)
    call = None if "\0" in call_id else Call.objects.of(account).filter(either).first()
    if call is None:
        raise not_found_error("not_found", "Call not found.")
    if not call.is_over:
        raise ApiError(
            "call_in_progress", "The call is not over yet. Delete it once it has ended.", 409
        )
    return _erase(account, [call])


def delete_all(account: Account) -> Erased:
    """Erase every finished call of an account, and every text."""
    calls, recordings = _erase_all(Call.objects.of(account))
    return Erased(calls, recordings, _erase_texts(account))


def purge(now: datetime | None = None) -> bool:
    """Erase what is older than ``RETENTION_DAYS``; return whether some is left for another run."""
    now = now or timezone.now()
    before = now - timedelta(days=settings.RETENTION_DAYS)
    old = Call.objects.filter(created_at__lt=before)
    calls = texts = 0
    with by_itself("erasing old calls"):
        calls, _ = _erase_all(old, at_most=PURGE_AT_MOST, leaves_stuck=True)
    with by_itself("erasing old texts"):
        texts = _purge_texts(before)
    with by_itself("forgetting erased texts"):
        recovery.forget_erased(now)
    with by_itself("erasing what others keep of old calls"):
        too_old.send(Call, before=before)
    with by_itself("erasing old notes"):
        history.forget_before(before)
    with by_itself("erasing old events"):
        outbox.delete_before(before)
    if calls or texts:
        days = settings.RETENTION_DAYS
        logger.info("erased %s calls and %s texts older than %s days", calls, texts, days)
    return calls >= PURGE_AT_MOST


def forget_person(account: Account, person: str) -> Erased:
    """Erase everything about a number in E.164: calls, recordings, texts, notes, caller context.

    Of a wish not to be contacted the keyed hash stays, so it is still honoured. ApiError 409
    ``call_in_progress`` while they are on the line, or if they came to be meanwhile.
    """
    calls = Call.objects.of(account).filter(Q(to_number=person) | Q(from_number=person))
    _require_no_call(calls)
    erased, recordings = _erase_all(calls)
    texts = _erase_texts(account, person)
    history.forget(account, person)
    suppression.erase_number(account, person)
    person_forgotten.send(Account, account=account, phone_number=person)
    _require_no_call(calls)  # one that a campaign placed before they were taken out of it
    return Erased(erased, recordings, texts)


def _require_no_call(calls: CallQuerySet) -> None:
    if calls.unfinished().exists():
        raise ApiError("call_in_progress", "There is a call with this number right now.", 409)


def close_account(account: Account) -> None:
    """Erase all that an account has, let its numbers go, and end its keys. The row stays, with its
    wishes not to be contacted. ApiError 409 ``call_in_progress`` while anybody talks.
    """
    if Call.objects.of(account).on_the_line().exists():
        raise ApiError("call_in_progress", "Calls are in progress. Try again after them.", 409)
    Account.objects.filter(pk=account.pk).update(is_active=False)
    account_closed.send(Account, account=account)
    _erase_all(Call.objects.of(account), finished_only=False)
    _erase_texts(account)
    for number in PhoneNumber.objects.of(account):
        release_number(account, number.phone_number)
    outbox.forget_account(account)
    with transaction.atomic():
        Note.objects.filter(account=account).delete()
        Agent.objects.of(account).delete()
        CarrierAccount.objects.filter(account=account).delete()
        for key in account.api_keys.filter(revoked_at=None):
            revoke_key(key)


def export_person(account: Account, person: str) -> dict[str, Any]:
    """Return everything the account holds about a number in E.164, as JSON-ready values."""
    calls = Call.objects.of(account).filter(Q(to_number=person) | Q(from_number=person))
    notes = Note.objects.about(account, person)
    callers = Caller.objects.filter(number__account=account, caller_number=person)
    texts = Message.objects.filter(thread__account=account, thread__their_number=person)
    number_hashes = suppression.number_hashes(account, person)
    wishes = Suppression.objects.of(account).filter(number_hash__in=number_hashes)
    exported: dict[str, Any] = {
        "phone_number": person,
        "exported_at": timezone.now().isoformat(),
        "calls": CallOutput(calls.prefetch_related("turns", "transfers"), many=True).data,
        "texts": list(texts.order_by("created_at").values(*_TEXT_FIELDS)),
        "tools_used_by_text": list(
            ToolRound.objects.filter(message__in=texts)
            .order_by("created_at")
            .values("message__message_id", "asked", "results", "bookings", "created_at")
        ),
        "notes": list(
            notes.values("kind", "source", "our_number", "at", "text", "is_private", "is_outbound")
        ),
        "caller_context": [
            {
                "phone_number": caller.number.phone_number,
                **{name: getattr(caller, name) for name in Caller.FIELDS},
                "sources": caller.sources,
            }
            for caller in callers.select_related("number")
        ],
        "suppressions": list(wishes.values(*_WISH_FIELDS)),
    }
    for _, more in person_exported.send(Account, account=account, phone_number=person):
        exported.update(cast(dict[str, Any], more))
    return exported


def _erase_all(
    calls: CallQuerySet,
    *,
    at_most: int | None = None,
    finished_only: bool = True,
    leaves_stuck: bool = False,
) -> tuple[int, int]:
    """Erase calls, oldest first; return how many, and how many recordings they had.

    ``leaves_stuck``: a call whose recording cannot be deleted stays, and the others go; else that
    is an OSError.
    """
    if finished_only:
        calls = calls.filter(status__in=Call.TERMINAL)
    done = recordings = last = 0
    while at_most is None or done < at_most:
        rows = list(calls.filter(pk__gt=last).select_related("account").order_by("pk")[:_AT_ONCE])
        if not rows:
            break
        last = rows[-1].pk
        if leaves_stuck:
            rows = [call for call in rows if _recording_goes(call)]
        by_account: dict[Account, list[Call]] = {}
        for call in rows:
            by_account.setdefault(call.account, []).append(call)
        for account, part in by_account.items():
            recordings += _erase(account, part).recordings
        done += len(rows)
    return done, recordings


def _erase(account: Account, calls: Iterable[Call]) -> Erased:
    rows = list(calls)
    recordings = sum(_delete_recording(call) for call in rows)
    ids = [call.call_id for call in rows]
    with transaction.atomic():
        outbox.erase(account, ids)
        Note.objects.filter(account=account, source__in=ids).delete()
        Call.objects.filter(pk__in=[call.pk for call in rows]).delete()
    return Erased(len(rows), recordings)


def _recording_goes(call: Call) -> bool:
    try:
        _delete_recording(call)
    except OSError as error:
        logger.error("cannot delete the recording of %s: %s", call.call_id, error.strerror)
        return False
    return True


def _delete_recording(call: Call) -> bool:
    path = call.recording_path
    if path is None or not path.resolve().is_relative_to(Path(settings.RECORDINGS_DIR).resolve()):
        return False
    existed = path.is_file()
    path.unlink(missing_ok=True)
    return existed


def _erase_texts(account: Account, person: str | None = None) -> int:
    """Delete the texts of a person, else of everybody; return how many messages that were."""
    with transaction.atomic():
        ids = recovery.erase(account, person)
        outbox.erase(account, ids)
        Note.objects.filter(account=account, source__in=ids).delete()
    return len(ids)


def _purge_texts(before: datetime) -> int:
    """Delete messages from before a moment, and conversations that have none left."""
    texts = 0
    while rows := list(
        Message.objects.filter(created_at__lt=before).select_related("account")[:_AT_ONCE]
    ):
        by_account: dict[Account, list[str]] = {}
        for row in rows:
            by_account.setdefault(row.account, []).append(row.message_id)
        with transaction.atomic():
            for account, ids in by_account.items():
                outbox.erase(account, ids)
            messages = Message.objects.filter(pk__in=[row.pk for row in rows])
            keep_outcomes(messages)
            messages.delete()
        texts += len(rows)
    Thread.objects.filter(last_message_at__lt=before, messages=None).delete()
    return texts
