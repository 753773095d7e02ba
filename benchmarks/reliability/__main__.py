"""A campaign through everything that can go wrong at once: ``python -m benchmarks.reliability``.

A whole installation (``manage.py run``, a database of its own) calls people of the sandbox, most
of them busy or not answering, some who talk. Meanwhile callbacks are doubled, reordered, delayed
and dropped, answers of the carrier's create-call are lost after it accepted (reset, 500, time-out),
and every few seconds one of worker, web, beat and media is killed with SIGKILL. In the end the
carrier's own journal is counted against our rows. Everything is simulated; no telephone rings.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from benchmarks.documents import write_table
from benchmarks.house import Carrier, House, open_office
from benchmarks.trouble import Trouble

BEGIN, END = "<!-- the whole run -->", "<!-- end of the whole run -->"
KILLED = ("worker", "web", "beat", "media")
# What the database says once the dust has settled.
LEDGER = """
import json
from collections import Counter
from calls.models import Call, DialAttempt
from campaigns.models import Recipient, RecipientCall
print(json.dumps({
    "recipients": Counter(Recipient.objects.values_list("status", flat=True)),
    "outcomes": Counter(Recipient.objects.values_list("outcome", flat=True)),
    "calls": Call.objects.count(),
    "unfinished": Call.objects.unfinished().count(),
    "lines taken": Call.objects.occupying().count(),
    "attempts": Counter(DialAttempt.objects.values_list("status", flat=True)),
    "unsettled": DialAttempt.objects.unsettled().count(),
    "calls per person": dict(Counter(
        RecipientCall.objects.values_list("recipient__phone", flat=True))),
    "sids": list(Call.objects.exclude(carrier_sid="").values_list("carrier_sid", flat=True)),
}))
"""


def people(house: House, count: int, talkers: int, dice: random.Random) -> list[str]:
    """Give everybody a character and return their numbers."""
    numbers = [f"+4473861{n:05d}" for n in range(count)]
    with httpx.Client(base_url=f"{house.sandbox}/_sandbox/people", timeout=10) as sandbox:
        for n, number in enumerate(numbers):
            who: dict[str, Any] = {"answers": dice.choice(["busy", "busy", "no_answer"])}
            if n % max(1, count // max(1, talkers)) == 0:
                who = {"answers": "answer", "say": ["No thank you. Goodbye."]}
            sandbox.put(f"/{number}", json=who | {"rings_s": 1}).raise_for_status()
    return numbers


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability")
    parser.add_argument("--recipients", type=int, default=2000)
    parser.add_argument("--talkers", type=int, default=100)
    parser.add_argument("--cps", type=float, default=10)
    parser.add_argument("--lines", type=int, default=60, help="calls at the same time")
    parser.add_argument("--settle", type=int, default=60, help="DIAL_SETTLE_SECONDS")
    parser.add_argument("--minutes", type=float, default=20, help="give up after")
    parser.add_argument("--trouble", type=float, default=12, help="minutes of it, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-kills", action="store_true")
    parser.add_argument("--write", action="store_true", help="the table, into docs/reliability.md")
    options = parser.parse_args()
    dice = random.Random(options.seed)
    settings = {
        "SANDBOX_CPS": str(options.cps),
        "CARRIER_CALLS_PER_SECOND": str(options.cps),
        "MAX_CONCURRENT_CALLS": str(options.lines),
        "TRANSCRIBER_SOCKETS": "1000",
        "VOICE_SOCKETS": "1000",
        "RING_TIMEOUT_SECONDS": "5",
        "DIAL_SETTLE_SECONDS": str(options.settle),
    }
    with (
        tempfile.TemporaryDirectory(prefix="nixflex-reliability-") as folder,
        House(Path(folder), **settings) as house,
    ):
        return run(house, options, dice)


def run(house: House, options: argparse.Namespace, dice: random.Random) -> int:
    office = open_office(house, lines=options.lines, name="Reliability")
    api = office.api
    numbers = people(house, options.recipients, options.talkers, dice)
    carrier = Carrier(house.sandbox)
    carrier.start()
    trouble = Trouble(
        house,
        dice,
        kills=() if options.no_kills else KILLED,
        request="create_call",
        timeouts=0.05,
    )
    trouble.start()
    begun = time.monotonic()
    campaign = api.send(
        "POST",
        "/calls/batch",
        {
            "agent_id": office.agent_id,
            "prompt": "Ask whether they want to come to the open day.",
            "recipients": [{"phone": number} for number in numbers],
            "stop_on_failures": False,
        },
    )
    path = f"/campaigns/{campaign['campaign_id']}"
    seen = 0.0
    while time.monotonic() - begun < options.minutes * 60:
        now = api.send("GET", path)
        enough = now["progress"] >= 0.9 or time.monotonic() - begun > options.trouble * 60
        if enough and not trouble.over.is_set():
            trouble.stop()
        if now["status"] == "completed":
            break
        if time.monotonic() - seen > 10:
            seen = time.monotonic()
            taken = int(seen - begun)
            print(
                f"{taken:5d} s  {now['counts']}  killed {sum(trouble.killed.values())}", flush=True
            )
        time.sleep(2)
    took = time.monotonic() - begun
    if not trouble.over.is_set():
        trouble.stop()
    time.sleep(5)
    ledger = json.loads(house.shell(LEDGER))
    carrier.stop()
    return report(options, took, trouble, carrier, ledger)


def report(
    options: argparse.Namespace,
    took: float,
    trouble: Trouble,
    carrier: Carrier,
    ledger: dict[str, Any],
) -> int:
    placed: dict[str, int] = ledger["calls per person"]
    rang = carrier.rang
    too_often = {n for n, times in rang.items() if times > placed.get(n, 0)}
    # Of an attempt that died before the carrier had it, nobody's phone may ring.
    lost = ledger["recipients"].get("pending", 0) + ledger["recipients"].get("calling", 0)
    unknown = carrier.sids - set(ledger["sids"])
    rows = [
        ("people", options.recipients),
        ("minutes", round(took / 60, 1)),
        ("of whom talk", options.talkers),
        ("processes killed", in_words(trouble.killed)),
        ("callbacks dropped", carrier.noted["callback_dropped"]),
        ("answers lost, by the carrier's journal", carrier.noted["fault"]),
        ("calls the carrier made", sum(rang.values())),
        ("outcomes", in_words(ledger["outcomes"])),
        ("dial attempts", in_words(ledger["attempts"])),
        ("phones that rang more often than they were called", len(too_often)),
        ("people not finished", lost),
        ("calls of the carrier without a row", len(unknown)),
        ("dial attempts unsettled", ledger["unsettled"]),
        ("calls unfinished", ledger["unfinished"]),
        ("lines still taken", ledger["lines taken"]),
        ("load at the end", f"{os.getloadavg()[0]:.1f}"),
    ]
    lines = ["| what | |", "| --- | --- |", *(f"| {what} | {value} |" for what, value in rows)]
    table = "\n".join(lines)
    print(f"\n{table}")
    if options.write:
        write_table(table, BEGIN, END)
    wrong = len(too_often) + lost + len(unknown) + ledger["unsettled"] + ledger["lines taken"]
    print("\nHeld." if not wrong else "\nNOT held.")
    return 1 if wrong else 0


def in_words(counts: Mapping[str, int]) -> str:
    """Return ``{"busy": 3, "answered": 1}`` as ``3 busy, 1 answered``."""
    return ", ".join(f"{n} {what}" for what, n in counts.items())


if __name__ == "__main__":
    sys.exit(main())
