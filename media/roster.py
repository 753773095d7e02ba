"""The live calls of this media process: how many it can hold, that it lives, and how it stops.

Every two seconds it says so to the others (``calls.presence``), renews the lease of its calls and
learns which of them another process has taken over.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from typing import Protocol
from weakref import WeakKeyDictionary

from django.conf import settings

from calls import live, presence
from calls.live import LiveCall
from media import garbage, metrics
from media.journal import in_thread

logger = logging.getLogger(__name__)

EVERY_S = 2.0
TICK_S = 0.25
MOST_LAG_S = 0.25  # a loop that is so late, on average, holds too many calls already
MOVE_TIMEOUT_S = 8.0


class Live(Protocol):
    call: LiveCall

    def superseded(self, by: int) -> None: ...

    def move(self) -> None: ...


class Roster:
    """The sessions of one event loop. Runs while there are any, or from ``start`` on for good."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.draining = False
        self.lag_s = 0.0
        self._sessions: dict[int, Live] = {}
        self._changed = asyncio.Event()
        self._stays = False
        self._task: asyncio.Task[None] | None = None
        self._left_behind = False
        metrics.count_tasks_of(asyncio.get_running_loop())

    @property
    def live(self) -> int:
        return len(self._sessions)

    @property
    def has_room(self) -> bool:
        full = self.live >= settings.MEDIA_MAX_CALLS or self.lag_s > MOST_LAG_S
        return not self.draining and not full

    def start(self) -> None:
        """Tell of this process from now on, calls or none."""
        self._stays = True
        self._ensure_running()

    def enter(self, session: Live) -> None:
        """Keep the lease of a call; whoever had it here makes way."""
        before = self._sessions.get(session.call.pk)
        self._sessions[session.call.pk] = session
        if before is not None:
            before.superseded(session.call.generation)
        self._ensure_running()

    async def leave(self, session: Live) -> None:
        if self._sessions.get(session.call.pk) is session:
            del self._sessions[session.call.pk]
            self._left_behind = True
        self._changed.set()
        if not self._sessions and not self._stays and self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def drain(self, patience_s: float) -> None:
        """Take no new calls; return when the live ones are over, or have moved to another process.

        After ``patience_s`` those that are left move: their sockets close, and the carrier asks
        what next.
        """
        self.draining = True
        logger.info("draining: %d live calls", self.live)
        await in_thread(self._announce)
        await self._empty(patience_s)
        for session in list(self._sessions.values()):
            session.move()
        await self._empty(MOVE_TIMEOUT_S)

    async def _empty(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._sessions:
                    self._changed.clear()
                    await self._changed.wait()

    def _ensure_running(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="media roster")

    async def _run(self) -> None:
        while True:
            try:
                await self._say()
            except Exception:  # a database that is away for a moment ends no conversation
                logger.exception("cannot renew the lease of live calls")
            if self._left_behind and not self._sessions:
                self._left_behind = False
                garbage.collect()  # nobody hears the pause
            until = time.monotonic() + EVERY_S
            while time.monotonic() < until:
                due = time.monotonic() + TICK_S
                await asyncio.sleep(TICK_S)
                late = max(0.0, time.monotonic() - due)
                metrics.LOOP_LAG_SECONDS.observe(late)
                self.lag_s += (late - self.lag_s) / 8

    async def _say(self) -> None:
        newest = await in_thread(self._renew, list(self._sessions))
        for call_pk, generation in newest.items():
            session = self._sessions.get(call_pk)
            if session is not None and generation > session.call.generation:
                session.superseded(generation)

    def _renew(self, call_pks: list[int]) -> dict[int, int]:
        self._announce()
        return live.seen_all(call_pks)

    def _announce(self) -> None:
        presence.announce(self.name, live=self.live, has_room=self.has_room, draining=self.draining)


_rosters: WeakKeyDictionary[asyncio.AbstractEventLoop, Roster] = WeakKeyDictionary()


def roster() -> Roster:
    """This process's roster (of the running event loop)."""
    return _rosters.setdefault(asyncio.get_running_loop(), Roster())
