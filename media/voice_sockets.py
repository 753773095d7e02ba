"""Sockets to the voice, some of them opened before anybody needs one.

Opening one takes a TCP, a TLS and a WebSocket handshake: several journeys to the service that a
person would hear as silence. So a few wait ready for the voices that were used last; whoever takes
one has the next opened. Each counts against the sockets that the provider allows.
"""

import asyncio
import contextlib
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import websockets.exceptions
from deepgram.core.api_error import ApiError
from deepgram.speak.v1.socket_client import AsyncV1SocketClient

from media.metrics import PROVIDER_ERRORS
from media.providers import speech_client

CONNECT_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 1.0
LOOK_EVERY_S = 20.0  # the service may close a socket that waits: it is replaced within this time
LOST = (OSError, TimeoutError, ApiError, websockets.exceptions.WebSocketException, ValueError)

How = tuple[str, float | None]  # model and speed: they are fixed when a socket opens


@dataclass(slots=True)
class VoiceSocket:
    """An open socket; ``sdk`` speaks its protocol."""

    how: How
    sdk: AsyncV1SocketClient
    _stack: AsyncExitStack

    @property
    def is_open(self) -> bool:
        return bool(self.sdk._websocket.open)

    async def aclose(self) -> None:
        with contextlib.suppress(*LOST):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._stack.aclose()


async def connect(how: How) -> VoiceSocket:
    """Open a socket. Raises one of ``LOST``."""
    model, speed = how
    stack = AsyncExitStack()
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        sdk: AsyncV1SocketClient = await stack.enter_async_context(
            speech_client().speak.v1.connect(
                model=model, encoding="mulaw", sample_rate=8000, speed=speed
            )
        )
    return VoiceSocket(how, sdk, stack)


class VoiceSockets:
    """The sockets of one event loop that wait for a call: ``start`` keeps ``ahead`` of them open,
    ``mend`` sees to it once.
    """

    def __init__(self, ahead: int = 0) -> None:
        self._ahead = ahead
        self._used: list[How] = []  # the last first, each once
        self._ready: list[VoiceSocket] = []
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, ahead: int) -> None:
        """Keep so many sockets open for the voices that are taken from now on."""
        self._ahead = ahead
        if ahead:
            self._task = asyncio.create_task(self._keep(), name="voice sockets")

    async def aclose(self) -> None:
        self._ahead = 0
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        while self._ready:
            await self._ready.pop().aclose()

    async def take(self, how: How) -> VoiceSocket:
        """Return an open socket, the caller's own from here on. Raises one of ``LOST``."""
        self._used = [how, *(other for other in self._used if other != how)][: self._ahead]
        self._look.set()
        for socket in self._ready:
            if socket.how == how and socket.is_open:
                self._ready.remove(socket)
                return socket
        return await connect(how)

    def _wanted(self) -> Counter[How]:
        """Shared out among the voices in use, the last one first."""
        return Counter(self._used[n % len(self._used)] for n in range(self._ahead) if self._used)

    async def _keep(self) -> None:
        while True:
            self._look.clear()
            await self.mend()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._look.wait()

    async def mend(self) -> None:
        """Close what is not wanted any more and open what is missing, if the service lets us."""
        wanted, kept = self._wanted(), []
        for socket in list(self._ready):
            if wanted[socket.how] and socket.is_open:
                wanted[socket.how] -= 1
                kept.append(socket)
        unwanted = [socket for socket in self._ready if socket not in kept]
        self._ready = kept
        for socket in unwanted:
            await socket.aclose()
        for how in wanted.elements():
            try:
                self._ready.append(await connect(how))
            except LOST as error:
                PROVIDER_ERRORS.labels("voice_ahead", type(error).__name__).inc()
                return


_sockets: WeakKeyDictionary[asyncio.AbstractEventLoop, VoiceSockets] = WeakKeyDictionary()


def voice_sockets() -> VoiceSockets:
    """Those of this process (of the running event loop)."""
    return _sockets.setdefault(asyncio.get_running_loop(), VoiceSockets())
