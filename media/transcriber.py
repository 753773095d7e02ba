"""The ear's door: the caller's audio out, words and ends of turns back.

A turn is what ``is_final`` pieces say until ``speech_final``; an ``UtteranceEnd`` with text still
pending ends it too, and one right after a ``speech_final`` means nothing.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import websockets.exceptions
from deepgram.core.api_error import ApiError
from deepgram.listen.v1.socket_client import AsyncV1SocketClient

from media.metrics import PROVIDER_ERRORS
from media.providers import speech_client

UTTERANCE_END_MS = 1_000  # the least the service allows
KEEP_ALIVE_S = 4.0  # it closes after 10 s without audio
CONNECT_TIMEOUT_S = 4.0
CLOSE_TIMEOUT_S = 1.0
MOST_WAITING = 500  # frames: 10 s of audio survive a reconnect
UNHEARD = 250  # frames: the last 5 s are said again to a new socket
DEAF = 200  # frames: 4 s of voice without a word of an answer
BACKOFF_S = (0.0, 0.5, 1.0, 2.0)
_LOST = (OSError, TimeoutError, ApiError, websockets.exceptions.WebSocketException, ValueError)


@dataclass(frozen=True, slots=True)
class Hearing:
    """How to listen: model and language, where a pause ends a turn, and words to expect."""

    model: str
    language: str
    endpointing_ms: int
    keyterms: tuple[str, ...] = ()


class Transcriber:
    """One call's stream to the recogniser. ``run`` until cancelled; ``feed`` never waits.

    ``on_words(text)`` gets the running turn so far, ``on_turn_end(text, confidence)`` its end,
    ``on_trouble(error, tries)`` each lost connection; a new one gets the audio that the old one
    left without an answer.
    """

    def __init__(
        self,
        hearing: Hearing,
        *,
        on_words: Callable[[str], None],
        on_turn_end: Callable[[str, float], None],
        on_trouble: Callable[[str, int], None],
    ) -> None:
        self._hearing = hearing
        self._on_words = on_words
        self._on_turn_end = on_turn_end
        self._on_trouble = on_trouble
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._unheard: deque[bytes] = deque(maxlen=UNHEARD)
        self._news = asyncio.Event()
        self._finals: list[str] = []
        self._confidence = 1.0
        self._sent = 0  # frames
        self._tries = 0  # lost connections in a row
        self._unanswered = 0  # frames of voice since the service last said anything
        self._patience: asyncio.Timeout | None = None

    def feed(self, mulaw: bytes, *, voice: bool = False) -> None:
        """Take 20 ms of audio. A socket that says nothing to ``DEAF`` frames of voice is given up:
        it can stay open and hear nothing.
        """
        self._waiting.append(mulaw)
        self._news.set()
        if voice:
            self._unanswered += 1
            if self._unanswered >= DEAF and self._patience is not None:
                self._patience.reschedule(asyncio.get_running_loop().time())
                self._patience = None

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S) as patience:
                    async with self._connect() as socket:
                        patience.reschedule(None)
                        self._patience, self._unanswered = patience, 0
                        await self._listen(socket)
                error = "closed"
            except _LOST as lost:
                error = "silent" if self._unanswered >= DEAF else _name(lost)
            self._patience, self._unanswered = None, 0
            self._tries += 1
            PROVIDER_ERRORS.labels("transcriber", error).inc()
            self._on_trouble(error, self._tries)
            self._waiting.extendleft(reversed(self._unheard))
            self._unheard.clear()
            await asyncio.sleep(BACKOFF_S[min(self._tries, len(BACKOFF_S)) - 1])

    def _connect(self) -> Any:
        return speech_client().listen.v1.connect(
            model=self._hearing.model,
            language=self._hearing.language,
            encoding="mulaw",
            sample_rate=8000,
            channels=1,
            interim_results=True,
            endpointing=self._hearing.endpointing_ms,
            utterance_end_ms=UTTERANCE_END_MS,
            vad_events=True,
            smart_format=True,
            keyterm=list(self._hearing.keyterms) or None,
        )

    async def _listen(self, socket: AsyncV1SocketClient) -> None:
        helpers = {
            asyncio.create_task(self._send(socket)),
            asyncio.create_task(self._keep_alive(socket)),
        }
        try:
            async for message in socket:
                self._tries = self._unanswered = 0
                self._take(message)
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.wait(helpers)

    async def _send(self, socket: AsyncV1SocketClient) -> None:
        """Audio as it comes; frames that came together go together."""
        with contextlib.suppress(*_LOST):  # the reader sees the same loss, and reports it
            while True:
                if not self._waiting:
                    self._news.clear()
                    await self._news.wait()
                frames = list(self._waiting)
                self._waiting.clear()
                self._unheard.extend(frames)
                self._sent += len(frames)
                await socket.send_media(frames[0] if len(frames) == 1 else b"".join(frames))

    async def _keep_alive(self, socket: AsyncV1SocketClient) -> None:
        """A sign of life when no audio comes; a time-out on each frame would cost more."""
        with contextlib.suppress(*_LOST):
            while True:
                sent = self._sent
                await asyncio.sleep(KEEP_ALIVE_S)
                if self._sent == sent:
                    await socket.send_keep_alive()

    def _take(self, message: Any) -> None:
        match getattr(message, "type", None):
            case "Results":
                self._take_results(message)
            case "UtteranceEnd" if self._finals:
                self._end_turn()
            case "Error":
                raise ConnectionError(str(getattr(message, "variant", "error")))

    def _take_results(self, message: Any) -> None:
        alternatives = message.channel.alternatives
        text = alternatives[0].transcript.strip() if alternatives else ""
        if message.is_final:
            self._unheard.clear()
            if text:
                self._finals.append(text)
                self._confidence = min(self._confidence, alternatives[0].confidence or 0.0)
            if message.speech_final:
                self._end_turn()
                return
        if text:
            so_far = self._finals if message.is_final else [*self._finals, text]
            self._on_words(" ".join(so_far))

    def _end_turn(self) -> None:
        text, confidence = " ".join(self._finals), self._confidence
        self._finals, self._confidence = [], 1.0
        if text:
            self._on_turn_end(text, confidence)


def _name(error: BaseException) -> str:
    if isinstance(error, ApiError):
        return f"refused {error.status_code}"
    if isinstance(error, TimeoutError):
        return "time-out"
    return type(error).__name__
