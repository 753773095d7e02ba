"""Send once, in order, at the carrier's pace.

The carrier's create-message is not idempotent, so a part is committed as ``sending`` before the
request, and one whose answer did not arrive is settled by what the carrier does next, never by
sending it again (DESIGN decision 4).
"""

import contextlib
import time
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import Suppression
from accounts.runs import Runs
from accounts.steps import by_itself
from accounts.suppression import suppress
from carriers import twilio
from carriers.errors import Ambiguous, CarrierError, Refused, Unavailable
from sms import failures
from sms.claiming import claim_next, wait_for_pace
from sms.models import Message, MessagePart, TextRecipient, Thread
from sms.statuses import bind, locked, note_status, update_message
from sms.window import take_back

log = structlog.get_logger(__name__)

# Each waits for the carrier most of the time.
_runs = Runs(at_once=4)
# A run of the queue ends then, well before its task would be killed; the next one goes on.
RUN_AT_MOST_S = 30.0
# Pauses after attempts that did not reach the carrier; after the last, the text has failed.
PAUSES_S = (5, 10, 20, 40, 80, 160)
# A sending process that has not written the outcome after this long has died on the way.
SENDING_AT_MOST = timedelta(seconds=60)
# The carrier's clock and ours differ a little, and its times have whole seconds.
CLOCK_SKEW = timedelta(seconds=5)
_RECONCILE_AT_MOST = 20


def send_due() -> int:
    """Send the texts that are due; return how many were handed to the carrier.

    Safe to run any number of times at once: each run takes other parts.
    """
    return _runs.do(_send_all)


def _send_all() -> int:
    until, sent = time.monotonic() + RUN_AT_MOST_S, 0
    while time.monotonic() < until:
        part = claim_next()
        if part is None and wait_for_pace():
            part = claim_next()
        if part is None:
            break
        with contextlib.suppress(Message.DoesNotExist):  # its person was erased meanwhile
            _send(part)
        sent += 1
    return sent


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
    take_back(message)


@transaction.atomic
def _try_again_later(part_pk: int) -> None:
    message, part = locked(part_pk)
    if part.status != MessagePart.Status.SENDING:
        return
    if _lost_its_campaign(message, part):
        note_status(part.pk, MessagePart.Status.FAILED, error_message=failures.CANCELED)
        take_back(message)
        return
    if part.attempts > len(PAUSES_S):
        note_status(part.pk, MessagePart.Status.FAILED, error_message=failures.UNREACHABLE)
        take_back(message)
        return
    part.status = MessagePart.Status.WAITING
    part.send_after = timezone.now() + timedelta(seconds=PAUSES_S[part.attempts - 1])
    part.save(update_fields=["status", "send_after"])
    take_back(message)
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
        with by_itself(f"doubting the outcome of text part {pk}"):
            _doubt_outcome(pk, "the sending process died on the way")
    unknown = (
        MessagePart.objects.filter(status=MessagePart.Status.UNKNOWN)
        .select_related("thread__number__carrier_account", "message")
        .order_by(F("check_at").asc(nulls_first=True), "pk")[:_RECONCILE_AT_MOST]
    )
    for part in unknown:
        MessagePart.objects.filter(pk=part.pk).update(check_at=now)  # the others first next time
        with by_itself(f"settling text part {part.pk}"):
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
    take_back(message)
    return True
