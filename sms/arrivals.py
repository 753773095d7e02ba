"""Take in what arrived: from the carrier's own words to texts in their threads.

In the order of their coming for each number and person. A worker is nudged for it; beat finds what
a lost nudge left.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from sms import inbound
from sms.known_numbers import known_numbers
from sms.models import Arrival
from sms.queue import Queue

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
    return Queue(_next, _take).empty()


def take_in_now(arrival: Arrival) -> None:
    """Take in one text before its turn, unless somebody has taken it in."""
    with transaction.atomic():
        waiting = Arrival.objects.select_for_update(of=("self",))
        if rows := list(waiting.filter(number=arrival.number_id, carrier_sid=arrival.carrier_sid)):
            _take(rows)


def _next(at_most: int, due: datetime) -> list[Arrival]:
    return list(Arrival.objects.raw(_NEXT, [due, at_most]))


def _take(arrivals: Sequence[Arrival]) -> None:
    """Store texts in their threads and delete them here, in the caller's transaction."""
    numbers = known_numbers({arrival.number_id for arrival in arrivals})
    for arrival in arrivals:
        arrival.number = numbers[arrival.number_id]
    inbound.receive_all(arrivals)
    Arrival.objects.filter(pk__in=[arrival.pk for arrival in arrivals]).delete()
