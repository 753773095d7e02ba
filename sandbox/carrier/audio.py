"""One call's sound: a person's line on one side, whatever is connected to it on the other."""

import asyncio
from typing import Protocol

import numpy as np

from sandbox.journal import note

from .line import FRAME, FRAME_S, SILENCE, Line

RATE = 8000
STALL_S = 0.5  # later than this we skip time instead of sending a burst
KEYS = {
    "1": (697, 1209),
    "2": (697, 1336),
    "3": (697, 1477),
    "4": (770, 1209),
    "5": (770, 1336),
    "6": (770, 1477),
    "7": (852, 1209),
    "8": (852, 1336),
    "9": (852, 1477),
    "*": (941, 1209),
    "0": (941, 1336),
    "#": (941, 1477),
}


def _decode_table() -> np.ndarray:
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = ((code & 0x0F).astype(np.int32) << 3) + 0x84 << ((code & 0x70) >> 4).astype(
        np.int32
    )
    return np.where(code & 0x80, 0x84 - magnitude, magnitude - 0x84).astype(np.int16)


LINEAR = _decode_table()


def to_linear(mulaw: bytes) -> np.ndarray:
    """µ-law bytes to 16-bit samples."""
    return LINEAR[np.frombuffer(mulaw, dtype=np.uint8)]


def to_mulaw(samples: np.ndarray) -> bytes:
    """16-bit samples to µ-law bytes (G.711)."""
    pcm = np.clip(samples.astype(np.int32), -32635, 32635)
    magnitude = np.abs(pcm) + 0x84
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    code = np.where(pcm < 0, 0x80, 0) | (exponent << 4) | mantissa
    return bytes((~code & 0xFF).astype(np.uint8))


def key_tones(digits: str) -> bytes:
    """Touch-tones, 100 ms each and 100 ms apart; ``w`` waits half a second, ``W`` one."""
    gap = SILENCE * 5
    sound = b""
    for digit in digits:
        if digit in "wW":
            sound += SILENCE * (25 if digit == "w" else 50)
        elif digit in KEYS:
            t = np.arange(RATE // 10) / RATE
            low, high = KEYS[digit]
            wave = 6000 * (np.sin(2 * np.pi * low * t) + np.sin(2 * np.pi * high * t))
            sound += to_mulaw(wave) + gap
    return sound


class Medium(Protocol):
    """What the person is connected to."""

    def frame(self) -> bytes:
        """The next 160 bytes for the person's ear."""

    async def feed(self, voice: bytes) -> None:
        """20 ms of the person's voice."""

    async def press(self, key: str) -> None:
        """The person pressed a key."""


class Silence:
    """Nobody there."""

    def frame(self) -> bytes:
        return SILENCE

    async def feed(self, voice: bytes) -> None:
        pass

    async def press(self, key: str) -> None:
        pass


class Clip(Silence):
    """A recording played once; ``over`` is set when it has been heard to its end."""

    def __init__(self, mulaw: bytes) -> None:
        self._sound = memoryview(mulaw)
        self._at = 0
        self.over = asyncio.Event()

    def frame(self) -> bytes:
        frame = bytes(self._sound[self._at : self._at + FRAME])
        self._at += FRAME
        if not frame:
            self.over.set()
        return frame if len(frame) == FRAME else frame + SILENCE[len(frame) :]


class Bridge:
    """Another person's line: what one says the other hears."""

    def __init__(self, other: Line) -> None:
        self._other = other
        self._towards_other = SILENCE

    def frame(self) -> bytes:
        return self._other.tick(self._towards_other)

    async def feed(self, voice: bytes) -> None:
        self._towards_other = voice

    async def press(self, key: str) -> None:
        pass


class Tap(Protocol):
    """Something that records."""

    def add(self, person: bytes, agent: bytes) -> None: ...


class CallAudio:
    """Moves 20 ms in each direction every 20 ms, from answer to hang-up."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.medium: Medium = Silence()
        self.taps: list[Tap] = []

    async def run(self) -> None:
        """Until cancelled. One task and one timer for the whole call; nothing is made per frame."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += FRAME_S
            wait = due - loop.time()
            if wait < -STALL_S:
                note("stalled", call_sid=self.line.call_sid, behind_ms=round(-wait * 1000))
                due = loop.time()
            await asyncio.sleep(max(wait, 0))
            await self._tick()

    async def _tick(self) -> None:
        medium = self.medium
        played = medium.frame()
        voice = self.line.tick(played)
        for tap in self.taps:
            tap.add(voice, played)
        await medium.feed(voice)
        if (key := self.line.next_key()) is not None:
            note("dtmf", call_sid=self.line.call_sid, key=key)
            await medium.press(key)
