"""The mouth's door: text in, µ-law audio out as it is made.

A WebSocket says each clause and is flushed after it, so that its audio is known by where
``Flushed`` stands. The service allows 20 flushes a minute and then only warns; clauses beyond that,
or after a lost socket, go by REST.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import httpx
from deepgram.core.request_options import RequestOptions
from deepgram.speak.v1.socket_client import AsyncV1SocketClient
from deepgram.speak.v1.types import SpeakV1Text

from media.metrics import PROVIDER_ERRORS
from media.providers import speech_client
from media.voice_sockets import LOST, VoiceSocket, voice_sockets

FLUSHES_PER_MINUTE = 18  # of 20: their clock is not ours
CHUNK_TIMEOUT_S = 4.0  # longest wait for the next piece of a clause
CLEAR_TIMEOUT_S = 0.7
REST_CHUNK = 1_600


class VoiceFailed(Exception):
    """The clause could not be said, or not to its end."""


class Voice:
    """One call's voice. ``speak`` is used by one task at a time; closing its iterator early
    drops the rest.
    """

    def __init__(
        self,
        model: str,
        speed: float | None = None,
        ready: dict[str, bytes] | None = None,
        *,
        on_lost: Callable[[str], None] = lambda error: None,
    ) -> None:
        """``ready``: the audio of texts that need not be made any more, each once. ``on_lost`` is
        told by which error no socket could say a clause, so that it goes by REST.
        """
        self._ready = ready or {}
        self._on_lost = on_lost
        self._model = model
        self._speed = speed
        self._socket: VoiceSocket | None = None
        self._connecting = asyncio.Lock()
        self._flushes: deque[float] = deque(maxlen=FLUSHES_PER_MINUTE)
        self._unfinished = False  # audio of a dropped clause may still be on its way

    async def open(self) -> None:
        """Connect ahead of the first clause; a failure shows only when there is something
        to say.
        """
        with contextlib.suppress(*LOST):
            await self._connected()

    async def speak(self, text: str) -> AsyncGenerator[bytes]:
        """Yield a clause's audio. Raises :class:`VoiceFailed` when no way is left, or half
        of it was said.
        """
        if (mulaw := self._ready.pop(text, None)) is not None:
            yield mulaw
            return
        said = False
        if self._may_flush():
            try:
                async for chunk in self._by_socket(text):
                    said = True
                    yield chunk
                return
            except LOST as error:
                PROVIDER_ERRORS.labels("voice", type(error).__name__).inc()
                await self._disconnect()
                if said:
                    raise VoiceFailed(f"broken off: {type(error).__name__}") from error
                self._on_lost(type(error).__name__)
        try:
            async for chunk in self._by_rest(text):
                yield chunk
        except (*LOST, httpx.HTTPError) as error:
            PROVIDER_ERRORS.labels("voice_rest", type(error).__name__).inc()
            raise VoiceFailed(type(error).__name__) from error

    async def drop_rest(self) -> None:
        """Have no more made of a clause whose iterator was closed early: its late audio, which
        carries no label, is read and dropped before the next clause begins.
        """
        if self._unfinished:
            await self._clear()

    async def aclose(self) -> None:
        await self._disconnect()

    def _may_flush(self) -> bool:
        full = len(self._flushes) == FLUSHES_PER_MINUTE
        return not full or time.monotonic() - self._flushes[0] > 60

    async def _connected(self) -> AsyncV1SocketClient:
        async with self._connecting:
            if self._socket is None:
                self._socket = await voice_sockets().take((self._model, self._speed))
            return self._socket.sdk

    async def _disconnect(self) -> None:
        socket, self._socket = self._socket, None
        self._unfinished = False
        if socket is not None:
            await socket.aclose()

    async def _by_socket(self, text: str) -> AsyncIterator[bytes]:
        await self.drop_rest()
        socket = await self._connected()
        self._unfinished = True
        self._flushes.append(time.monotonic())
        await socket.send_text(SpeakV1Text(type="Speak", text=text))
        await socket.send_flush()
        while True:
            async with asyncio.timeout(CHUNK_TIMEOUT_S):
                message = await socket.recv()
            if isinstance(message, bytes):
                yield message
            elif _type(message) == "Flushed":
                break
        self._unfinished = False

    async def _clear(self) -> None:
        try:
            socket = await self._connected()
            async with asyncio.timeout(CLEAR_TIMEOUT_S):
                await socket.send_clear()
                # The SDK reads ``Cleared`` into its class for ``Flushed``: only the type tells.
                while _type(await socket.recv()) != "Cleared":
                    pass
            self._unfinished = False
        except LOST:
            await self._disconnect()

    async def _by_rest(self, text: str) -> AsyncIterator[bytes]:
        stream = speech_client().speak.v1.audio.generate(
            text=text,
            model=self._model,
            encoding="mulaw",
            sample_rate=8000,
            container="none",  # else a WAV header comes first, and is heard as a click
            speed=self._speed,
            request_options=RequestOptions(max_retries=0, chunk_size=REST_CHUNK),
        )
        async for chunk in stream:
            yield chunk


def _type(message: object) -> str:
    if isinstance(message, dict):
        return str(message.get("type", ""))
    return str(getattr(message, "type", ""))
