"""Send once, in order, at the carrier's pace.

The carrier's create-message is not idempotent, so a part is committed as ``sending`` before the
request, and one whose answer did not arrive is settled by what the carrier does next, never by
sending it again (DESIGN decision 4).
"""

import time
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import CharField, Exists, F, OuterRef, Q, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from accounts.models import Suppression
from accounts.suppression import TEXT, is_suppressed, suppress
from carriers import twilio
from carriers.errors import Ambiguous, CarrierError, Refused, Unavailable
from sms import failures
from sms.hours import waits_until
from sms.models import Message, MessagePart, Pace, TextRecipient, Thread, held
from sms.statuses import bind, locked, note_status, update_message
from sms.window import open_window, restore_window

log = structlog.get_logger(__name__)

# Any number, the same for every process of one database.
_LOCK = 0x6E78_7365_6E64
# A run of the queue ends then, well before its task would be killed; the next one goes on.
RUN_AT_MOST_S = 30.0
# Pauses after attempts that did not reach the carrier; after the last, the text has failed.
PAUSES_S = (5, 10, 20, 40, 80, 160)
# A sending process that has not written the outcome after this long has died on the way.
SENDING_AT_MOST = timedelta(seconds=60)
# The carrier's clock and ours differ a little, and its times have whole seconds.
CLOCK_SKEW = timedelta(seconds=5)
_RECONCILE_AT_MOST = 20
# A text that cannot even be judged is looked at again after this long.
NOT_CLAIMED_PAUSE = timedelta(minutes=10)


def send_due() -> int:
    """Send the texts that are due; return how many were handed to the carrier.

    Safe to run any number of times at once: each run takes other parts.
    """
    until, sent = time.monotonic() + RUN_AT_MOST_S, 0
    while time.monotonic() < until and (part := claim_next()) is not None:
        _send(part)
        sent += 1
    return sent


def _due(now: datetime) -> MessagePart | None:
    # A later one may be with the carrier: it was committed first.
    in_doubt = Q(status__in=[MessagePart.Status.SENDING, MessagePart.Status.UNKNOWN])
    # Whoever writes at night is answered then, whatever waits for the morning.
    before = (
        MessagePart.objects.unsent()
        .filter(in_doubt | Q(pk__lt=OuterRef("pk")), thread=OuterRef("thread"))
        .exclude(held(now) & ~Q(message=OuterRef("message")))
    )
    busy = Pace.objects.filter(next_at__gt=now)
    account_key = Concat(Value("account:"), Cast(OuterRef("thread__account"), CharField()))
    return (
        MessagePart.objects.filter(status=MessagePart.Status.WAITING, send_after__lte=now)
        .exclude(Exists(before))
        .exclude(Exists(busy.filter(key=OuterRef("thread__our_number"))))
        .exclude(Exists(busy.filter(key=account_key)))
        .order_by("pk")
        .first()
    )


def claim_next() -> MessagePart | None:
    """Take the longest-waiting part that may go now, committed as ``sending``, with its text,
    thread and number; None: nothing may.

    Whoever asked not to be contacted is found out here, at the last moment. The lock is held for a
    few queries, never while the carrier is asked, and for one part only.
    """
    while True:
        found = None
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                now = timezone.now()
                if (found := _due(now)) is None:
                    return None
                if (part := _claim(found.pk, now)) is not None:
                    return part
        except Exception as failure:
            # One text's trouble must not hold up all others.
            if found is None or isinstance(failure, OperationalError):
                raise
            log.error("text_not_claimed", part=found.pk, error=type(failure).__name__)
            waiting = MessagePart.objects.filter(pk=found.pk, status=MessagePart.Status.WAITING)
            waiting.update(send_after=timezone.now() + NOT_CLAIMED_PAUSE)


def _claim(part_pk: int, now: datetime) -> MessagePart | None:
    """Take a part that is due; None: it may not go now, or never, and that is written down."""
    message, part = locked(part_pk, "account", "agent", "answers")
    if part.status != MessagePart.Status.WAITING:
        return None
    thread = (
        Thread.objects.select_for_update(no_key=True, of=("self",))
        .select_related("account", "number__carrier_account")
        .get(pk=part.thread_id)
    )
    if until := waits_until(message, part, thread, now):
        message.parts.update(send_after=until)
        return None
    if why := _forbidden(message, thread):
        code, words = why
        note_status(part.pk, MessagePart.Status.FAILED, error_code=code, error_message=words)
        return None
    part.status = MessagePart.Status.SENDING
    part.attempts += 1
    part.sending_at = now
    part.save(update_fields=["status", "attempts", "sending_at"])
    if part.number == 1:
        message.sent_at = now
        message.save(update_fields=["sent_at"])
        if message.origin in Message.STARTS:
            open_window(thread, message, now)
    _keep_pace(thread, part.segments, now)
    part.message, part.thread = message, thread
    return part


def _forbidden(message: Message, thread: Thread) -> tuple[int | None, str] | None:
    if thread.number_id is None:
        return None, failures.NO_NUMBER
    if not thread.account.is_active:
        return None, failures.SWITCHED_OFF
    if message.origin == Message.Origin.AUTO_REPLY and thread.taken_over_at is not None:
        return None, failures.TAKEN_OVER
    confirms = message.origin == Message.Origin.OPT_OUT  # says only that there will be no more
    if not confirms and is_suppressed(message.account, message.to_number, TEXT):
        return failures.OPTED_OUT_CODE, failures.SUPPRESSED
    return None


def _keep_pace(thread: Thread, segments: int, now: datetime) -> None:
    """Note when the number and the account may send again: carriers count segments."""
    # A little less: ticks come each second, and not exactly.
    Pace.objects.bulk_create(
        (
            Pace(key=key, next_at=now + timedelta(seconds=(segments - 0.1) / per_second))
            for key, per_second in (
                (thread.our_number, settings.SMS_PER_NUMBER_PER_SECOND),
                (f"account:{thread.account_id}", settings.SMS_PER_ACCOUNT_PER_SECOND),
            )
        ),
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["next_at"],
    )


def _send(part: MessagePart) -> None:
    thread = part.thread
    try:
        taken = twilio.send_message(
            credentials(thread),
            to=thread.their_number,
            from_=thread.our_number,
            body=part.body,
            status_url=f"{settings.PUBLIC_URL}/twilio/sms-status/?p={part.token}",
        )
    except Refused as refusal:
        if refusal.code == failures.OPTED_OUT_CODE:
            suppress(
                thread.account,
                thread.their_number,
                source=Suppression.Source.CARRIER_21610,
                reason="The carrier refused a text: the person opted out.",
                evidence={"message_id": part.message.message_id},
            )
        _refuse(part.pk, refusal.code, failures.in_words(refusal.code, refusal.message))
    except Unavailable:
        _try_again_later(part.pk)
    except Ambiguous as doubt:
        _doubt_outcome(part.pk, str(doubt))
    else:
        bind(part.pk, taken.sid)


def credentials(thread: Thread) -> twilio.Account:
    """Return the credentials of the thread's number, which is still imported."""
    assert thread.number is not None  # noqa: S101 (the caller has looked)
    carrier = thread.number.carrier_account
    return twilio.Account(sid=carrier.sid, token=carrier.auth_token)


@transaction.atomic
def _refuse(part_pk: int, code: int | None, words: str) -> None:
    message, part = locked(part_pk)
    if part.status not in MessagePart.UNSENT:
        return  # a callback told better
    note_status(part.pk, MessagePart.Status.FAILED, error_code=code, error_message=words)
    _never_left(message)


def _never_left(message: Message) -> None:
    """Take back that the text was sent, where no part of it was."""
    if message.parts.exclude(carrier_sid="").exists():
        return
    Message.objects.filter(pk=message.pk).update(sent_at=None)
    if message.origin in Message.STARTS:
        restore_window(message.thread_id)


@transaction.atomic
def _try_again_later(part_pk: int) -> None:
    message, part = locked(part_pk)
    if part.status != MessagePart.Status.SENDING:
        return
    if _lost_its_campaign(message, part):
        note_status(part.pk, MessagePart.Status.FAILED, error_message=failures.CANCELED)
        _never_left(message)
        return
    if part.attempts > len(PAUSES_S):
        note_status(part.pk, MessagePart.Status.FAILED, error_message=failures.UNREACHABLE)
        _never_left(message)
        return
    part.status = MessagePart.Status.WAITING
    part.send_after = timezone.now() + timedelta(seconds=PAUSES_S[part.attempts - 1])
    part.save(update_fields=["status", "send_after"])
    _never_left(message)
    if message.status != Message.Status.QUEUED:
        update_message(message)  # another part of it failed meanwhile


def _lost_its_campaign(message: Message, part: MessagePart) -> bool:
    """Whether the campaign was called off, with the person in it, while the carrier was asked.
    Half a text is not held back."""
    is_campaigns = message.origin == Message.Origin.CAMPAIGN and part.number == 1
    return is_campaigns and not TextRecipient.objects.filter(message=message).exists()


@transaction.atomic
def _doubt_outcome(part_pk: int, why: str) -> None:
    """Note that nobody knows whether the carrier has the part. ``why`` must hold no number."""
    _, part = locked(part_pk)
    if part.status == MessagePart.Status.SENDING:
        part.status, part.error_message = MessagePart.Status.UNKNOWN, why
        part.save(update_fields=["status", "error_message"])


# --- settling what is not known -----------------------------------------------------------------


def reconcile(now: datetime | None = None) -> None:
    """Settle the parts whose outcome is not known, as far as the carrier's list tells."""
    now = now or timezone.now()
    overdue = MessagePart.objects.filter(
        status=MessagePart.Status.SENDING, sending_at__lt=now - SENDING_AT_MOST
    )
    for pk in overdue.values_list("pk", flat=True):
        _doubt_outcome(pk, "the sending process died on the way")
    unknown = (
        MessagePart.objects.filter(status=MessagePart.Status.UNKNOWN)
        .select_related("thread__number__carrier_account", "message")
        .order_by(F("check_at").asc(nulls_first=True), "pk")[:_RECONCILE_AT_MOST]
    )
    for part in unknown:
        MessagePart.objects.filter(pk=part.pk).update(check_at=now)  # the others first next time
        _look_for(part, now)


def _look_for(part: MessagePart, now: datetime) -> None:
    """Find the carrier's text by its words: one thread has at most one part in doubt."""
    thread, sending_at = part.thread, part.sending_at or now
    try:
        seen = (
            twilio.list_messages(
                credentials(thread),
                to=thread.their_number,
                from_=thread.our_number,
                since=sending_at - CLOCK_SKEW,
            )
            if thread.number
            else []
        )
    except CarrierError as failure:
        # Not asked is not absent: nothing is given up while the carrier does not answer.
        log.warning("texts_not_listed", part=part.pk, error=type(failure).__name__)
        return
    # A trial account puts words of its own before ours.
    sids = [one.sid for one in seen if one.body.strip().endswith(part.body.strip())]
    taken = set(
        MessagePart.objects.filter(carrier_sid__in=sids).values_list("carrier_sid", flat=True)
    )
    for sid in sids:
        if sid not in taken:
            bind(part.pk, sid)
            return
    if sending_at < now - timedelta(seconds=settings.SMS_SETTLE_SECONDS):
        _refuse(part.pk, None, failures.LOST)


# --- calling off --------------------------------------------------------------------------------


@transaction.atomic
def call_off(message_pk: int) -> bool:
    """Keep a text from being sent; False if any part of it may be with the carrier already."""
    message = Message.objects.select_for_update(no_key=True).get(pk=message_pk)
    parts = list(message.parts.select_for_update(no_key=True))
    if any(part.status != MessagePart.Status.WAITING for part in parts):
        return False
    message.parts.update(status=MessagePart.Status.FAILED, error_message=failures.CANCELED)
    update_message(message)
    _never_left(message)
    return True
