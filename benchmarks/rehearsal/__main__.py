"""Does a rehearsal foretell when a campaign ends? ``python -m benchmarks.rehearsal``.

A whole installation (``manage.py run``, a database of its own) first calls 60 people, so that the
account has a history that is far from the assumed one. Then 300 others, of whom as many are busy or
do not answer, are rehearsed and called for real, by the sandbox's clock: in two windows with a
break between them, with retries. Everything is simulated; no telephone rings.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from benchmarks.house import House, Office, open_office

LIMIT = 0.05
RATE, LINES = 3, 30
LONDON = ZoneInfo("Europe/London")
# Neither the assumed rates nor the assumed times on the line.
CHARACTERS = [{"answers": "busy", "rings_s": 2}] * 3 + [{"answers": "no_answer"}] * 2
FIRST, BREAK = timedelta(minutes=1), timedelta(minutes=1)


def people(house: House, prefix: str, count: int, dice: random.Random) -> list[str]:
    """Give everybody a character and return their numbers."""
    numbers = [f"{prefix}{n:05d}" for n in range(count)]
    with httpx.Client(base_url=f"{house.sandbox}/_sandbox/people", timeout=10) as sandbox:
        for number in numbers:
            sandbox.put(f"/{number}", json=dice.choice(CHARACTERS)).raise_for_status()
    return numbers


def batch(office: Office, numbers: list[str], **about: Any) -> str:
    asked = {
        "agent_id": office.agent_id,
        "recipients": [{"phone": number} for number in numbers],
        "stop_on_failures": False,
    }
    campaign_id: str = office.api.send("POST", "/calls/batch", asked | about)["campaign_id"]
    return campaign_id


def finished(office: Office, campaign_id: str, within_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        now: dict[str, Any] = office.api.send("GET", f"/campaigns/{campaign_id}")
        if now["status"] == "completed":
            return now
        time.sleep(1)
    raise RuntimeError(f"the campaign did not end: {now['counts']}")


def windows(now: datetime) -> list[dict[str, int]]:
    """A minute or a little more from ``now``, a break, and the rest of an hour."""
    edges = [now, now + FIRST, now + FIRST + BREAK, now + timedelta(hours=1)]
    minutes = [at.hour * 60 + at.minute for at in edges]
    return [
        {"start_minutes": minutes[0], "end_minutes": minutes[1]},
        {"start_minutes": minutes[2], "end_minutes": minutes[3]},
    ]


def run(house: House, count: int, dice: random.Random) -> int:
    office = open_office(house, lines=LINES, name="Rehearsal")
    finished(office, batch(office, people(house, "+4473860", 60, dice)), 300)
    numbers = people(house, "+4473861", count, dice)
    while datetime.now(UTC).second > 10:  # windows begin and end with minutes
        time.sleep(0.5)
    campaign_id = batch(
        office,
        numbers,
        schedule_type="draft",
        windows=windows(datetime.now(LONDON) + timedelta(minutes=1)),
        retries={"no-answer": {"times": 1, "after_minutes": 1}},
    )
    office.api.send("POST", f"/campaigns/{campaign_id}/launch", {})
    foretold = json.loads(house.manage("rehearse", campaign_id, "--json"))
    real = finished(office, campaign_id, 900)
    began = datetime.fromisoformat(real["launched_at"])
    ended = datetime.fromisoformat(real["ended_at"])
    expected = datetime.fromisoformat(foretold["ends_at"])
    off = (expected - ended) / (ended - began)
    print("\n| what | foretold | real |\n| --- | --- | --- |")
    print(
        f"| end, s after the launch | {(expected - began).total_seconds():.0f} "
        f"| {(ended - began).total_seconds():.0f} |"
    )
    print(f"| calls | {foretold['calls']} | {real['calls_count']} |")
    for outcome in ("busy", "no-answer"):
        print(
            f"| {outcome} | {foretold['outcomes'].get(outcome, 0)} "
            f"| {real['outcomes'].get(outcome, 0)} |"
        )
    print(
        f"\nOff by {100 * off:.1f} %; outcomes from history: {foretold['from_history']}; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    held = abs(off) <= LIMIT and foretold["from_history"]
    print("Held." if held else "NOT held.")
    return 0 if held else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rehearsal")
    parser.add_argument("--recipients", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    settings = {
        "SANDBOX_CPS": "1000",
        "CARRIER_CALLS_PER_SECOND": str(RATE),
        "MAX_CONCURRENT_CALLS": str(LINES),
        "RING_TIMEOUT_SECONDS": "5",
    }
    with (
        tempfile.TemporaryDirectory(prefix="nixflex-rehearsal-") as folder,
        House(Path(folder), **settings) as house,
    ):
        return run(house, options.recipients, random.Random(options.seed))


if __name__ == "__main__":
    sys.exit(main())
