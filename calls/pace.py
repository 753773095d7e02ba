"""The carrier's calls per second, kept for each carrier account by whoever holds admission's lock.

A call's turn is an interval after the one before it, and not before it was ready to be dialled. So
a pause is not made up for, but a worker that was late is: up to ``CATCH_UP``.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import CarrierAccount
from calls.models import Call, Pace

# How late a turn may be taken that a slow machine missed.
CATCH_UP = timedelta(seconds=1)
# How far ahead turns are given out: longer than a worker takes to come back for the next ones.
AHEAD = timedelta(seconds=0.5)
CLOCKS_DIFFER = timedelta(seconds=60)


def interval() -> timedelta:
    return timedelta(seconds=1 / settings.CARRIER_CALLS_PER_SECOND)


def ahead() -> timedelta:
    """Return how far from now a turn may be given out."""
    return interval() + AHEAD


def horizon() -> timedelta:
    """Return how far from now a carrier's next turn may lie. One beyond was written by a clock that
    was wrong, and holds nobody up."""
    return ahead() + at_once() * interval() + CLOCKS_DIFFER


def at_once() -> int:
    """Return how many turns a worker takes at a time: a third of a second's, and few enough that
    little is in doubt if it dies."""
    return max(1, min(10, round(float(settings.CARRIER_CALLS_PER_SECOND) / 3)))


def give_turns(calls: Sequence[Call], now: datetime) -> list[datetime]:
    """Return when each call may be handed to its carrier, in order, and write down when the next
    ones may be. The caller holds admission's lock and has fetched ``number__carrier_account__pace``
    with the calls."""
    next_at: dict[int, datetime] = {}
    turns = []
    for call in calls:
        turn = max(call.dial_after or call.created_at, call.created_at, now - CATCH_UP)
        if call.number is not None:  # else nobody is asked: dialling says what is wrong
            carrier = call.number.carrier_account
            known = next_at.get(carrier.pk) or _kept(carrier, now)
            turn = max(turn, known) if known else turn
            next_at[carrier.pk] = turn + interval()
        turns.append(turn)
    Pace.objects.bulk_create(
        [Pace(carrier_account_id=pk, next_at=at) for pk, at in next_at.items()],
        update_conflicts=True,
        unique_fields=["carrier_account"],
        update_fields=["next_at"],
    )
    return turns


def _kept(carrier: CarrierAccount, now: datetime) -> datetime | None:
    pace: Pace | None = getattr(carrier, "pace", None)
    return pace.next_at if pace and pace.next_at < now + horizon() else None
