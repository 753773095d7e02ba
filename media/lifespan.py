"""A media server's beginning and end: it says that it is there and takes part in preparing
openings, and on SIGTERM lets its calls end before it does.

The server itself would close every socket at once. So the signal goes to the roster first, and to
the server when no call is left, or ``MEDIA_DRAIN_SECONDS`` are over and the rest have moved. A
second signal stops at once.
"""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

from django.conf import settings

from media.openings import Preparer
from media.roster import roster
from media.voice_sockets import voice_sockets
from media.warming import warm_up

_draining: set[asyncio.Task[None]] = set()


async def lifespan(
    _scope: Any,
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The ASGI lifespan protocol."""
    preparer = Preparer() if settings.PREPARE_OPENINGS else None
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await warm_up()
            voice_sockets().start(settings.VOICE_SOCKETS_AHEAD)
            roster().start()
            if preparer is not None:
                preparer.start()
            _drain_on_sigterm(asyncio.get_running_loop())
            await send({"type": "lifespan.startup.complete"})
        else:
            if preparer is not None:
                await preparer.aclose()
            await voice_sockets().aclose()
            await send({"type": "lifespan.shutdown.complete"})
            return


def _drain_on_sigterm(loop: asyncio.AbstractEventLoop) -> None:
    stop = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(stop):
        return
    asked = False

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            stop(number, frame)
            return
        asked = True
        loop.call_soon_threadsafe(begin, number)

    def begin(number: int) -> None:
        task = loop.create_task(drain(number), name="drain")
        _draining.add(task)

    async def drain(number: int) -> None:
        try:
            await roster().drain(settings.MEDIA_DRAIN_SECONDS)
        finally:
            stop(number, None)

    signal.signal(signal.SIGTERM, on_sigterm)
