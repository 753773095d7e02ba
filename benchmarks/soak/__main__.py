"""``python -m benchmarks.soak [--calls 1000 --at-once 20 --turns 3]``: what does the media process
hold after many calls, or long ones, that it did not hold before?

With ``--minutes 30 --at-once 40 --turns 25`` calls follow each other for so long. The providers are
the stubs of ``benchmarks.voice``; calls are admitted, recorded and ended as the product does. The
exit status is 0 if nothing leaked. ``--report`` writes the result into docs/performance.md.
"""

import argparse
import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict

import uvloop
from aiohttp import web

from benchmarks.soak import report
from benchmarks.soak.talking import Crowd
from benchmarks.soak.watching import METRICS_TOKEN, Sample, Watch, look
from benchmarks.voice import speech, systems
from benchmarks.voice.stubs import Stubs

LOOK_EVERY_S = 10.0
SETTLE_S = 5.0
QUIET_WITHIN_S = 60.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--calls", type=int, help="so many (1000, unless --minutes is given)")
    parser.add_argument("--minutes", type=float, help="one call after another for so long")
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3, help="answers that a caller listens to")
    parser.add_argument("--report", action="store_true", help="write docs/performance.md")
    options = parser.parse_args()
    if options.calls is None and options.minutes is None:
        options.calls = 1000
    return options


async def main() -> int:
    options = arguments()
    os.sched_setaffinity(0, {systems.HARNESS_CORE})
    stubs = Stubs()
    runner = web.AppRunner(stubs.app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    port = systems.free_port()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    house = systems.House(
        f"http://127.0.0.1:{port}",
        "benchmarks.soak.house",
        METRICS_TOKEN=METRICS_TOKEN,
        VOICE_SOCKETS_AHEAD=str(report.VOICES_AHEAD),
    )
    try:
        with house.media() as engine:
            crowd = Crowd(house, options.at_once, options.turns)
            result = await _soak(Watch(engine, stubs, port), crowd, options)
    finally:
        house.close()
        await runner.cleanup()
    (systems.WORKSHOP / "soak.json").write_text(json.dumps(asdict(result)), encoding="utf-8")
    print(report.told(result))
    if options.report:
        report.write(result)
    return 1 if report.leaks(result) else 0


async def _soak(watch: Watch, crowd: Crowd, options: argparse.Namespace) -> report.Soak:
    """Talk in two halves, look every ten seconds, and wait after each half until all is quiet."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    samples: list[Sample] = []
    record_after: dict[str, int] = {}

    async def take() -> Sample:
        async with crowd.one_by_one:
            sample, record = await asyncio.to_thread(
                look, watch, crowd.house.ask, s=clock() - begun, calls_over=crowd.over
            )
        samples.append(sample)
        record_after.update(record)
        print(report.line(sample), flush=True)
        return sample

    async def talk(half: int) -> Sample:
        calls, minutes = options.calls, options.minutes
        talking = asyncio.create_task(
            crowd.run(
                calls=None if calls is None else (calls + half) // 2,
                seconds=None if minutes is None else minutes * 30,
            )
        )
        while not talking.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(talking), LOOK_EVERY_S)
            await take()
        await talking
        quiet_by = clock() + QUIET_WITHIN_S
        while (last := await take()).tasks > idle.tasks or last.live:
            if clock() > quiet_by:
                break
            await asyncio.sleep(2.0)
        await asyncio.sleep(SETTLE_S)
        return await take()

    # The first call of a process wakes what all later ones use, the first crowd what crowds use.
    await Crowd(crowd.house, at_once=1, turns=1).run(calls=1)
    await asyncio.sleep(SETTLE_S)
    begun = clock()
    idle = await take()
    await Crowd(crowd.house, crowd.at_once, turns=1).run(calls=crowd.at_once)
    await asyncio.sleep(SETTLE_S)
    warm = await take()
    before = dict(record_after)
    middle = await talk(0)
    await talk(1)
    return report.Soak(
        at_once=crowd.at_once,
        turns=crowd.turns,
        calls=crowd.over,
        answers=crowd.answers,
        added_p50=crowd.added_ms(0.5),
        added_p95=crowd.added_ms(0.95),
        lost=crowd.lost,
        gaps=crowd.gaps,
        load=os.getloadavg()[1],
        samples=samples,
        warm=warm,
        middle=middle,
        written={name: value - before[name] for name, value in record_after.items()},
    )


if __name__ == "__main__":
    # Synthesised before the loop runs: it takes a second, once.
    speech.by_first_frame()
    sys.exit(uvloop.run(main()))
