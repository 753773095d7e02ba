"""What became of a text: the carrier's news, in any order and number, merged by rank."""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import connection, transaction
from django.utils import timezone

from accounts.steps import by_itself
from carriers import twilio
from carriers.errors import CarrierError, Refused
from sms import failures, news
from sms.models import Message, MessagePart, Thread
from sms.remembering import forget_unsent, remember_sent
from sms.window import restore_window

log = structlog.get_logger(__name__)

# The carrier's words for a text, as ours.
STATUS: dict[str, str] = {
    "accepted": MessagePart.Status.QUEUED,
    "scheduled": MessagePart.Status.QUEUED,
    "queued": MessagePart.Status.QUEUED,
    "sending": MessagePart.Status.QUEUED,
    "sent": MessagePart.Status.SENT,
    "partially_delivered": MessagePart.Status.SENT,
    "delivered": MessagePart.Status.DELIVERED,
    "read": MessagePart.Status.DELIVERED,
    "undelivered": MessagePart.Status.UNDELIVERED,
    "failed": MessagePart.Status.FAILED,
    "canceled": MessagePart.Status.FAILED,
}
_BADLY = frozenset({MessagePart.Status.FAILED, MessagePart.Status.UNDELIVERED})
# The record is to be true within 30 s of the carrier's, callback or not …
ASK_EVERY = timedelta(seconds=15)
# … for as long as news is likely; then ever less often, for as long as it is possible.
LIKELY = timedelta(minutes=10)
POSSIBLE = timedelta(hours=72)
_ASK_AT_MOST = 100
RUN_AT_MOST_S = 20.0


# As SQL, which is ready at once: every text and every report is locked so.
_MESSAGE = """
    SELECT * FROM sms_message
    WHERE id = (SELECT message_id FROM sms_messagepart WHERE id = %s)
    FOR NO KEY UPDATE
"""
_PART = "SELECT * FROM sms_messagepart WHERE id = %s FOR NO KEY UPDATE"
_BIND = """
    UPDATE sms_messagepart
    SET carrier_sid = %(sid)s, status = 'queued', error_code = NULL, error_message = '',
        check_at = %(check_at)s
    WHERE id = %(pk)s AND %(sid)s <> ''
        AND NOT EXISTS (SELECT 1 FROM sms_messagepart WHERE carrier_sid = %(sid)s)
"""


def locked(part_pk: int) -> tuple[Message, MessagePart]:
    """Lock message and part, in the order in which everybody does; Message.DoesNotExist if they are
    erased. (``NO KEY``: a report on the part may be committed meanwhile.)"""
    for message in Message.objects.raw(_MESSAGE, [part_pk]):
        for part in MessagePart.objects.raw(_PART, [part_pk]):
            return message, part
    raise Message.DoesNotExist


@transaction.atomic
def bind(part_pk: int, sid: str, now: datetime | None = None) -> bool:
    """Note that ``sid`` is the carrier's text for this part: by its answer, a callback with the
    part's token, or the carrier's list. Return whether it is.

    A part that was given up for lost comes back to life.
    """
    message, part = locked(part_pk)
    if part.carrier_sid:
        return part.carrier_sid == sid
    now = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_BIND, {"pk": part_pk, "sid": sid, "check_at": now + ASK_EVERY})
        if not cursor.rowcount:
            return False  # it is another part's
    if message.sent_at is None:
        message.sent_at = part.sending_at or now
        message.save(update_fields=["sent_at"])
        if message.origin in Message.STARTS:
            restore_window(message.thread_id)
    if message.status != Message.Status.QUEUED:
        update_message(message)
    return True


def rank(status: str) -> int:
    return MessagePart.RANK.get(status, 0)


@transaction.atomic
def note_status(
    part_pk: int, status: str, *, error_code: int | None = None, error_message: str = ""
) -> bool:
    """Raise a part to ``status``; return whether anything changed.

    The carrier repeats and reorders its callbacks: whatever their order, the highest of
    ``MessagePart.RANK`` stays.
    """
    message, part = locked(part_pk)
    if not rise(part, status, error_code, error_message):
        return False
    part.save(update_fields=["status", "error_code", "error_message", "check_at"])
    update_message(message)
    return True


def rise(part: MessagePart, status: str, error_code: int | None, error_message: str) -> bool:
    """Raise a part to ``status``, in memory; return whether anything changed."""
    if rank(status) <= rank(part.status):
        return False
    part.status = status
    part.error_code, part.error_message = error_code, error_message
    if status in MessagePart.ENDINGS:
        part.check_at = None
    return True


def note_carriers_word(part_pk: int, word: str, error_code: int | None) -> bool:
    """As ``note_status``, with one of the carrier's own words; one we do not know changes
    nothing."""
    if (meant := meaning(word, error_code)) is None:
        log.warning("unknown_text_status", part=part_pk, status=word[:20])
        return False
    status, code, words = meant
    return note_status(part_pk, status, error_code=code, error_message=words)


def meaning(word: str, error_code: int | None) -> tuple[str, int | None, str] | None:
    """Return what the carrier means: a part's status, its error and that in words; None for a word
    we do not know."""
    status = STATUS.get(word)
    if status not in _BADLY:
        return None if status is None else (status, None, "")
    return status, error_code, failures.in_words(error_code or 30008)


def update_message(message: Message) -> None:
    """Bring a text's status up to date with its parts, and tell who listens of a change. The caller
    holds the message's row.
    """
    before = message.status
    parts = list(message.parts.order_by("number"))
    for part in settle(message, parts):
        part.save(update_fields=["status", "error_message"])
    message.save(update_fields=["status", "error_code", "error_message", "delivered_at"])
    if message.status == before:
        return
    if has_left(message.status) and not has_left(before):
        remember_sent([message])
    elif has_left(before) and not has_left(message.status):
        forget_unsent(message)
    flag_unanswered([message])
    news.tell(message)


def flag_unanswered(messages: Iterable[Message]) -> None:
    """Have a person look at the threads of those texts that are answers and did not get through,
    but for who wants none."""
    lost = {
        message.thread_id
        for message in messages
        if message.origin == Message.Origin.AUTO_REPLY
        and message.status in _BADLY
        and message.error_code != failures.OPTED_OUT_CODE
    }
    for pk in sorted(lost):
        unflagged = Thread.objects.filter(pk=pk, needs_human="", taken_over_at=None)
        unflagged.update(needs_human="The automatic answer did not reach them.")


def has_left(status: str) -> bool:
    """Say whether a text of this status is with the person, or on its way."""
    return status in {Message.Status.SENT, Message.Status.DELIVERED}


def settle(message: Message, parts: Sequence[MessagePart]) -> list[MessagePart]:
    """Derive a text's status from all of its parts, in memory; return the parts that will not go
    any more, because another failed."""
    failed = min(
        (part for part in parts if part.status in _BADLY),
        # One that was given up because of another does not say what went wrong.
        key=lambda part: (part.error_message == failures.EARLIER_PART, rank(part.status)),
        default=None,
    )
    given_up: list[MessagePart] = []
    if failed is not None:
        # The rest would make no sense without it.
        given_up = [part for part in parts if part.status == MessagePart.Status.WAITING]
        for part in given_up:
            part.status, part.error_message = MessagePart.Status.FAILED, failures.EARLIER_PART
        message.status = Message.Status(failed.status)
        message.error_code, message.error_message = failed.error_code, failed.error_message
    else:
        lowest = min(rank(part.status) for part in parts)
        message.error_code, message.error_message = None, ""
        message.status = {
            MessagePart.RANK[MessagePart.Status.SENT]: Message.Status.SENT,
            MessagePart.RANK[MessagePart.Status.DELIVERED]: Message.Status.DELIVERED,
        }.get(lowest, Message.Status.QUEUED)
    is_delivered = message.status == Message.Status.DELIVERED
    message.delivered_at = (message.delivered_at or timezone.now()) if is_delivered else None
    return given_up


def ask_about_silent(now: datetime | None = None) -> int:
    """Ask the carrier about texts whose callback does not come; return how many it was."""
    now = now or timezone.now()
    silent = (
        MessagePart.objects.filter(check_at__lte=now)
        .exclude(carrier_sid="")
        .select_related("thread__number__carrier_account")
        .order_by("check_at")[:_ASK_AT_MOST]
    )
    until, asked = time.monotonic() + RUN_AT_MOST_S, 0
    for part in silent:
        # Taken by one sweep, where two run at once.
        mine = MessagePart.objects.filter(pk=part.pk, check_at=part.check_at)
        if mine.update(check_at=_next_check(part, now)):
            with by_itself(f"asking about text part {part.pk}"):
                _ask(part)
            asked += 1
        if time.monotonic() > until:
            break  # the carrier is slow, and workers have other work
    return asked


def _next_check(part: MessagePart, now: datetime) -> datetime | None:
    age = now - (part.sending_at or now)
    if age > POSSIBLE:
        return None
    return now + (ASK_EVERY if age < LIKELY else min(age / 10, timedelta(hours=1)))


def _ask(part: MessagePart) -> None:
    number = part.thread.number
    if number is None:
        return
    carrier = number.carrier_account
    try:
        seen = twilio.fetch_message(
            twilio.Account(sid=carrier.sid, token=carrier.auth_token), part.carrier_sid
        )
    except CarrierError as failure:
        if isinstance(failure, Refused) and failure.is_not_found:  # deleted there
            MessagePart.objects.filter(pk=part.pk).update(check_at=None)
            return
        log.warning("text_not_asked_about", part=part.pk, error=type(failure).__name__)
    else:
        note_carriers_word(part.pk, seen.status, seen.error_code)
