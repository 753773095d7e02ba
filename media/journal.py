"""What a call leaves behind, written beside it: in order, in threads of our own, never on the audio
path.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.db import close_old_connections

logger = logging.getLogger(__name__)

# A thread holds a database connection; writes of one call never run at the same time.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="media-journal")


async def in_thread(write: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a function that may block or use the database; return what it returns."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(
        _threads, partial(_with_fresh_connection, write, args, kwargs)
    )


def _with_fresh_connection(write: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    close_old_connections()
    try:
        return write(*args, **kwargs)
    finally:
        close_old_connections()


class Journal:
    """One call's queue of writes. ``put`` never waits; ``aclose`` returns when everything is
    written.
    """

    TRIES = 3

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = (
            asyncio.Queue()
        )
        self._writer = asyncio.create_task(self._write())

    def put(self, write: Callable[..., Any], *args: Any) -> None:
        self._queue.put_nowait((write, args))

    async def aclose(self) -> None:
        self._queue.put_nowait(None)
        await self._writer

    async def _write(self) -> None:
        while (job := await self._queue.get()) is not None:
            write, args = job
            for attempt in range(1, self.TRIES + 1):
                try:
                    await in_thread(write, *args)
                    break
                except Exception:  # a failing database must not end the conversation
                    logger.exception("journal write failed", extra={"attempt": attempt})
                    await asyncio.sleep(0.2 * attempt)
