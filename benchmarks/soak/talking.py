"""People who call one after another, so that always as many talk as are wanted."""

import asyncio
import json
from dataclasses import dataclass, field

import aiohttp

from benchmarks.voice.caller import Caller, Measures, Way
from benchmarks.voice.rounds import percentile
from benchmarks.voice.stubs import FLOOR_MS
from benchmarks.voice.systems import House

RAMP_S = 0.15
LONGEST_TURN_S = 25.0


class Talker(Caller):
    """A caller who hangs up after so many answers."""

    def __init__(self, way: Way, number: int, turns: int) -> None:
        self.seen = Measures(counting=True)
        self.over = asyncio.Event()
        self._turns = turns
        super().__init__(way, number, self.seen, self.over, FLOOR_MS)

    def _decide(self, now: float, age: float) -> None:
        answers = len(self.seen.added) + self.seen.failed
        if answers >= self._turns and now > self._play_end:
            self.over.set()
        super()._decide(now, age)


@dataclass
class Crowd:
    """Calls, ``at_once`` of them, and what became of them all."""

    house: House
    at_once: int
    turns: int
    begun: int = 0
    over: int = 0
    answers: int = 0
    added: list[float] = field(default_factory=list)
    lost: int = 0  # calls that broke, and questions without an answer
    gaps: int = 0

    def __post_init__(self) -> None:
        self.one_by_one = asyncio.Lock()

    async def run(self, *, calls: int | None = None, seconds: float | None = None) -> None:
        """Talk until there were so many more calls, or no more begins after so long."""
        clock = asyncio.get_running_loop().time
        ends = None if seconds is None else clock() + seconds
        last = None if calls is None else self.begun + calls
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            asyncio.TaskGroup() as all,
        ):
            for place in range(self.at_once):
                all.create_task(self._stand_in_line(session, last, ends))
                if place < self.at_once - 1:
                    await asyncio.sleep(RAMP_S)

    async def _stand_in_line(
        self, session: aiohttp.ClientSession, last: int | None, ends: float | None
    ) -> None:
        clock = asyncio.get_running_loop().time
        while (last is None or self.begun < last) and (ends is None or clock() < ends):
            self.begun += 1
            await self._call(session, self.begun)

    async def _call(self, session: aiohttp.ClientSession, person: int) -> None:
        way = self.house.way(await self.ask({"begin": person}))
        talker = Talker(way, person, self.turns)
        try:
            async with asyncio.timeout(self.turns * LONGEST_TURN_S):
                await talker.run(session)
        except TimeoutError:
            self.lost += 1
        await self.ask({"end": way.call_sid})
        seen = talker.seen
        self.over += 1
        self.answers += len(seen.added)
        self.added += seen.added
        self.lost += seen.dropped + seen.failed
        self.gaps += seen.gaps

    async def ask(self, order: object) -> dict[str, str]:
        """One question to the house at a time, beside the loop that keeps the callers' time."""
        async with self.one_by_one:
            answer: dict[str, str] = await asyncio.to_thread(self.house.ask, json.dumps(order))
        return answer

    def added_ms(self, share: float) -> float:
        return percentile(self.added, share)
