"""What the carrier did not tell us is asked, so that no line stays taken and no call stays open for
ever."""

import logging
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from accounts.steps import by_itself
from calls import refusals
from calls.dialling import TIME_LIMIT_MARGIN_S, carrier_account_of
from calls.models import Call, Transfer
from calls.next_verb import voice_url
from calls.services import end_call, move_call, record, withdraw
from calls.transfer_verbs import LONGEST_S
from carriers import twilio
from carriers.errors import CarrierError, Refused

logger = logging.getLogger(__name__)

QUIET = timedelta(seconds=60)
# A media process renews its calls' lease every two seconds.
LEASE = timedelta(seconds=8)
# A sweep asks about this many calls, the longest unasked first; the next one goes on.
AT_MOST = 20
RUN_AT_MOST_S = 20.0
NUDGES_AT_MOST = 50
# Beyond the longest a call can last, by when the carrier's own time limit has cut it.
LEASE_MARGIN = timedelta(minutes=10)

# The carrier's words for a call, as ours.
STATUS: dict[str, str] = {
    "queued": Call.Status.INITIATED,
    "initiated": Call.Status.INITIATED,
    "ringing": Call.Status.RINGING,
    "in-progress": Call.Status.IN_PROGRESS,
    "completed": Call.Status.COMPLETED,
    "busy": Call.Status.BUSY,
    "no-answer": Call.Status.NO_ANSWER,
    "failed": Call.Status.FAILED,
    "canceled": Call.Status.CANCELED,
}


def check_stale_calls(now: datetime | None = None) -> int:
    """Ask the carrier about unfinished calls that were quiet for a minute, and move them; return
    how many it was."""
    now = now or timezone.now()
    quiet_since = now - QUIET
    stale = (
        Call.objects.unfinished()
        .exclude(carrier_sid="")
        .filter(created_at__lt=quiet_since)
        .filter(Q(carrier_checked_at=None) | Q(carrier_checked_at__lt=quiet_since))
        .filter(Q(media_seen_at=None) | Q(media_seen_at__lt=quiet_since))
        .select_related("agent", "number__carrier_account")
        .order_by(F("carrier_checked_at").asc(nulls_first=True), "pk")[:AT_MOST]
    )
    until, checked = time.monotonic() + RUN_AT_MOST_S, 0
    for call in stale:
        # Taken by one sweep, where two run at once.
        mine = Call.objects.filter(pk=call.pk, carrier_checked_at=call.carrier_checked_at)
        if mine.update(carrier_checked_at=now):
            checked += 1
            with by_itself(f"asking about {call.call_id}"):
                _check(call, now)
        if time.monotonic() > until:
            break  # the carrier is slow, and workers have other work
    return checked


def _check(call: Call, now: datetime) -> None:
    if call.is_browser:  # its page never opened the line, or its media process died
        end_call(call.pk, Call.Status.COMPLETED if call.answered_at else Call.Status.CANCELED)
        return
    account = carrier_account_of(call)
    try:
        if account is None:
            _end_if_over_lease(call, now)
            return
        seen = twilio.fetch_call(account, call.carrier_sid)
        status = STATUS.get(seen.status)
        if status is None:
            logger.warning("the carrier calls %s %r", call.call_id, seen.status)
            return
        if status in Call.TERMINAL:
            end_call(call.pk, status, at=seen.ended_at, duration_s=seen.duration_s)
            return
        move_call(call.pk, status, at=seen.started_at)
        if call.intended_reason or now > _lease_ends(call):
            twilio.hang_up(account, call.carrier_sid)  # whoever meant to did not get to it
    except Refused as refusal:
        if refusal.is_not_found:
            end_call(call.pk, Call.Status.FAILED, at=now, error_message=refusals.NO_TRACE)
        else:
            _end_if_over_lease(call, now)
    except CarrierError:
        _end_if_over_lease(call, now)


def _lease_ends(call: Call) -> datetime:
    attempt = call.attempts.order_by("-number").first()
    longest_s = call.agent.max_call_duration_seconds if call.agent else 0
    limit = timedelta(seconds=settings.RING_TIMEOUT_SECONDS + longest_s + TIME_LIMIT_MARGIN_S)
    began = attempt.created_at if attempt else call.created_at
    if (last := call.transfers.last()) is not None and last.bridged_at is not None:
        return last.bridged_at + timedelta(seconds=LONGEST_S) + LEASE_MARGIN  # people talk on
    return began + limit + LEASE_MARGIN


def _end_if_over_lease(call: Call, now: datetime) -> None:
    if now > _lease_ends(call):
        end_call(call.pk, Call.Status.FAILED, at=now, error_message=refusals.NO_NEWS)


def rescue_silent_calls(now: datetime | None = None) -> int:
    """Have the carrier ask again about calls whose media process is gone, though their sockets
    seem open to the carrier; return how many it was.

    A call that rings or talks elsewhere has no such process and is left alone; one that was to be
    put through, and of which the carrier never asked, is asked for again. A lease must look expired
    twice in a row: after a pause of the database every one does, once.
    """
    now = now or timezone.now()
    silent = (
        Call.objects.filter(status=Call.Status.IN_PROGRESS, intended_reason="")
        .filter(media_generation__gt=0, media_seen_at__lt=now - LEASE)
        .exclude(carrier_sid="")
        .exclude(Exists(Transfer.objects.out_of_our_hands().filter(call=OuterRef("pk"))))
        .select_related("number__carrier_account")
        .order_by("media_seen_at")
    )
    asked = rescued = 0
    for call in silent:  # all are looked at, as a process that is gone had a hundred of them
        if cache.add(f"calls.silent.{call.pk}.{call.media_seen_at:%H%M%S%f}", 1, timeout=60):
            continue
        mine = Call.objects.filter(pk=call.pk, media_seen_at=call.media_seen_at)
        if asked < AT_MOST and mine.update(media_seen_at=now):
            asked += 1
            with by_itself(f"rescuing {call.call_id}"):
                rescued += _ask_again(call, now)
    return rescued


def _ask_again(call: Call, now: datetime) -> bool:
    account = carrier_account_of(call)
    if account is None:
        if call.is_browser:
            _check(call, now)
        return False
    record(call, "audio lost", generation=call.media_generation)
    try:
        twilio.redirect(account, call.carrier_sid, url=voice_url(call, w=0))
    except Refused:  # it is over, most likely
        _check(call, now)
        return False
    except CarrierError as failure:
        logger.warning("cannot rescue %s: %s", call.call_id, type(failure).__name__)
        return False
    return True


def cancel_too_late(now: datetime | None = None) -> int:
    """Take back the calls that waited for a line past their hours; return how many it was."""
    now = now or timezone.now()
    late = Call.objects.too_late(now).values_list("pk", flat=True)
    withdrawn = 0
    for pk in late:
        with by_itself(f"taking back call {pk}"):
            withdrawn += withdraw(pk, refusals.TOO_LATE)
    return withdrawn


def calls_to_nudge(now: datetime | None = None) -> int:
    """Return how many workers to wake for calls that wait to be dialled."""
    return min(Call.objects.waiting(now or timezone.now()).count(), NUDGES_AT_MOST)
