"""``python -m benchmarks.voice [--quick]``: measure, print one table, write docs/performance.md.

Rounds of the engines alternate, so that a machine whose speed drifts is unfair to none. Needs two
cores (one for the engine, one for callers and stub providers) and, for Pipecat, its environment:
see requirements-pipecat.txt.
"""

import argparse
import contextlib
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web

from benchmarks.voice import report, rounds, speech, systems
from benchmarks.voice.caller import Way
from benchmarks.voice.rounds import Round
from benchmarks.voice.stubs import Stubs
from benchmarks.voice.systems import Engine

# Side by side, each in turn; then each engine alone, step by step, until it breaks.
SIDE_BY_SIDE = {"floor": 20, "pipecat default": 10, "pipecat tuned": 20, "nixflex": 20}
STEPS = {
    "floor": [80],
    "pipecat default": [2, 12, 15],
    "pipecat tuned": [2, 30, 40],
    "nixflex": [2, 80, 100, 120],
}


@dataclass
class Bench:
    """The harness: stub providers, the house, and the rounds so far."""

    stubs: Stubs
    url: str
    house: systems.House | None
    done: list[Round] = field(default_factory=list)

    async def measure(self, name: str, calls: int, seconds: float) -> Round:
        start, ways = self._engine(name)
        result = await rounds.run(start, ways, self.stubs, calls, seconds)
        self.done.append(result)
        row = rounds.rows([result])[0]
        print(report.line(row), f"speed {result.speed:.1f}", flush=True)
        return result

    def _engine(
        self, name: str
    ) -> tuple[Callable[[], AbstractContextManager[Engine]], Callable[[Engine, int], list[Way]]]:
        if name == "nixflex":
            house = self.house
            assert house is not None
            return house.media, lambda _engine, calls: house.begin(calls)
        if name == "floor":
            return partial(systems.floor, self.url), systems.simple_ways
        kind = name.removeprefix("pipecat ")
        return partial(systems.pipecat, kind, self.url), systems.simple_ways


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.voice", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round each; no report")
    parser.add_argument("--only", nargs="+", choices=list(SIDE_BY_SIDE), help="these engines")
    parser.add_argument("--calls", nargs="+", type=int, help="these loads, instead of all steps")
    parser.add_argument("--rounds", type=int, default=3, help="of the side-by-side load")
    parser.add_argument("--again", action="store_true", help="write the last run's report again")
    parser.add_argument(
        "--transcriber",
        choices=["nova-3", "flux"],
        default="nova-3",
        help="flux: our engine alone, with answers ahead of the turn's end; no report",
    )
    parser.add_argument("--seconds", type=float, default=25.0, help="measured in each round")
    return parser.parse_args()


async def main() -> None:
    options = arguments()
    results = systems.WORKSHOP / "voice.json"
    if options.again:
        report.write([Round.of(values) for values in json.loads(results.read_text("utf-8"))])
        return
    os.sched_setaffinity(0, {systems.HARNESS_CORE})
    flux = options.transcriber == "flux"
    names = ["nixflex"] if flux else options.only or list(SIDE_BY_SIDE)
    stubs = Stubs(flux=flux)
    runner = web.AppRunner(stubs.app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    port = systems.free_port()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    url = f"http://127.0.0.1:{port}"
    house = systems.House(url, TRANSCRIBER=options.transcriber) if "nixflex" in names else None
    bench = Bench(stubs, url, house)
    # Engines inherit it: other work on the machine then waits for both. Root only.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    print(report.HEAD, flush=True)
    try:
        if options.calls:
            for calls in options.calls:
                for _ in range(options.rounds):
                    for name in names:
                        await bench.measure(name, calls, options.seconds)
        elif options.quick:
            for name in names:
                await bench.measure(name, min(SIDE_BY_SIDE[name], 10), 10.0)
        else:
            for _ in range(options.rounds):
                for name in names:
                    await bench.measure(name, SIDE_BY_SIDE[name], options.seconds)
            for name in names:
                await _step(bench, name, options.seconds)
            if not flux:
                report.write(bench.done)
    finally:
        if house is not None:
            house.close()
        await runner.cleanup()
        if not flux:
            results.write_text(json.dumps([r.json() for r in bench.done]), encoding="utf-8")


async def _step(bench: Bench, name: str, seconds: float) -> None:
    """Raise the load until the engine breaks twice."""
    idle_p95, broken = None, 0
    for calls in STEPS[name]:
        row = rounds.rows([await bench.measure(name, calls, seconds)])[0]
        idle_p95 = row.added_p95 if idle_p95 is None else min(idle_p95, row.added_p95)
        broken += not rounds.holds(row, idle_p95)
        if broken == 2:
            break


if __name__ == "__main__":
    # Synthesised before the loop runs: it takes a second, once.
    speech.by_first_frame()
    import uvloop

    uvloop.run(main())
