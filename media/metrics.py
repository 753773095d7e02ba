"""What a media process says about itself on ``/metrics``."""

import asyncio
import sys
import weakref

from prometheus_client import Counter, Gauge, Histogram

from media import heap

LIVE_CALLS = Gauge("nixflex_media_live_calls", "Calls whose audio runs in this process")
ANSWER_SECONDS = Histogram(
    "nixflex_media_answer_seconds",
    "From the end of the caller's speech to the first audio of the answer",
    buckets=(0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0),
)
PROVIDER_ERRORS = Counter(
    "nixflex_media_provider_errors_total", "Failures of a provider, by its part", ["part", "error"]
)
OPENINGS = Counter(
    "nixflex_media_openings_total",
    "Openings prepared while a call rang, and calls that found one ready",
    ["outcome"],  # prepared, failed; used, missed
)
INTERRUPTIONS = Counter("nixflex_media_interruptions_total", "Replies that the caller cut short")
SPECULATIONS = Counter(
    "nixflex_media_speculations_total",
    "Replies asked for before the caller's turn had certainly ended, by what became of them",
    ["outcome"],
)
SPOKEN_IN_VAIN = Counter(
    "nixflex_media_characters_in_vain_total",
    "Characters that the voice was asked for ahead of a turn's end and that were then not said",
)
CONTINUATIONS = Counter(
    "nixflex_media_continuations_total",
    "Replies that broke off behind their first words, by whether the second model went on",
    ["outcome"],  # went_on, nothing_new
)
LOOP_LAG_SECONDS = Histogram(
    "nixflex_media_loop_lag_seconds",
    "How late the event loop runs what is due",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0),
)
OBJECTS = Gauge("nixflex_media_objects", "Pieces of memory that Python's objects hold")
OBJECTS.set_function(sys.getallocatedblocks)
HEAP_BYTES = Gauge(
    "nixflex_media_heap_bytes",
    "Bytes in use of the C library's heap: buffers, and pieces of more than 512 bytes",
)
HEAP_BYTES.set_function(heap.bytes_in_use)
TASKS = Gauge("nixflex_media_tasks", "Tasks of the event loop that carries the calls")


def count_tasks_of(loop: asyncio.AbstractEventLoop) -> None:
    """Have a scrape count this loop's tasks."""
    ref = weakref.ref(loop)

    def tasks() -> float:
        loop = ref()
        return 0.0 if loop is None else float(len(asyncio.all_tasks(loop)))

    TASKS.set_function(tasks)
