"""What every live transcription has in common, whatever it answers: audio and control messages come
in, answers go out, and a silent client is shown the door.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from sandbox import faults

from . import audio
from .door import Query, bad
from .ear import Ear

IDLE_S = 10.0
"""Without audio or a message for this long Deepgram closes the socket (NET-0001)."""

_CODECS = "linear16 linear32 flac alaw mulaw amr-nb amr-wb opus ogg-opus speex g729"
_DEEPGRAM_ENCODINGS = frozenset(_CODECS.split())
_DECODABLE = frozenset({"mulaw", "alaw", "linear16"})
_KEYTERM_TOKENS = 500
_WATCH_S = 0.1  # how often it is looked whether a fault strikes


@dataclass
class Audio:
    """How the client's bytes become 8 kHz floats."""

    encoding: str
    rate: int
    channels: int = 1

    @classmethod
    def of(cls, query: Query) -> "Audio":
        encoding = query.choice("encoding", _DEEPGRAM_ENCODINGS, "")
        if encoding not in _DECODABLE:
            raise bad(f"the sandbox decodes mulaw, alaw and linear16, not {encoding}.")
        rate = int(query.number("sample_rate", 8000, 48000, 0))
        if not rate or rate % audio.RATE:
            raise bad("sample_rate must be given: 8000, 16000, 24000, 32000 or 48000.")
        return cls(encoding, rate, int(query.number("channels", 1, 2, 1)))

    def floats(self, data: bytes) -> audio.Floats:
        sound = audio.decode(data, self.encoding)
        if self.channels > 1:
            frames = len(sound) // self.channels * self.channels
            sound = sound[:frames].reshape(-1, self.channels).mean(axis=1)
        return audio.resample(sound, self.rate, audio.RATE)


def too_many(keyterms: list[str]) -> bool:
    """More key terms than Deepgram takes (500 tokens; here a token is four letters)."""
    return sum(-(-len(term) // 4) for term in keyterms) > _KEYTERM_TOKENS


class LiveSocket(ABC):
    """One socket of a client. ``run`` until it ends; everything else is called by ``run``."""

    def __init__(
        self, ws: web.WebSocketResponse, sound: Audio, ear: Ear, *, about: str = ""
    ) -> None:
        """``about``: what the client asked for, by which a fault knows whom it concerns."""
        self.ws, self.sound, self.ear, self.about = ws, sound, ear, about
        self.opened = self.last_input = time.monotonic()
        self._silenced = False

    async def run(self) -> None:
        speaker = asyncio.create_task(self.report(), name="listen-report")
        watch = asyncio.create_task(self._watch(), name="listen-watch")
        try:
            async for message in self.ws:
                self.last_input = time.monotonic()
                if message.type is WSMsgType.BINARY and message.data:
                    self.hear(message.data)
                elif message.type is WSMsgType.BINARY or not await self.control(message.data):
                    self.end()
                    await speaker
                    await self.finish()
                    break
        finally:
            speaker.cancel()
            watch.cancel()
            await asyncio.gather(speaker, watch, return_exceptions=True)
            await self.ear.aclose()

    @abstractmethod
    def hear(self, data: bytes) -> None:
        """Take the client's audio; never waits."""

    @abstractmethod
    async def control(self, text: str) -> bool:
        """Obey a client message; False when it asked for the end."""

    @abstractmethod
    def end(self) -> None:
        """No more audio comes: let ``report`` come to its end."""

    @abstractmethod
    async def report(self) -> None:
        """Tell what was heard, until no more audio comes."""

    @abstractmethod
    async def finish(self) -> None:
        """Say the last words and close."""

    async def give_up(self, reason: str) -> None:
        """Close on a client that was silent for too long, or when a test asked for it."""
        await self.ws.close(code=1011, message=reason.encode())

    @property
    def silenced(self) -> bool:
        """A fault keeps this socket from saying anything, once and for all."""
        if not self._silenced:
            self._silenced = bool(faults.strike("transcriber", "silent", about=self.about))
        return self._silenced

    def delay_s(self) -> float:
        """By how much a fault delays the next answer."""
        return float(faults.strike("transcriber", "slow", about=self.about).get("seconds", 0.0))

    async def _watch(self) -> None:
        while True:
            if time.monotonic() >= self.last_input + IDLE_S:
                await self.give_up("NET-0001: no audio or text message within the timeout window")
                return
            if self._is_struck_down():
                await self.give_up("closed by an injected fault")
                return
            await asyncio.sleep(_WATCH_S)

    def _is_struck_down(self) -> bool:
        open_s = time.monotonic() - self.opened
        for fault in faults.standing("transcriber", "close", "gone", about=self.about):
            early = open_s < fault.get("after_s", 0.0)
            early = early or self.ear.spoken_s < fault.get("after_speech_s", 0.0)
            if not early and faults.use("transcriber", fault):
                if fault["kind"] == "gone":
                    faults.begin_absence(fault)
                return True
        return bool(faults.absence("transcriber", self.about))
