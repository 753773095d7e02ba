"""The events of a live call, counted for the metrics and written beside it."""

from django.utils import timezone

from calls import live
from calls.live import LiveCall, LiveEvent
from media import metrics
from media.events import Note
from media.journal import Journal


class CallLog:
    """Numbers a socket's events, so that one that is written twice is there once."""

    def __init__(self, call: LiveCall, journal: Journal) -> None:
        self._call = call
        self._journal = journal
        self._events: list[LiveEvent] = []
        self._number = 0

    def add(self, note: Note, t: int) -> None:
        """Keep what happened at ``t``, in ms of the call's clock, until ``flush``."""
        _count(note)
        self._number += 1
        self._events.append(
            LiveEvent(
                key=f"{self._call.generation}:{self._number}",
                kind=note.kind,
                at=timezone.now(),
                data={"t": t, **note.data},
            )
        )

    def flush(self) -> None:
        """Have written what was kept, in one go; never waits."""
        if self._events:
            events, self._events = self._events, []
            self._journal.put(live.store_events, self._call.pk, events)


def _count(note: Note) -> None:
    match note.kind:
        case "interrupted":
            metrics.INTERRUPTIONS.inc()
        case "speculation":
            metrics.SPECULATIONS.labels("used" if note.data["used"] else "dropped").inc()
        case "model_failed":
            metrics.PROVIDER_ERRORS.labels("model", str(note.data.get("error"))).inc()
        case "model_continued":
            outcome = "went_on" if note.data["went_on"] else "nothing_new"
            metrics.CONTINUATIONS.labels(outcome).inc()
