"""Take in what arrived: from the carrier's own words to texts in their threads.

In the order of their coming for each number and person. A worker is nudged for it; beat finds what
a lost nudge left.
"""

import time
from collections.abc import Sequence
from datetime import timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from sms import inbound
from sms.known_numbers import known_numbers
from sms.models import Arrival

log = structlog.get_logger(__name__)

AT_ONCE = 100
# A run takes no more texts then, well before its task would be killed; the next one goes on.
RUN_AT_MOST_S = 30.0
# How long a text waits after its first failure, and after its tenth and later ones.
PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=10)

# One of each number and person, the earliest: also while another worker has that one.
_NEXT = """
    SELECT arrival.* FROM sms_arrival AS arrival
    WHERE arrival.due_at <= %s AND NOT EXISTS (
        SELECT 1 FROM sms_arrival AS earlier
        WHERE earlier.number_id = arrival.number_id
            AND earlier.from_number = arrival.from_number AND earlier.id < arrival.id
    )
    ORDER BY arrival.id
    LIMIT %s
    FOR UPDATE OF arrival SKIP LOCKED
"""


def take_in() -> int:
    """Take in the texts that have arrived; return how many.

    Safe to run any number of times at once: each run takes other texts. One that cannot be taken
    in holds up its own person's later ones, and nobody else's.
    """
    until, taken = time.monotonic() + RUN_AT_MOST_S, 0
    while time.monotonic() < until and (count := _take_next(AT_ONCE)):
        taken += count
    return taken


def take_in_now(arrival: Arrival) -> None:
    """Take in one text before its turn, unless somebody has taken it in."""
    with transaction.atomic():
        waiting = Arrival.objects.select_for_update(of=("self",))
        _take(list(waiting.filter(number=arrival.number_id, carrier_sid=arrival.carrier_sid)))


def _take_next(at_once: int) -> int:
    try:
        with transaction.atomic():
            return _take(_next(at_once))
    except Exception as failure:
        # One of them, which one is found out by taking each alone.
        log.warning("texts_not_taken_in", error=type(failure).__name__)
    return sum(_take_or_put_off() for _ in range(at_once))


def _next(at_once: int) -> list[Arrival]:
    return list(Arrival.objects.raw(_NEXT, [timezone.now(), at_once]))


def _take_or_put_off() -> int:
    with transaction.atomic():
        arrivals = _next(1)
        try:
            with transaction.atomic():
                return _take(arrivals)
        except Exception as failure:
            [arrival] = arrivals
            arrival.failures += 1
            pause = min(PAUSE * 2 ** min(arrival.failures, 10), LONGEST_PAUSE)
            arrival.due_at = timezone.now() + pause
            arrival.save(update_fields=["failures", "due_at"])
            log.error("text_not_taken_in", arrival=arrival.pk, error=type(failure).__name__)
            return 0


def _take(arrivals: Sequence[Arrival]) -> int:
    """Store texts in their threads and delete them here, in the caller's transaction."""
    if not arrivals:
        return 0
    numbers = known_numbers({arrival.number_id for arrival in arrivals})
    for arrival in arrivals:
        arrival.number = numbers[arrival.number_id]
    inbound.receive_all(arrivals)
    Arrival.objects.filter(pk__in=[arrival.pk for arrival in arrivals]).delete()
    return len(arrivals)
