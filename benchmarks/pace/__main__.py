"""Does a campaign keep the carrier's pace? ``python -m benchmarks.pace``.

For each rate a whole installation (``manage.py run``, a database of its own) calls busy people for
a minute. What counts is when the carrier was asked, by its own journal; it takes any number of
calls a second, so that the pace is ours alone. Everything is simulated; no telephone rings.
"""

import argparse
import math
import os
import sys
import tempfile
import threading
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import httpx

from benchmarks.house import House, open_office

LIMIT = 0.02


class Journal(threading.Thread):
    """Collects when the carrier was asked to call, by its own clock."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.asked: list[float] = []
        self._url = url
        self.over = threading.Event()

    def run(self) -> None:
        after = 0
        while not self.over.wait(1):
            query: dict[str, int | str] = {"after": after, "kind": "call_created"}
            page = httpx.get(f"{self._url}/_sandbox/journal", params=query, timeout=30).json()
            self.asked += [datetime.fromisoformat(one["at"]).timestamp() for one in page["events"]]
            after = page["last"]


def measure(rate: float, seconds: float) -> dict[str, float]:
    count = math.ceil(rate * seconds) + 1
    lines = str(max(60, round(rate * 20)))
    settings = {
        "SANDBOX_CPS": "1000",
        "CARRIER_CALLS_PER_SECOND": str(rate),
        "MAX_CONCURRENT_CALLS": lines,
        "TRANSCRIBER_SOCKETS": lines,
        "VOICE_SOCKETS": lines,
        "VOICE_SOCKETS_AHEAD": "0",
        "PREPARE_OPENINGS": "0",
        # Speech is not needed: nobody answers.
        "SANDBOX_SPEECH_WORKERS": "1",
    }
    with (
        tempfile.TemporaryDirectory(prefix="nixflex-pace-") as folder,
        House(Path(folder), **settings) as house,
    ):
        office = open_office(house, lines=int(lines), name="Pace")
        numbers = [f"+4473861{n:05d}" for n in range(count)]
        with httpx.Client(base_url=f"{house.sandbox}/_sandbox/people", timeout=10) as sandbox:
            for number in numbers:
                who = {"answers": "busy", "rings_s": 1}
                sandbox.put(f"/{number}", json=who).raise_for_status()
        journal = Journal(house.sandbox)
        journal.start()
        office.api.send(
            "POST",
            "/calls/batch",
            {"agent_id": office.agent_id, "recipients": [{"phone": number} for number in numbers]},
        )
        deadline = time.monotonic() + seconds * 1.5 + 30
        while len(journal.asked) < count and time.monotonic() < deadline:
            time.sleep(0.5)
        journal.over.set()
        journal.join()
        return judge(rate, count, journal.asked)


def judge(rate: float, count: int, asked: list[float]) -> dict[str, float]:
    """The pace over the whole, and how far single gaps were from the interval."""
    asked = sorted(asked)
    gaps = sorted(after - before for before, after in pairwise(asked))
    kept = (len(asked) - 1) / (asked[-1] - asked[0])
    busiest = max(sum(1 for at in asked if start <= at < start + 1) for start in asked)
    return {
        "asked for": rate,
        "kept": round(kept, 3),
        "off by %": round(100 * (kept / rate - 1), 2),
        "calls": len(asked),
        "missing": count - len(asked),
        "longest gap, ms": round(1000 * gaps[-1]),
        "p95 gap, ms": round(1000 * gaps[int(0.95 * len(gaps))]),
        "busiest second": busiest,
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pace")
    parser.add_argument("--rates", type=float, nargs="+", default=[1, 10, 30])
    parser.add_argument("--seconds", type=float, default=60, help="of each rate")
    options = parser.parse_args()
    rows = []
    for rate in options.rates:
        rows.append(measure(rate, options.seconds))
        print(rows[-1], flush=True)
    print("\n| " + " | ".join(rows[0]) + " |\n|" + " --- |" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(f"{value:g}" for value in row.values()) + " |")
    held = all(abs(row["off by %"]) <= 100 * LIMIT and not row["missing"] for row in rows)
    print("\nHeld." if held else "\nNOT held.")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
