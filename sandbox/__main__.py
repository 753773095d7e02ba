"""``python -m sandbox --port 8002 [--only carrier,speech,…] [--cps 1]``: run the simulation."""

import argparse
import asyncio
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from aiohttp import web

from sandbox.app import PARTS, build

PARENT_POLL_S = 0.5
PLAYS = {"carrier": "Twilio", "speech": "Deepgram", "model": "Claude", "calendar": "Cal.com"}

log = logging.getLogger("sandbox")


def main() -> int:
    """Serve until SIGTERM, SIGINT, or the death of the process that started us."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parent = os.getppid()
    try:
        runner = asyncio.Runner(loop_factory=_fast_loop())
        with runner:
            return runner.run(_serve(options, parent))
    except KeyboardInterrupt:
        return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="sandbox", description="SIMULATION of Twilio, Deepgram, Claude and Cal.com on loopback"
    )
    parser.add_argument("--port", type=int, default=8002)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--only", default=",".join(PARTS), help=f"comma-separated parts: {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--cps",
        type=float,
        default=float(os.environ.get("SANDBOX_CPS", "1")),
        help="calls per second",
    )
    parser.add_argument(
        "--keep", type=Path, help="a file in which the numbers' webhooks outlive a restart"
    )
    options = parser.parse_args()
    options.only = [part for part in options.only.split(",") if part]
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if options.cps <= 0:
        parser.error("--cps must be above 0")
    return options


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where it is installed, else asyncio's own loop."""
    try:
        return cast(
            "Callable[[], asyncio.AbstractEventLoop]",
            importlib.import_module("uvloop").new_event_loop,
        )
    except ImportError:
        return asyncio.new_event_loop


async def _serve(options: argparse.Namespace, parent: int) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    origin = f"http://{options.host}:{options.port}"
    log.info(
        "SIMULATION: the sandbox plays %s on %s. No telephone rings, no provider is contacted.",
        ", ".join(PLAYS[part] for part in options.only),
        origin,
    )
    runner = web.AppRunner(
        build(options.only, cps=options.cps, origin=origin, keep=options.keep),
        access_log=None,
        shutdown_timeout=2.0,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, options.host, options.port, reuse_address=True).start()
    except OSError as error:
        log.error(
            "the sandbox cannot listen on %s:%s: %s", options.host, options.port, error.strerror
        )
        await runner.cleanup()
        return 1
    watch = asyncio.create_task(_watch_parent(parent, stop))
    await stop.wait()
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    await runner.cleanup()
    return 0


async def _watch_parent(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel has no event for it everywhere
        await asyncio.sleep(PARENT_POLL_S)
    log.info("the sandbox stops: its parent is gone")
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
