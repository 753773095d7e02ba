"""The one ear of a media process for the rest of the system: commands for live calls, routed by
call id.

Sockets hold no channel layer. While any call is live here, one task listens to the group ``media``
for messages ``{"type": "call.command", "call_id", "kind", …}``; those of other processes' calls are
not ours.
"""

import asyncio
import contextlib
import logging
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)

GROUP = "media"
RETRY_S = 1.0
REJOIN_S = 3600.0  # a group forgets its members after a day


class Commanded(Protocol):
    def command(self, kind: str, data: dict[str, Any]) -> None: ...


class Listener:
    """The live calls of one event loop, and the task that brings them commands."""

    def __init__(self) -> None:
        self._sessions: dict[str, Commanded] = {}
        self._task: asyncio.Task[None] | None = None
        self._channel = ""  # one for good: the layer keeps a buffer for every name it has heard of

    def add(self, call_id: str, session: Commanded) -> None:
        """Route a call's commands to ``session``: the newest session of a call gets them."""
        self._sessions[call_id] = session
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="media commands")

    async def remove(self, call_id: str, session: Commanded) -> None:
        if self._sessions.get(call_id) is session:
            del self._sessions[call_id]
        if not self._sessions and self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def route(self, message: dict[str, Any]) -> bool:
        """Hand a message to the call it is for; say whether that call is here."""
        session = self._sessions.get(str(message.get("call_id")))
        if message.get("type") != "call.command" or session is None:
            return False
        data = {
            key: value for key, value in message.items() if key not in {"type", "call_id", "kind"}
        }
        session.command(str(message.get("kind")), data)
        return True

    async def _listen(self) -> None:
        while True:
            try:
                await self._receive()
            except TimeoutError:
                continue  # time to join the group again
            except Exception:  # the layer's transport may raise anything; calls go on without it
                logger.exception("lost the channel layer; trying again")
                await asyncio.sleep(RETRY_S)

    async def _receive(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            raise RuntimeError("CHANNEL_LAYERS has no default: live calls cannot be commanded")
        channel = self._channel = self._channel or await layer.new_channel()
        await layer.group_add(GROUP, channel)
        try:
            async with asyncio.timeout(REJOIN_S):
                while True:
                    self.route(await layer.receive(channel))
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(RETRY_S):
                    await layer.group_discard(GROUP, channel)


_listeners: WeakKeyDictionary[asyncio.AbstractEventLoop, Listener] = WeakKeyDictionary()


def listener() -> Listener:
    """This process's listener (of the running event loop)."""
    return _listeners.setdefault(asyncio.get_running_loop(), Listener())
