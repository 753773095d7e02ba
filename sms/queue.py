"""Rows that are work left to do: taken in batches, each in the transaction that deletes it.

Any number of workers take at once, each other rows. A batch that fails is taken row by row, and the
row that fails alone is put off, ever longer.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from sms.arrival_models import Waiting

log = structlog.get_logger(__name__)

AT_ONCE = 100
# A run takes no more rows then, well before its task would be killed; the next one goes on.
RUN_AT_MOST_S = 30.0
# How long a row waits after its first failure, and after its tenth and later ones.
PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Queue[Row: Waiting]:
    """``find`` locks at most so many rows that were due at a time and that nobody else has;
    ``take`` does what they ask for and deletes them, all in one transaction."""

    find: Callable[[int, datetime], list[Row]]
    take: Callable[[Sequence[Row]], None]

    def empty(self) -> int:
        """Take what is due; return how many rows. Safe to run any number of times at once.

        What comes meanwhile is left to the run of its own nudge: it would be taken in twos and
        threes, and a batch of those costs as much as a large one.
        """
        due, until, taken = timezone.now(), time.monotonic() + RUN_AT_MOST_S, 0
        while time.monotonic() < until and (count := self._take_next(AT_ONCE, due)):
            taken += count
        return taken

    def _take_next(self, at_once: int, due: datetime) -> int:
        try:
            with transaction.atomic():
                return self._take(self.find(at_once, due))
        except Exception as failure:
            # One of them, which one is found out by taking each alone.
            log.warning("texts_not_taken_in", error=type(failure).__name__)
        return sum(self._take_or_put_off(due) for _ in range(at_once))

    def _take_or_put_off(self, due: datetime) -> int:
        with transaction.atomic():
            rows = self.find(1, due)
            try:
                with transaction.atomic():
                    return self._take(rows)
            except Exception as failure:
                [row] = rows
                row.failures += 1
                pause = min(PAUSE * 2 ** min(row.failures, 10), LONGEST_PAUSE)
                row.due_at = timezone.now() + pause
                row.save(update_fields=["failures", "due_at"])
                log.error("text_not_taken_in", row=str(row), error=type(failure).__name__)
                return 0

    def _take(self, rows: Sequence[Row]) -> int:
        if rows:
            self.take(rows)
        return len(rows)
