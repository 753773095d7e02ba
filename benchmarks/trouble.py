"""What goes wrong in a benchmark: processes die, callbacks come late, twice or never, and answers
of the carrier are lost."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence

import httpx

from benchmarks.house import House

CALLBACKS = {"double": 0.2, "reorder": 0.2, "delay_s": [0, 2], "drop": 0.05}


def lost_answers(timeouts: float) -> tuple[dict[str, object], ...]:
    """How answers are lost after the carrier accepted; ``timeouts`` is the share that hang."""
    return (
        {"lose_answer": "reset", "probability": 0.1},
        {"lose_answer": "500", "probability": 0.1},
        {"lose_answer": "timeout", "seconds": 20, "probability": timeouts},
    )


class Trouble(threading.Thread):
    """Kills a process every 5 to 10 s and changes which answers of the carrier get lost.

    ``request`` is whose answers: ``create_call`` or ``create_message``.
    """

    def __init__(
        self,
        house: House,
        dice: random.Random,
        *,
        kills: Sequence[str],
        request: str,
        timeouts: float,
    ) -> None:
        super().__init__(daemon=True)
        self.killed: Counter[str] = Counter()
        self.over = threading.Event()
        self._house, self._dice, self._kills = house, dice, kills
        self._request, self._lost = request, lost_answers(timeouts)
        self._begun = time.monotonic()

    def run(self) -> None:
        while True:
            faults = {
                "seed": self._dice.randrange(1_000_000),
                "callbacks": CALLBACKS,
                self._request: self._dice.choice(self._lost),
            }
            with contextlib.suppress(httpx.HTTPError):
                httpx.put(f"{self._house.sandbox}/_sandbox/faults", json=faults, timeout=10)
            if self.over.wait(self._dice.uniform(5, 10)):
                return
            if self._kills and self._house.kill(name := self._dice.choice(self._kills)):
                self.killed[name] += 1

    def is_over(self, after_s: float) -> bool:
        return time.monotonic() - self._begun > after_s

    def stop(self) -> None:
        """No more trouble: what was lost has to be found now."""
        self.over.set()
        self.join()
        httpx.delete(f"{self._house.sandbox}/_sandbox/faults", timeout=10)
