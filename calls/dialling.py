"""Dial once. The carrier's create-call is not idempotent, so an attempt is committed before it is
sent, and one whose answer did not arrive is settled by what the carrier does next, never by sending
it again (DESIGN decision 4)."""

import contextlib
import logging
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.runs import Runs
from accounts.steps import by_itself
from accounts.suppression import is_suppressed
from agents.models import Agent
from agents.prompt import teaches_menus
from calls import nudges, pace, refusals
from calls.admission import Turn, admit
from calls.models import Call, DialAttempt
from calls.services import bind, bind_waiting, move_call, record
from calls.signals import call_put_back
from carriers import twilio
from carriers.errors import Ambiguous, CarrierError, Refused, Unavailable

logger = logging.getLogger(__name__)

# A dialling process that has not written the outcome after this long has died on the way.
PENDING_AT_MOST = timedelta(seconds=60)
# A call that an unanswered request made was made within this time of the attempt.
ANSWER_AT_MOST = timedelta(seconds=40)
# The carrier's clock and ours differ a little, and its times have whole seconds.
CLOCK_SKEW = timedelta(seconds=5)
# Pauses after attempts that did not reach the carrier; after the last, the call has failed.
PAUSES_S = (10, 20, 40, 80, 160)
# A run ends then, well before its task would be killed; the next one goes on.
RUN_AT_MOST_S = 20.0
_runs = Runs(at_once=6)
# An attempt that is not sent this soon after it was made is put back: far below ANSWER_AT_MOST.
SEND_AT_MOST = timedelta(seconds=10)
# The engine says goodbye at max_call_duration_seconds; the carrier cuts the line if it did not.
TIME_LIMIT_MARGIN_S = 60


def carrier_account_of(call: Call) -> twilio.Account | None:
    """Return the credentials of the call's number, or None if the number was removed, or the call
    is one in a browser.
    """
    if call.number is None or call.is_browser:
        return None
    carrier = call.number.carrier_account
    return twilio.Account(sid=carrier.sid, token=carrier.auth_token)


def dial_due() -> int:
    """Dial the calls that may start, each in its turn at the carrier's pace, until none is left;
    return how many.

    Safe to run any number of times at once: each run takes other calls.
    """
    return _runs.do(_dial_all)


def _dial_all() -> int:
    until, dialled = time.monotonic() + RUN_AT_MOST_S, 0
    while turns := admit(pace.at_once()):
        for turn in turns:
            try:
                _take(turn)
            except Exception:  # one call's trouble must not stop those after it
                logger.exception("cannot dial %s", turn.attempt.call.call_id)
        dialled += len(turns)
        if time.monotonic() > until:
            nudges.dial_next()
            break
    return dialled


def dial_next() -> int | None:
    """Dial the longest-waiting call that may start; return its key, or None if there was none."""
    turns = admit(1)
    for turn in turns:
        _take(turn)
    return turns[0].attempt.call_id if turns else None


def _take(turn: Turn) -> None:
    wait_s = (turn.at - timezone.now()).total_seconds()
    if wait_s > 0:
        time.sleep(wait_s)
    _send(turn.attempt)


def _send(attempt: DialAttempt) -> None:
    call = attempt.call
    account, agent, number = carrier_account_of(call), call.agent, call.number
    if account is None or agent is None or number is None:
        _refuse(attempt.pk, None, refusals.NO_NUMBER)
        return
    if not (call.account.is_active and agent.is_active and number.outbound_enabled):
        _refuse(attempt.pk, None, refusals.SWITCHED_OFF, ended_as=Call.Status.CANCELED)
        return
    # Last of all, so that no request starts after somebody's no was written down.
    if is_suppressed(call.account, call.to_number):
        _refuse(attempt.pk, None, refusals.UNSUBSCRIBED, ended_as=Call.Status.CANCELED)
        return
    if _missed_its_turn(attempt):
        _put_back(attempt)
        return
    try:
        sid = twilio.dial(
            account,
            to=call.to_number,
            from_=call.from_number,
            voice_url=_callback("voice", attempt.token),
            status_url=_callback("status", attempt.token),
            amd_url=_callback("amd", attempt.token) if _wants_amd(call, agent) else None,
            ring_timeout_s=settings.RING_TIMEOUT_SECONDS,
            time_limit_s=agent.max_call_duration_seconds + TIME_LIMIT_MARGIN_S,
        )
    except Refused as refusal:
        _refuse(attempt.pk, refusal.code, refusals.in_words(refusal.code, refusal.message))
    except Unavailable:
        _try_again_later(attempt.pk)
    except Ambiguous as doubt:
        doubt_outcome(attempt.pk, str(doubt))
    else:
        if _accept_answer(attempt, sid):
            _hang_up_quietly(account, sid)  # it was called off while the carrier was asked


def _missed_its_turn(attempt: DialAttempt) -> bool:
    """Whether the carrier was slow with those before it, or the machine stood still. Who looks for
    it later knows when it was made; and their person's hours may have ended meanwhile."""
    now, until = timezone.now(), attempt.call.dial_before
    return attempt.created_at < now - SEND_AT_MOST or (until is not None and until <= now)


def _accept_answer(attempt: DialAttempt, sid: str) -> bool:
    """Bind the carrier's answer to an attempt; return whether its call is over already.

    Three queries where nothing came in between.
    """
    with contextlib.suppress(_NotAsExpected), transaction.atomic():
        ours = DialAttempt.objects.unsettled().filter(pk=attempt.pk)
        if not bind_waiting(attempt.call, sid, attempt=attempt.number) or not ours.update(
            status=DialAttempt.Status.ACCEPTED,
            carrier_sid=sid,
            error_message="",
            settled_at=timezone.now(),
        ):
            raise _NotAsExpected
        return False
    try:
        accept(attempt.pk, sid)  # a callback was first, or it was called off
    except DialAttempt.DoesNotExist:
        return True  # its account was closed, and all of it erased
    return Call.objects.filter(pk=attempt.call_id, status__in=Call.TERMINAL).exists()


class _NotAsExpected(Exception):
    pass


@transaction.atomic
def _put_back(attempt: DialAttempt) -> None:
    call, attempt = _locked(attempt.pk)
    if _settle(attempt, DialAttempt.Status.REFUSED, words="Not sent: its turn was missed."):
        record(call, "put back", attempt=attempt.number)
        call_put_back.send(Call, call_pk=call.pk)
        transaction.on_commit(nudges.dial_next, robust=True)


def _wants_amd(call: Call, agent: Agent) -> bool:
    """Not where the instructions know of phone menus: the carrier takes a menu for a voicemail."""
    return agent.amd_enabled and not teaches_menus(agent, call.number, call.prompt)


def _hang_up_quietly(account: twilio.Account, sid: str) -> None:
    try:
        twilio.hang_up(account, sid)
    except CarrierError as failure:
        logger.warning("cannot hang up %s: %s", sid, type(failure).__name__)


def _callback(what: str, token: str) -> str:
    return f"{settings.PUBLIC_URL}/twilio/{what}/?a={token}"


def _locked(attempt_pk: int) -> tuple[Call, DialAttempt]:
    """Lock call and attempt, in the order in which everybody does."""
    call_pk = DialAttempt.objects.values_list("call_id", flat=True).get(pk=attempt_pk)
    call = Call.objects.select_for_update().get(pk=call_pk)
    return call, DialAttempt.objects.select_for_update().get(pk=attempt_pk)


def _settle(
    attempt: DialAttempt, status: str, *, sid: str = "", code: int | None = None, words: str = ""
) -> bool:
    if status not in DialAttempt.NEXT.get(attempt.status, ()):
        return False
    attempt.status = status
    attempt.carrier_sid = sid
    attempt.error_code = code
    attempt.error_message = words
    if status != DialAttempt.Status.UNKNOWN:
        attempt.settled_at = timezone.now()
    attempt.save(
        update_fields=["status", "carrier_sid", "error_code", "error_message", "settled_at"]
    )
    return True


@transaction.atomic
def accept(attempt_pk: int, sid: str) -> bool:
    """Bind the carrier's call ``sid`` to the attempt: by its answer, a callback with the token, or
    the carrier's list.

    Returns whether ``sid`` is this attempt's call. False: the attempt was given up, or has another
    call; whoever is on that line must be hung up on, not talked to.
    """
    call, attempt = _locked(attempt_pk)
    if attempt.status == DialAttempt.Status.ACCEPTED:
        return attempt.carrier_sid == sid
    if Call.objects.filter(carrier_sid=sid).exclude(pk=call.pk).exists():
        return False
    if not _settle(attempt, DialAttempt.Status.ACCEPTED, sid=sid):
        return False
    bind(call, sid, attempt=attempt.number)
    return True


@transaction.atomic
def _refuse(
    attempt_pk: int, code: int | None, words: str, *, ended_as: str = Call.Status.FAILED
) -> None:
    call, attempt = _locked(attempt_pk)
    if _settle(attempt, DialAttempt.Status.REFUSED, code=code, words=words):
        record(call, "refused", attempt=attempt.number, code=code)
        move_call(call.pk, ended_as, error_code=code, error_message=words)


@transaction.atomic
def _try_again_later(attempt_pk: int) -> None:
    call, attempt = _locked(attempt_pk)
    if not _settle(attempt, DialAttempt.Status.REFUSED, words="The carrier could not be reached."):
        return
    record(call, "unreachable", attempt=attempt.number)
    if attempt.number > len(PAUSES_S):
        move_call(call.pk, Call.Status.FAILED, error_message=refusals.UNREACHABLE)
        return
    call.dial_after = timezone.now() + timedelta(seconds=PAUSES_S[attempt.number - 1])
    call.save(update_fields=["dial_after"])
    call_put_back.send(Call, call_pk=call.pk)


@transaction.atomic
def doubt_outcome(attempt_pk: int, why: str) -> None:
    """Note that nobody knows whether the attempt rings a phone. ``why`` must hold no number."""
    call, attempt = _locked(attempt_pk)
    if _settle(attempt, DialAttempt.Status.UNKNOWN, words=why):
        record(call, "unknown", attempt=attempt.number, why=why)


@transaction.atomic
def _give_up(attempt_pk: int) -> None:
    call, attempt = _locked(attempt_pk)
    if _settle(attempt, DialAttempt.Status.LOST, words=refusals.LOST):
        record(call, "lost", attempt=attempt.number)
        move_call(call.pk, Call.Status.FAILED, error_message=refusals.LOST)


# --- settling what is not known -----------------------------------------------------------------


def reconcile(now: datetime | None = None) -> None:
    """Settle the attempts whose outcome is not known, as far as the carrier's list tells."""
    now = now or timezone.now()
    unknown = DialAttempt.objects.filter(status=DialAttempt.Status.UNKNOWN).select_related(
        "call__number__carrier_account"
    )
    silent = set()
    for attempt in unknown.order_by("created_at", "pk"):
        carrier = attempt.call.number and attempt.call.number.carrier_account_id
        if carrier in silent:
            continue
        try:
            _reconcile_one(attempt, now)
        except CarrierError as failure:
            # Not asked is not absent: nothing is given up while the carrier does not answer; nor is
            # each attempt's time-out waited for.
            logger.warning("cannot list calls to settle attempts: %s", type(failure))
            silent.add(carrier)
        except Exception:  # one attempt's trouble must not keep the others in doubt
            logger.exception("cannot settle an attempt of %s", attempt.call.call_id)
    # After those, so that none is given up as it is doubted: a machine that stood still for hours
    # may have a process that is about to go on.
    overdue = DialAttempt.objects.filter(
        status=DialAttempt.Status.PENDING, created_at__lt=now - PENDING_AT_MOST
    )
    for pk in overdue.values_list("pk", flat=True):
        with by_itself(f"doubting attempt {pk}"):
            doubt_outcome(pk, "the dialling process died on the way")


def _reconcile_one(attempt: DialAttempt, now: datetime) -> None:
    """Find the attempt's call in the carrier's list.

    It is the one between these two numbers and of this time that is no other attempt's: while this
    attempt is unsettled the database allows no second one. Where there are several, somebody else
    calls from the number as well, or the request was doubled on its way: a callback may still tell
    which is ours, and if none does, the first is taken. The person was called.
    """
    account = carrier_account_of(attempt.call)
    listed = (
        twilio.list_calls(
            account,
            to=attempt.to_number,
            from_=attempt.from_number,
            since=attempt.created_at - CLOCK_SKEW,
        )
        if account
        else []
    )
    sids = [
        call.sid
        for call in listed
        if call.created_at and call.created_at <= attempt.created_at + ANSWER_AT_MOST
    ]
    known = set(Call.objects.filter(carrier_sid__in=sids).values_list("carrier_sid", flat=True))
    unclaimed = [sid for sid in sids if sid not in known]
    is_late = attempt.created_at < now - timedelta(seconds=settings.DIAL_SETTLE_SECONDS)
    if len(unclaimed) == 1 or (unclaimed and is_late):
        accept(attempt.pk, unclaimed[0])
    elif is_late:
        _give_up(attempt.pk)
