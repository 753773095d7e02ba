"""One round: an engine, so many callers, so many seconds; and what came of several rounds."""

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

from benchmarks.voice.caller import Caller, Measures, Way
from benchmarks.voice.stubs import Stubs
from benchmarks.voice.systems import ENGINE_CORE, HARNESS_CORE, Engine

SETTLE_S = 4.0
RAMP_S = 0.06  # between two callers
LEAVE_S = 3.0


@dataclass
class Round:
    """What one round measured. Times in ms, memory in MiB."""

    engine: str
    calls: int
    seconds: float
    speed: float  # of the engine's core just before, in loops a µs: the drift between rounds
    cpu_ms: float  # of the engine, for each second of each call
    cpu_share: float
    idle_rss: float
    rss: float
    lag_p95: float  # of the stubs
    measures: Measures = field(default_factory=Measures)

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Round":
        return cls(**values | {"measures": Measures(**values["measures"])})


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


async def run(
    start: Callable[[], AbstractContextManager[Engine]],
    ways: Callable[[Engine, int], list[Way]],
    stubs: Stubs,
    calls: int,
    seconds: float,
) -> Round:
    speed = core_speed()
    with start() as engine:
        stop, measures = asyncio.Event(), Measures()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1.0)
        idle_rss = engine.rss_mib()
        people = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            for number, way in enumerate(ways(engine, calls)):
                caller = Caller(way, number, measures, stop, stubs.floor_ms)
                people.append(asyncio.create_task(caller.run(session)))
                await asyncio.sleep(RAMP_S)
            await asyncio.sleep(SETTLE_S)
            stubs.lags.clear()
            answered = stubs.backchannels_answered
            measures.counting = True
            began, cpu = loop.time(), engine.cpu_s()
            await asyncio.sleep(seconds)
            lasted, cpu = loop.time() - began, engine.cpu_s() - cpu
            measures.counting = False
            measures.false_stops += stubs.backchannels_answered - answered
            rss = engine.rss_mib()
            lag = percentile(list(stubs.lags), 0.95)
            stop.set()
            await asyncio.wait(people, timeout=LEAVE_S)
            for person in people:
                person.cancel()
    share = cpu / lasted
    cpu_ms = share * 1000 / calls
    return Round(engine.name, calls, lasted, speed, cpu_ms, share, idle_rss, rss, lag, measures)


def core_speed() -> float:
    """How fast the engine's core runs plain Python now; other tenants of a machine move it."""
    os.sched_setaffinity(0, {ENGINE_CORE})
    begun = time.perf_counter()
    total = 0
    for number in range(1_000_000):
        total += number
    took = time.perf_counter() - begun
    os.sched_setaffinity(0, {HARNESS_CORE})
    return 1.0 / took


@dataclass(frozen=True)
class Row:
    """All rounds of one engine at one load."""

    engine: str
    calls: int
    rounds: int
    turns: int
    failed: int
    added_p50: float
    added_p95: float
    added_max: float
    stop_p50: float
    stop_p95: float
    stops: int
    mumbled: int
    false_stops: int
    pauses: int
    pause_p50: float
    gaps: int
    dropped: int
    cpu_ms: float
    cpu_least: float
    cpu_most: float
    cpu_share: float
    rss: float
    rss_a_call: float
    late_p95: float
    lag_p95: float


def rows(rounds: list[Round]) -> list[Row]:
    keys = list(dict.fromkeys((r.engine, r.calls) for r in rounds))
    return [_row([r for r in rounds if (r.engine, r.calls) == key]) for key in keys]


def _row(rounds: list[Round]) -> Row:
    def pooled(name: str) -> list[float]:
        return [value for r in rounds for value in getattr(r.measures, name)]

    def total(name: str) -> int:
        return sum(getattr(r.measures, name) for r in rounds)

    added, stops, pauses = pooled("added"), pooled("stops"), pooled("pauses")
    cpu = [r.cpu_ms for r in rounds]
    return Row(
        engine=rounds[0].engine,
        calls=rounds[0].calls,
        rounds=len(rounds),
        turns=len(added),
        failed=total("failed"),
        added_p50=percentile(added, 0.5),
        added_p95=percentile(added, 0.95),
        added_max=max(added, default=float("nan")),
        stop_p50=percentile(stops, 0.5),
        stop_p95=percentile(stops, 0.95),
        stops=len(stops),
        mumbled=total("mumbled"),
        false_stops=total("false_stops"),
        pauses=len(pauses),
        pause_p50=percentile(pauses, 0.5),
        gaps=total("gaps"),
        dropped=total("dropped"),
        cpu_ms=statistics.mean(cpu),
        cpu_least=min(cpu),
        cpu_most=max(cpu),
        cpu_share=statistics.mean(r.cpu_share for r in rounds),
        rss=max(r.rss for r in rounds),
        rss_a_call=statistics.mean((r.rss - r.idle_rss) / r.calls for r in rounds),
        late_p95=max(percentile(r.measures.late, 0.95) for r in rounds),
        lag_p95=max(r.lag_p95 for r in rounds),
    )


def holds(row: Row, idle_p95: float) -> bool:
    """Whether an engine carries this load: no gap in any answer, none lost, and no call noticeably
    slower than on an idle machine.
    """
    fine = not (row.gaps or row.dropped or row.failed)
    return fine and row.added_p95 <= idle_p95 + 100
