"""A job that any number of tasks may ask for at once, and that few threads of a process do."""

import threading
from collections.abc import Callable


class Runs:
    """At most ``at_once`` runs of a job in this process, so that a worker's other threads stay free
    for other work.

    Who comes on top leaves word, and one of those that run looks again: nothing that was due before
    anybody asked is forgotten.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._free = threading.BoundedSemaphore(at_once)
        self._asked = threading.Event()

    def do(self, run: Callable[[], int]) -> int:
        """Call ``run`` until nobody asks any more; return the sum of what it returned. 0, at once,
        where others run already."""
        done = 0
        self._asked.set()
        while self._asked.is_set() and self._free.acquire(blocking=False):
            try:
                self._asked.clear()
                done += run()
            finally:
                self._free.release()
        return done
