"""The ear's door: the caller's audio out, words and ends of turns back."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import websockets.exceptions
from deepgram.core.api_error import ApiError

from media.flux import Flux
from media.hearing import Hearing, Recogniser, Told, Unanswered
from media.metrics import PROVIDER_ERRORS
from media.nova import Nova

KEEP_ALIVE_S = 4.0  # Nova closes after 10 s without audio
CONNECT_TIMEOUT_S = 4.0
CLOSE_TIMEOUT_S = 1.0
MOST_WAITING = 500  # frames: 10 s of audio survive a reconnect
CALM_AFTER = 75  # frames: 1.5 s without a voice, when a turn that ended has been told of
CALM_FRAMES = 4
DEAF = 200  # frames: 4 s of voice without a word of an answer
BACKOFF_S = (0.0, 0.5, 1.0, 2.0)
_LOST = (OSError, TimeoutError, ApiError, websockets.exceptions.WebSocketException, ValueError)


class Transcriber:
    """One call's stream to the recogniser. ``run`` until cancelled; ``feed`` never waits.

    ``told`` gets words and turns, ``on_trouble(error, tries)`` each lost connection, ``on_back()``
    the end of such trouble. A new connection gets the audio that the old one left without an
    answer; if that is more than 10 s, none of it.
    """

    def __init__(
        self,
        hearing: Hearing,
        told: Told,
        *,
        on_trouble: Callable[[str, int], None],
        on_back: Callable[[], None],
    ) -> None:
        self._unanswered = Unanswered()
        hears = Flux if hearing.model.startswith("flux") else Nova
        self._recogniser: Recogniser = hears(hearing, told, self._unanswered)
        self._on_trouble = on_trouble
        self._on_back = on_back
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._news = asyncio.Event()
        self._quiet = 0  # frames since the last with a voice
        self._sent = 0  # frames
        self._tries = 0  # lost connections in a row
        self._deaf = False
        self._silent = False  # the last socket answered to no voice
        self._unheeded = 0  # frames of voice since the service last said anything
        self._patience: asyncio.Timeout | None = None

    def feed(self, mulaw: bytes, *, voice: bool = False) -> None:
        """Take 20 ms of audio. A socket that says nothing to ``DEAF`` frames of voice is given up:
        it can stay open and hear nothing.
        """
        self._waiting.append(mulaw)
        self._quiet = 0 if voice else self._quiet + 1
        if len(self._waiting) >= self._at_once:
            self._news.set()
        if voice:
            self._unheeded += 1
            if self._unheeded >= DEAF and self._patience is not None:
                self._patience.reschedule(asyncio.get_running_loop().time())
                self._patience = None

    @property
    def _at_once(self) -> int:
        """Frames that go together: few where a turn may begin or end, more while nobody speaks."""
        at_once = self._recogniser.frames_at_once
        return max(at_once, CALM_FRAMES) if self._quiet > CALM_AFTER else at_once

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        while True:
            patience = asyncio.timeout(CONNECT_TIMEOUT_S)
            try:
                async with patience, self._recogniser.connect() as socket:
                    patience.reschedule(None)
                    self._patience, self._unheeded = patience, 0
                    if len(self._waiting) == MOST_WAITING:
                        self._waiting.clear()  # it would be answered as if said just now
                    if not (self._recogniser.reports_silence or self._silent):
                        self._hears()
                    await self._listen(socket)
                error = "closed"
            except _LOST as lost:
                error = "silent" if self._unheeded >= DEAF else _name(lost)
            finally:
                self._patience = None
                del patience  # it holds this task, and a cancelled task all that it was doing
            self._silent = error == "silent"
            self._unheeded = 0
            self._tries += 1
            self._deaf = True
            PROVIDER_ERRORS.labels("transcriber", error).inc()
            self._on_trouble(error, self._tries)
            self._recogniser.lost()
            self._waiting = deque([*self._unanswered.take(), *self._waiting], MOST_WAITING)
            await asyncio.sleep(BACKOFF_S[min(self._tries, len(BACKOFF_S)) - 1])

    async def _listen(self, socket: Any) -> None:
        helpers = {asyncio.create_task(self._send(socket))}
        if self._recogniser.dies_unfed:
            helpers.add(asyncio.create_task(self._keep_alive(socket)))
        try:
            async for message in socket:
                self._unheeded = 0
                if getattr(message, "type", None) != "Connected":
                    self._tries = 0  # it does more than greet
                    self._hears()
                self._recogniser.take(message)
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.wait(helpers)

    def _hears(self) -> None:
        if self._deaf:
            self._deaf = False
            self._on_back()

    async def _send(self, socket: Any) -> None:
        """Audio as it comes; frames that came together go together."""
        with contextlib.suppress(*_LOST):  # the reader sees the same loss, and reports it
            while True:
                if len(self._waiting) < self._at_once:
                    self._news.clear()
                    await self._news.wait()
                frames = list(self._waiting)
                self._waiting.clear()
                for frame in frames:
                    self._unanswered.sent(frame)
                self._sent += len(frames)
                await socket.send_media(frames[0] if len(frames) == 1 else b"".join(frames))

    async def _keep_alive(self, socket: Any) -> None:
        """A sign of life when no audio comes; a time-out on each frame would cost more."""
        with contextlib.suppress(*_LOST):
            while True:
                sent = self._sent
                await asyncio.sleep(KEEP_ALIVE_S)
                if self._sent == sent:
                    await socket.send_keep_alive()


def _name(error: BaseException) -> str:
    if isinstance(error, ApiError):
        return f"refused {error.status_code}"
    if isinstance(error, TimeoutError):
        return "time-out"
    return type(error).__name__
