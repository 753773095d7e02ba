"""Two thousand texts go out over twenty numbers and people answer; everything goes wrong."""

import argparse
import contextlib
import json
import random
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from benchmarks.house import House, Office
from benchmarks.texting.office import NUMBERS, SETTINGS, open_texting_office, signature
from benchmarks.trouble import Trouble

KILLED = ("worker", "web", "beat")
# What the database says once the dust has settled.
LEDGER = """
import json
from collections import Counter
from sms.models import Message, MessagePart, Thread
ours = Message.objects.filter(direction="outbound")
print(json.dumps({
    "texts": Counter(ours.values_list("origin", flat=True)),
    "statuses": Counter(ours.filter(origin="api").values_list("status", flat=True)),
    "bodies": list(ours.filter(origin="api").values_list("body", flat=True)),
    "unsettled": MessagePart.objects.unsettled().count(),
    "unsent": MessagePart.objects.unsent().count(),
    "unfinished": MessagePart.objects.exclude(carrier_sid="")
        .exclude(status__in=MessagePart.ENDINGS).count(),
    "parts": {sid: [token, status] for sid, token, status in MessagePart.objects
        .exclude(carrier_sid="").values_list("carrier_sid", "message__message_id", "status")},
    "received": list(Message.objects.inbound().values_list("carrier_sid", flat=True)),
    "replies": Counter(Message.objects.inbound().values_list("reply", flat=True)),
    "due": Thread.objects.filter(answer_due_at__isnull=False).count(),
    "answers of a text": max(Counter(ours.exclude(answers=None)
        .values_list("answers", flat=True)).values(), default=0),
}))
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--answering", type=float, default=0.25, help="share who text back")
    parser.add_argument("--settle", type=int, default=60, help="SMS_SETTLE_SECONDS")
    parser.add_argument("--trouble", type=float, default=3.5, help="minutes of it, at most")
    parser.add_argument("--minutes", type=float, default=10, help="give up after")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-kills", action="store_true")


def run(given: argparse.Namespace) -> int:
    settings = SETTINGS | {
        "SMS_PER_NUMBER_PER_SECOND": "2",
        "SMS_PER_ACCOUNT_PER_SECOND": "40",
        "SMS_SETTLE_SECONDS": str(given.settle),
    }
    dice = random.Random(given.seed)
    with (
        tempfile.TemporaryDirectory(prefix="nixflex-texting-") as folder,
        House(Path(folder), **settings) as house,
    ):
        office = open_texting_office(house)
        return _run(house, office, given, dice)


def _run(house: House, office: Office, given: argparse.Namespace, dice: random.Random) -> int:
    begun = time.monotonic()
    people = [f"+4473863{n:05d}" for n in range(given.texts)]
    journal = Journal(house, dice, share=given.answering)
    trouble = Trouble(
        house,
        dice,
        kills=() if given.no_kills else KILLED,
        request="create_message",
        timeouts=0.02,
    )
    journal.start()
    trouble.start()

    def send(n: int) -> None:
        office.api.send(
            "POST",
            "/sms",
            {
                "agent_id": office.agent_id,
                "from_number": NUMBERS[n % len(NUMBERS)],
                "to_number": people[n],
                "body": f"Your check-up, number {n}, is tomorrow at 3 pm.",
            },
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(given.texts)))
    sent = given.texts
    ledger: dict[str, Any] = {}
    seen = 0.0
    while time.monotonic() - begun < given.minutes * 60:
        if not trouble.over.is_set() and (
            trouble.is_over(given.trouble * 60) or _is_quiet(ledger, sent, 0.9)
        ):
            trouble.stop()
        with contextlib.suppress(Exception):  # the machine may be too busy for a moment
            ledger = json.loads(house.shell(LEDGER))
        if trouble.over.is_set() and _is_done(ledger, sent, journal):
            break
        if time.monotonic() - seen > 15:
            seen = time.monotonic()
            print(
                f"{int(seen - begun):5d} s  {ledger.get('statuses')}  "
                f"received {len(ledger.get('received', ()))} of {len(journal.received)}  "
                f"unsent {ledger.get('unsent')}  unfinished {ledger.get('unfinished')}  "
                f"killed {sum(trouble.killed.values())}",
                flush=True,
            )
        time.sleep(2)
    took = time.monotonic() - begun
    if not trouble.over.is_set():
        trouble.stop()
    time.sleep(5)
    ledger = json.loads(house.shell(LEDGER))
    journal.stop()
    return report(sent, took, trouble, journal, ledger)


def _is_quiet(ledger: dict[str, Any], sent: int, share: float) -> bool:
    finished: int = sum(ledger.get("statuses", {}).get(one, 0) for one in ("delivered", "failed"))
    return finished >= share * sent


def _is_done(ledger: dict[str, Any], sent: int, journal: "Journal") -> bool:
    return (
        _is_quiet(ledger, sent, 1)
        and not (ledger["unsent"] or ledger["due"] or ledger["unfinished"])
        and len(ledger["received"]) >= len(journal.received)
    )


class Journal(threading.Thread):
    """Reads the carrier's journal, the truth about who got which text; has some people answer, and
    brings every third text of theirs a second time."""

    def __init__(self, house: House, dice: random.Random, *, share: float) -> None:
        super().__init__(daemon=True)
        self.created: dict[str, tuple[str, str]] = {}  # ours: sid → (person, body)
        self.status: dict[str, str] = {}
        self.received: set[str] = set()
        self.noted: Counter[str] = Counter()
        self.brought_again = 0
        self._house, self._dice, self._share = house, random.Random(dice.random()), share
        self._http = httpx.Client(base_url=house.sandbox, timeout=30)
        self._over = threading.Event()

    def run(self) -> None:
        after = 0
        while not self._over.is_set():
            try:
                query = {"after": after, "wait": 2}
                page = self._http.get("/_sandbox/journal", params=query).json()
            except httpx.HTTPError:
                time.sleep(0.5)
                continue
            for event in page["events"]:
                self._take(event)
            after = page["last"]

    def _take(self, event: dict[str, Any]) -> None:
        self.noted[event["kind"]] += 1
        match event["kind"]:
            case "text_created":
                self.created[event["message_sid"]] = (event["to"], event["body"])
            case "text_status":
                self.status[event["message_sid"]] = event["status"]
                is_ours = "Your check-up, number" in self.created[event["message_sid"]][1]
                if event["status"] == "delivered" and is_ours:
                    self._maybe_answer(event["message_sid"])
            case "text_received":
                self.received.add(event["message_sid"])
            case "text_webhook" if event["response"] == 200 and self._dice.random() < 0.33:
                self._bring_again(event["url"], event["params"])

    def _maybe_answer(self, sid: str) -> None:
        if self._dice.random() >= self._share:
            return
        person, body = self.created[sid]
        number = NUMBERS[int(body.split("number ")[1].split(",")[0]) % len(NUMBERS)]
        words = self._dice.choice(
            ["How much does it cost?", "Is there parking?", "How long will it take?"]
        )
        text = {"from": person, "to": number, "body": words}
        self._http.post("/_sandbox/messages", json=text).raise_for_status()

    def _bring_again(self, url: str, form: dict[str, str]) -> None:
        headers = {"X-Twilio-Signature": signature(url, form)}
        with contextlib.suppress(httpx.HTTPError):  # the web process may be dead just now
            self.brought_again += (
                httpx.post(url, data=form, headers=headers, timeout=15).status_code == 200
            )

    def stop(self) -> None:
        self._over.set()
        self.join(40)


def report(
    sent: int, took: float, trouble: Trouble, journal: Journal, ledger: dict[str, Any]
) -> int:
    ours = {sid: text for sid, text in journal.created.items() if text[1].startswith("Your check")}
    times = Counter(body for _, body in ours.values())
    twice = sum(count > 1 for count in times.values())
    never = sent - len(times)
    parts: dict[str, list[str]] = ledger["parts"]
    strangers = journal.created.keys() - parts.keys()
    untrue = [sid for sid, (_, status) in parts.items() if status != journal.status.get(sid)]
    answered = Counter(message_id for message_id, _ in parts.values())
    lost = journal.received - set(ledger["received"])
    doubled = len(ledger["received"]) - len(set(ledger["received"]))
    failed = ledger["statuses"].get("failed", 0)
    rows = [
        ("texts asked for, over 20 numbers", sent),
        ("minutes", round(took / 60, 1)),
        ("processes killed", dict(trouble.killed)),
        ("callbacks dropped", journal.noted["callback_dropped"]),
        ("answers lost, by the carrier's journal", journal.noted["fault"]),
        ("texts on record", len(ledger["bodies"])),
        ("their statuses", ledger["statuses"]),
        ("texts that the carrier got twice", twice),
        ("texts that it never got (and that are on record as failed)", f"{never} ({failed})"),
        ("texts of the carrier without a row", len(strangers)),
        ("records that are not the carrier's", len(untrue)),
        ("texts unsettled", ledger["unsettled"]),
        ("people's texts", len(journal.received)),
        ("brought again", journal.brought_again),
        ("not stored, stored twice", f"{len(lost)}, {doubled}"),
        ("what became of them", ledger["replies"]),
        ("automatic answers", ledger["texts"].get("auto_reply", 0)),
        ("most answers that one text got", ledger["answers of a text"]),
    ]
    print("\n| what | |\n| --- | --- |")
    for what, value in rows:
        print(f"| {what} | {value} |")
    wrong = (
        twice
        + abs(never - failed)
        + len(strangers)
        + len(untrue)
        + ledger["unsettled"]
        + len(lost)
        + doubled
        + sum(count > 1 for count in answered.values())
        + (ledger["answers of a text"] > 1)
        + abs(len(ledger["bodies"]) - sent)
    )
    print("\nHeld." if not wrong else "\nNOT held.")
    return 1 if wrong else 0
