"""What happens once a call is over: its analysis, what is remembered of the person, the news.

A call's ``Aftercare`` row is written with its ending and says what is left to do. Whoever works on
it holds it by a lease; a worker that dies lets the lease run out, and another goes on. What is
found and what is told are committed together, so nothing is told twice.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.errors import ApiError
from agents import callers, history, model
from agents.models import Note, PhoneNumber
from calls import news, nudges, services
from calls.analysis import Found, analyse, default_of
from calls.farewell import text_after
from calls.models import Aftercare, Call, Turn

logger = logging.getLogger(__name__)

# Longer than a task may run (CELERY_TASK_TIME_LIMIT).
LEASE = timedelta(seconds=150)
# The last turns and the recording are written when the audio's socket closes, about when the
# carrier tells of the end: so long we wait for it.
AUDIO_CLOSES_WITHIN = timedelta(seconds=8)
LOOK_AGAIN_S = 1
# A model that fails is asked again after 10, 20, 40 s …, up to every 10 minutes, for a day.
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=10)
GIVE_UP_AFTER = timedelta(hours=24)
# So long the news waits for the analysis; then it goes without, and ``call.analyzed`` follows.
TELL_AFTER = timedelta(minutes=5)
# These fail alike every time.
_HOPELESS = frozenset({"invalid_request_error", "refusal", "request_too_large"})
HOPELESS_TRIES = 3
_AT_ONCE = 100


def care_for(call_pk: int) -> None:
    """Do what is due for a call that is over. Safe to run twice, at once, and to break off."""
    now = timezone.now()
    held = _hold(call_pk, now)
    if held is None:
        return
    call = _call(call_pk)
    services.note_latency(call_pk)
    call.refresh_from_db(fields=["avg_latency_ms"])
    turns = list(call.turns.all())
    try:
        found, kind = _found(call, turns, held)
        _settle(call, turns, held, found, kind)
    except model.ModelFailed as failure:
        logger.warning("analysis of %s failed: %s", call.call_id, failure)
        _try_later(call, held, str(failure))
    except Exception as error:  # whatever it is, the news does not wait for its repair
        logger.exception("after-care of %s failed", call.call_id)
        _try_later(_call(call_pk), held, type(error).__name__)  # what was not stored is not told


def _call(call_pk: int) -> Call:
    return Call.objects.select_related("account", "number", "agent__api_key").get(pk=call_pk)


def _hold(call_pk: int, now: datetime) -> Aftercare | None:
    """Take the row for ``LEASE``; None if it is done, somebody else's, or the audio still runs."""
    with transaction.atomic():
        row = (
            Aftercare.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("call")
            .filter(call_id=call_pk, due_at__lte=now)
            .first()
        )
        if row is None:
            return None
        if _audio_runs(row.call, now):
            transaction.on_commit(lambda: nudges.after_call(call_pk, in_s=LOOK_AGAIN_S))
            return None
        row.due_at = now + LEASE
        row.tries += 1
        row.save(update_fields=["due_at", "tries"])
        return row


def _audio_runs(call: Call, now: datetime) -> bool:
    if not call.media_generation or call.ended_at is None:
        return False
    closed = call.events.filter(key=f"{call.media_generation}:closed").exists()
    return not closed and now - call.ended_at < AUDIO_CLOSES_WITHIN


def _found(call: Call, turns: list[Turn], held: Aftercare) -> tuple[Found | None, str]:
    """What the analysis found, and as what it is settled; None where there is nothing new."""
    if held.analysis != Aftercare.Analysis.PENDING:
        return None, held.analysis
    if call.agent is not None and not call.agent.enable_post_call_analysis:
        return None, Aftercare.Analysis.SKIPPED
    short = default_of(call, turns)
    if short is not None:
        return short, Aftercare.Analysis.SKIPPED
    return analyse(call, turns), Aftercare.Analysis.DONE


@transaction.atomic
def _settle(call: Call, turns: list[Turn], held: Aftercare, found: Found | None, kind: str) -> None:
    row = Aftercare.objects.select_for_update().filter(pk=held.pk).first()
    if row is None or row.tries != held.tries:
        return  # the call was erased, or the lease ran out and somebody else has it
    # Somebody may have removed it while the model wrote; from here on nobody does.
    numbers = PhoneNumber.objects.select_for_update(no_key=True, of=("self",)).with_owners()
    call.number = numbers.filter(calls=call).first()
    if found is not None:
        _store(call, turns, found)
    if found is not None and kind == Aftercare.Analysis.DONE:
        _remember(call, found)
    if row.told_at is None:
        _tell(call, row)
    elif found is not None:
        news.tell_analyzed(call)
    row.analysis = kind
    row.due_at = None
    row.error = ""
    row.save(update_fields=["analysis", "due_at", "error", "told_at"])


def _tell(call: Call, row: Aftercare) -> None:
    """Tell listeners and the person, once."""
    news.tell_completed(call)
    text_after(call)
    row.told_at = timezone.now()


def _store(call: Call, turns: list[Turn], found: Found) -> None:
    starts = {turn.sequence: turn.started_ms for turn in turns}
    call.call_summary = found.summary
    call.caller_sentiment = found.sentiment
    call.call_successful = found.successful
    call.caller_name = found.caller_name
    call.call_reason = found.call_reason
    call.extracted_data = found.extracted
    call.extracted_from = {
        name: {"turn": turn, "at_ms": starts[turn]} for name, turn in found.extracted_turns.items()
    }
    call.save(
        update_fields=[
            "call_summary",
            "caller_sentiment",
            "call_successful",
            "caller_name",
            "call_reason",
            "extracted_data",
            "extracted_from",
        ]
    )


def _remember(call: Call, found: Found) -> None:
    """Keep what the person may expect us to know next time."""
    at = call.answered_at or call.created_at
    history.remember(
        call.account,
        person=call.their_number,
        our_number=call.our_number,
        kind=Note.Kind.CALL,
        source=call.call_id,
        at=at,
        text=found.summary,
        is_outbound=call.direction == Call.Direction.OUTBOUND,
    )
    if call.number is not None:
        callers.learn(
            call.number,
            call.their_number,
            found.caller,
            call_id=call.call_id,
            at=at,
            turns=found.caller_turns,
        )


@transaction.atomic
def _try_later(call: Call, held: Aftercare, error: str) -> None:
    row = Aftercare.objects.select_for_update().filter(pk=held.pk).first()
    if row is None or row.tries != held.tries:
        return
    now = timezone.now()
    wait = min(FIRST_WAIT * 2 ** min(row.tries - 1, 10), LONGEST_WAIT)
    is_hopeless = error in _HOPELESS and row.tries >= HOPELESS_TRIES
    gives_up = is_hopeless or now + wait - row.wanted_at > GIVE_UP_AFTER
    if row.told_at is None and (gives_up or now + wait - row.wanted_at > TELL_AFTER):
        _tell(call, row)
    if gives_up:
        row.analysis = Aftercare.Analysis.FAILED
        row.due_at = None
    else:
        row.due_at = now + wait
    row.error = error[:60]
    row.save(update_fields=["analysis", "due_at", "error", "told_at"])


@transaction.atomic
def analyse_again(call: Call) -> None:
    """Have a finished call analysed anew; ``call.analyzed`` tells of it. ApiError 409
    ``call_in_progress`` while it is not over.
    """
    if not call.is_over:
        raise ApiError("call_in_progress", "The call is not over yet.", 409)
    row, _ = Aftercare.objects.get_or_create(call=call, defaults={"told_at": timezone.now()})
    row.analysis = Aftercare.Analysis.PENDING
    row.due_at = row.wanted_at = timezone.now()
    row.tries += 1  # whoever is at it now settles nothing
    row.save(update_fields=["analysis", "due_at", "wanted_at", "tries"])
    transaction.on_commit(lambda: nudges.after_call(call.pk), robust=True)


def overdue(now: datetime | None = None) -> list[int]:
    """Return the calls whose nudge was lost, whose worker died, or whose analysis is due again."""
    due = Aftercare.objects.due(now or timezone.now())
    return list(due.values_list("call_id", flat=True)[:_AT_ONCE])
