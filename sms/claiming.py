"""Whose turn it is to be sent: in order for each person, at the carrier's pace for each number and
account, and nobody who said no.

Written as SQL, which is ready at once: all of it is asked for every text.
"""

import threading
import time
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from accounts.suppression import TEXT, is_suppressed
from sms import failures
from sms.hours import waits_until
from sms.known_numbers import known_numbers
from sms.models import Message, MessagePart, Thread
from sms.statuses import locked, note_status
from sms.window import open_window, take_back

log = structlog.get_logger(__name__)

# Any number, the same for every process of one database.
_LOCK = 0x6E78_7365_6E64
# A run waits so long for the pace; what takes longer is left to the next one.
SOON = timedelta(seconds=0.5)
_waiting = threading.Lock()
# A text that cannot even be judged is looked at again after this long.
NOT_CLAIMED_PAUSE = timedelta(minutes=10)
# A campaign goes on once its agent and number are switched on again.
CAMPAIGN_PAUSE = timedelta(minutes=1)
_BY_AGENTS = frozenset({Message.Origin.API, Message.Origin.CAMPAIGN, Message.Origin.AUTO_REPLY})

# Of one person's parts the first, and none while any is in doubt: a later one may have been
# committed before it. Whoever writes at night is answered then, whatever waits for the morning.
_READY = """
    FROM sms_messagepart AS part
    JOIN sms_thread AS thread ON thread.id = part.thread_id
    WHERE part.status = 'waiting' AND part.send_after <= %(now)s
        AND NOT EXISTS (
            SELECT 1 FROM sms_messagepart AS other
            WHERE other.thread_id = part.thread_id
                AND other.status IN ('waiting', 'sending', 'unknown')
                AND (other.status <> 'waiting' OR other.id < part.id)
                AND NOT (
                    other.status = 'waiting' AND other.attempts = 0
                    AND other.send_after > %(now)s AND other.message_id <> part.message_id
                )
        )
"""
_DUE = f"""
    SELECT part.id
    {_READY}
        AND NOT EXISTS (
            SELECT 1 FROM sms_pace AS pace
            WHERE pace.key IN (thread.our_number, 'account:' || thread.account_id)
                AND pace.next_at > %(now)s
        )
    ORDER BY part.id
    LIMIT 1
"""  # noqa: S608 (constants)
# When a part that is due, but for the pace, may go.
_NEXT_AT = f"""
    SELECT min(
        (
            SELECT max(pace.next_at) FROM sms_pace AS pace
            WHERE pace.key IN (thread.our_number, 'account:' || thread.account_id)
        )
    )
    {_READY}
"""  # noqa: S608 (constants)
_THREAD = "SELECT * FROM sms_thread WHERE id = %s FOR NO KEY UPDATE"
_TAKE = "UPDATE sms_messagepart SET status = %s, attempts = %s, sending_at = %s WHERE id = %s"
_SENT = "UPDATE sms_message SET sent_at = %s WHERE id = %s"
_KEEP_PACE = """
    INSERT INTO sms_pace (key, next_at) SELECT * FROM unnest(%s::text[], %s::timestamptz[])
    ON CONFLICT (key) DO UPDATE SET next_at = excluded.next_at
"""


def wait_for_pace() -> bool:
    """Wait until the pace lets the next part go; False, at once, if none will go soon.

    One run of each process waits, so that others do not stand in the way of other work.
    """
    if not _waiting.acquire(blocking=False):
        return False
    try:
        now = timezone.now()
        with connection.cursor() as cursor:
            cursor.execute(_NEXT_AT, {"now": now})
            [next_at] = cursor.fetchone() or [None]
        if next_at is None or next_at - now > SOON:
            return False
        time.sleep(max(0.0, (next_at - now).total_seconds()))
        return True
    finally:
        _waiting.release()


def claim_next() -> MessagePart | None:
    """Take the longest-waiting part that may go now, committed as ``sending``, with its text,
    thread and number; None: nothing may.

    Whoever asked not to be contacted is found out here, at the last moment. The lock is held for a
    few queries, never while the carrier is asked, and for one part only.
    """
    while True:
        pk = None
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                now = timezone.now()
                if (pk := _due(now)) is None:
                    return None
                if (part := _claim(pk, now)) is not None:
                    return part
        except Message.DoesNotExist:
            continue  # its person was erased meanwhile
        except Exception as failure:
            # One text's trouble must not hold up all others.
            if pk is None or isinstance(failure, OperationalError):
                raise
            log.error("text_not_claimed", part=pk, error=type(failure).__name__)
            waiting = MessagePart.objects.filter(pk=pk, status=MessagePart.Status.WAITING)
            waiting.update(send_after=timezone.now() + NOT_CLAIMED_PAUSE)


def _claim(part_pk: int, now: datetime) -> MessagePart | None:
    """Take a part that is due; None: it may not go now, or never, and that is written down."""
    message, part = locked(part_pk)
    if part.status != MessagePart.Status.WAITING:
        return None
    thread = _thread_of(message)
    waits = message.origin == Message.Origin.CAMPAIGN and _is_off(message, thread)
    if until := now + CAMPAIGN_PAUSE if waits else waits_until(message, part, now):
        message.parts.update(send_after=until, attempts=0)  # none of it has gone
        return None
    if why := _forbidden(message, thread):
        code, words = why
        note_status(part.pk, MessagePart.Status.FAILED, error_code=code, error_message=words)
        if message.sent_at is not None:  # an attempt before did not reach the carrier
            take_back(message)
        return None
    _take(message, part, now)
    part.message, part.thread = message, thread
    return part


def _is_off(message: Message, thread: Thread) -> bool:
    """Whether the agent, or for what is not an answer the number, was switched off since a text was
    asked for. Half a text is not held back."""
    if message.origin not in _BY_AGENTS or message.sent_at is not None:
        return False
    agent_off = message.agent is not None and not message.agent.is_active
    is_answer = message.origin == Message.Origin.AUTO_REPLY
    number = thread.number
    return agent_off or not (is_answer or number is None or number.outbound_enabled)


def _due(now: datetime) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"now": now})
        found = cursor.fetchone()
    return found[0] if found else None


def _thread_of(message: Message) -> Thread:
    """Lock a text's thread; it, its number and the text know each other and their account."""
    [thread] = Thread.objects.raw(_THREAD, [message.thread_id])
    number = known_numbers([thread.number_id or 0]).get(thread.number_id or 0)
    if number is not None:
        thread.number, thread.account = number, number.account
        if message.agent_id is not None and message.agent_id == number.agent_id:
            message.agent = number.agent
    message.thread, message.account = thread, thread.account
    return thread


def _take(message: Message, part: MessagePart, now: datetime) -> None:
    thread = message.thread
    part.status, part.sending_at = MessagePart.Status.SENDING, now
    part.attempts += 1
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [part.status, part.attempts, now, part.pk])
        if part.number == 1:
            message.sent_at = now
            cursor.execute(_SENT, [now, message.pk])
        # Carriers count segments. A little less: ticks come each second, and not exactly.
        pause = {
            thread.our_number: (part.segments - 0.1) / settings.SMS_PER_NUMBER_PER_SECOND,
            f"account:{thread.account_id}": (part.segments - 0.1)
            / settings.SMS_PER_ACCOUNT_PER_SECOND,
        }
        next_at = [now + timedelta(seconds=seconds) for seconds in pause.values()]
        cursor.execute(_KEEP_PACE, [list(pause), next_at])
    if part.number == 1 and message.origin in Message.STARTS:
        open_window(thread, message, now)


def _forbidden(message: Message, thread: Thread) -> tuple[int | None, str] | None:
    if thread.number_id is None:
        return None, failures.NO_NUMBER
    if not thread.account.is_active:
        return None, failures.SWITCHED_OFF
    if _is_off(message, thread):
        return None, failures.AGENT_OFF
    if message.origin == Message.Origin.AUTO_REPLY and thread.taken_over_at is not None:
        return None, failures.TAKEN_OVER
    confirms = message.origin == Message.Origin.OPT_OUT  # says only that there will be no more
    if not confirms and is_suppressed(message.account, message.to_number, TEXT):
        return failures.OPTED_OUT_CODE, failures.SUPPRESSED
    return None
