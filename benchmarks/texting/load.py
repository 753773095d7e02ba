"""A hundred texts a second come in, from three thousand people to twenty numbers."""

import argparse
import asyncio
import json
import os
import random
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import httpx

from benchmarks.house import House
from benchmarks.texting import nothing
from benchmarks.texting.office import (
    NUMBERS,
    SETTINGS,
    open_texting_office,
    signature,
    text_form,
)

# So many texts go, each a second time, to a server that does nothing.
ONE_IN = 5
# Whose processor time is told: worker and sandbox answer meanwhile.
MEASURED = ("web", "worker", "database", "sandbox")
WORDS = (
    "How much does a check-up cost?",
    "Is there parking?",
    "How long does it take?",
    "I will be ten minutes late, sorry.",
    "Can I bring my daughter along? She is six.",
    "Thanks",
)
# Those whom we texted before: their reply windows are open.
OPEN = """
from datetime import timedelta
from django.utils import timezone
from agents.models import Agent, PhoneNumber
from sms.models import Thread
agent = Agent.objects.get(agent_id="{agent_id}")
numbers = {{one.phone_number: one for one in PhoneNumber.objects.all()}}
Thread.objects.bulk_create(
    Thread(account=agent.account, number=numbers[ours], our_number=ours, their_number=theirs,
           agent=agent, reply_until=timezone.now() + timedelta(hours=24), window_open=True)
    for theirs, ours in {pairs!r})
print("ok")
"""
STATE = """
import json
from sms.models import Message, MessagePart, Thread
print(json.dumps({
    "sids": list(Message.objects.inbound().values_list("carrier_sid", flat=True)),
    "pending": Message.objects.filter(reply="pending").count(),
    "due": Thread.objects.filter(answer_due_at__isnull=False).count(),
    "unsent": MessagePart.objects.unsent().count(),
    "answered": Message.objects.filter(reply="answered").count(),
    "not answered": Message.objects.filter(reply="failed").count(),
    "answers": Message.objects.filter(origin="auto_reply").count(),
}))
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=100, help="texts a second")
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--answered", type=int, default=300, help="of them, automatically")
    parser.add_argument("--even", action="store_true", help="one text each 1/rate s, not at random")
    parser.add_argument("--seed", type=int, default=1)


def run(given: argparse.Namespace) -> int:
    dice = random.Random(given.seed)
    people = [(f"+4473862{n:05d}", NUMBERS[n % len(NUMBERS)]) for n in range(given.people)]
    with (
        tempfile.TemporaryDirectory(prefix="nixflex-texting-") as folder,
        House(Path(folder), **SETTINGS, DEBUG="0") as house,
        nothing.running() as floor,
    ):
        office = open_texting_office(house)
        house.shell(OPEN.format(agent_id=office.agent_id, pairs=people[: given.answered]))
        sender = Sender(house, floor, given, people, dice)
        asyncio.run(sender.warm_up(people[: given.answered]))
        drain(house)
        before, used = intake(house), cpu_seconds(house)
        asyncio.run(sender.run())
        served = intake(house) - before
        cpu = {name: now - used[name] for name, now in cpu_seconds(house).items()}
        drained, state = drain(house)
        return report(given, sender, served, cpu, drained, state)


def cpu_seconds(house: House) -> dict[str, float]:
    return {name: house.cpu_seconds(name) for name in MEASURED}


class Sender:
    """Posts texts as the carrier does, and takes the time until each is answered."""

    def __init__(
        self,
        house: House,
        floor: str,
        given: argparse.Namespace,
        people: list[tuple[str, str]],
        dice: random.Random,
    ) -> None:
        self.sids: set[str] = set()
        self.took_ms: list[float] = []
        self.floor_ms: list[float] = []
        self.wrong = 0
        self.late_ms = 0.0
        self._url, self._floor = f"{house.url}/twilio/sms/", floor
        self._given, self._people, self._dice = given, people, dice

    async def warm_up(self, answered: list[tuple[str, str]]) -> None:
        """A process that just started is slow for its first requests, and the worker's first answer
        loads the model's SDK."""
        async with _session() as session:
            for number in NUMBERS * 3:
                await self._post(session, "+447386300000", number, "Hello")
            for person, number in answered[:20]:
                await self._post(session, person, number, "Hello")
        self.took_ms.clear()

    async def run(self) -> None:
        given = self._given
        # Everybody texts, then everybody again, in random order.
        count = round(given.rate * given.seconds)
        whom = [self._people[n % len(self._people)] for n in range(count)]
        self._dice.shuffle(whom)
        async with _session() as session, asyncio.TaskGroup() as group:
            due = time.monotonic()
            for person, number in whom:
                gap = 1 / given.rate
                due += gap if given.even else self._dice.expovariate(given.rate)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self.late_ms = max(self.late_ms, 1000 * (time.monotonic() - due))
                words = self._dice.choice(WORDS)
                group.create_task(self._post(session, person, number, words))
                if self._dice.randrange(ONE_IN) == 0:
                    group.create_task(self._post_nowhere(session, person, number, words))

    async def _post(
        self, session: aiohttp.ClientSession, person: str, number: str, words: str
    ) -> None:
        form = text_form(person=person, number=number, body=words)
        headers = {"X-Twilio-Signature": signature(self._url, form)}
        begun = time.perf_counter()
        self.sids.add(form["MessageSid"])
        try:
            async with session.post(self._url, data=form, headers=headers) as answer:
                await answer.read()
            self.wrong += answer.status != 200
        except (aiohttp.ClientError, TimeoutError):
            self.wrong += 1
        self.took_ms.append(1000 * (time.perf_counter() - begun))

    async def _post_nowhere(
        self, session: aiohttp.ClientSession, person: str, number: str, words: str
    ) -> None:
        form = text_form(person=person, number=number, body=words)
        headers = {"X-Twilio-Signature": signature(self._floor, form)}
        begun = time.perf_counter()
        async with session.post(self._floor, data=form, headers=headers) as answer:
            await answer.read()
        self.floor_ms.append(1000 * (time.perf_counter() - begun))


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=15)
    )


class Intake(dict[float, float]):
    """How many texts the web process took in within so many seconds, by its own clock."""

    def __sub__(self, before: "Intake") -> "Intake":
        return Intake({edge: count - before.get(edge, 0) for edge, count in self.items()})

    def p(self, share: float) -> str:
        wanted = share * max(self.values(), default=0)
        edge = next((edge for edge in sorted(self) if self[edge] >= wanted), float("inf"))
        return f"≤ {1000 * edge:g}"


def intake(house: House) -> Intake:
    headers = {"Authorization": f"Bearer {SETTINGS['METRICS_TOKEN']}"}
    page = httpx.get(f"{house.url}/metrics", headers=headers, timeout=10).text
    found = re.findall(r'nixflex_text_intake_seconds_bucket\{le="([^"]+)"\} (\S+)', page)
    return Intake({float(edge): float(count) for edge, count in found})


def drain(house: House, at_most_s: float = 180) -> tuple[float, dict[str, object]]:
    """Wait until every text has had its answer and every answer is with the carrier."""
    begun = time.monotonic()
    while True:
        state: dict[str, object] = json.loads(house.shell(STATE))
        took = time.monotonic() - begun
        if not (state["pending"] or state["due"] or state["unsent"]) or took > at_most_s:
            return took, state
        time.sleep(1)


def report(
    given: argparse.Namespace,
    sender: Sender,
    served: Intake,
    cpu: dict[str, float],
    drained: float,
    state: dict[str, object],
) -> int:
    took, floor = sorted(sender.took_ms), sorted(sender.floor_ms)

    def p(share: float, among: Sequence[float] = took) -> float:
        return among[min(len(among) - 1, int(share * len(among)))]

    stored = state.pop("sids")
    assert isinstance(stored, list)
    lost = len(sender.sids - set(stored))
    waiting = sum(int(str(state[what])) for what in ("pending", "due", "unsent"))
    rows = [
        ("texts", f"{len(took)} in {given.seconds:g} s, {given.people} people"),
        ("until answered, ms, at the carrier: p50 / p95 / p99 / max",
         f"{p(0.5):.1f} / {p(0.95):.1f} / {p(0.99):.1f} / {took[-1]:.0f}"),
        ("the same at a server that does nothing: p50 / p95 / p99",
         " / ".join(f"{p(share, floor):.1f}" for share in (0.5, 0.95, 0.99))),
        ("taken in, ms, in the web process: p50 / p95 / p99",
         " / ".join(served.p(share) for share in (0.5, 0.95, 0.99))),
        ("processor time while they came, ms a text",
         ", ".join(f"{name} {1000 * used / len(took):.1f}" for name, used in cpu.items())),
        ("answers other than 200, or none", sender.wrong),
        ("texts lost", lost),
        ("texts stored twice", len(stored) - len(set(stored))),
        ("automatic answers sent", state["answers"]),
        ("texts answered, and given up", f"{state['answered']}, {state['not answered']}"),
        ("queue empty after, s", f"{drained:.0f}"),
        ("still waiting", waiting),
        ("sender late by at most, ms", f"{sender.late_ms:.0f}"),
        ("load of the machine", f"{os.getloadavg()[0]:.1f}"),
    ]  # fmt: skip
    print("\n| what | |\n| --- | --- |")
    for what, value in rows:
        print(f"| {what} | {value} |")
    wrong = sender.wrong + lost + waiting + (len(stored) - len(set(stored)))
    held = not wrong and p(0.95) <= 10
    print("\nHeld." if held else "\nNOT held.")
    return 0 if held else 1
