"""A telephone in somebody's hand: what they hear as text, and their voice."""

import asyncio
from collections.abc import Callable
from typing import Protocol, Self

from sandbox import journal
from sandbox.speech import synthesiser
from sandbox.speech.ear import PRE_ROLL_S, Ear, Heard
from sandbox.speech.voices import Timbre

from .tones import Keypad

TURN_SILENCE_MS = 700
"""Silence after which a person takes the other side to have finished."""
PATIENCE_S = 6.0
"""Silence after which a person asks whether anybody is there."""
LONGEST_CALL_S = 180.0


class Line(Protocol):
    """The person's end of a connected call (``sandbox.carrier.line``), µ-law 8 kHz."""

    number: str

    async def hear(self) -> bytes | None: ...
    def say(self, mulaw: bytes) -> None: ...
    def stop_saying(self) -> int: ...
    async def said(self) -> None: ...
    def press(self, digits: str) -> None: ...
    def hang_up(self) -> None: ...


class CallOver(Exception):
    """The call went down, or has lasted as long as anybody here talks."""


class Phone:
    """One call of one person. Use as ``async with``; waiting raises ``CallOver`` at its end.

    All times are in seconds of the call's own audio, which comes in real time.
    """

    def __init__(
        self, line: Line, voice: Timbre, *, muted: bool = False, waits_s: float = 0.0
    ) -> None:
        """``waits_s``: how long the other side must be silent, at least, for an answer to what we
        said to be over.
        """
        self.line, self.voice, self.muted, self.waits_s = line, voice, muted, waits_s
        self.now = 0.0
        self.down = False
        self.keys = ""
        """Touch-tones heard so far."""
        self.last_said = ""
        self.heard: list[str] = []
        """Everything the other side said, utterance by utterance."""
        self._taken = 0  # how many of ``heard`` have been answered
        self._turn_over = False
        self._speech_s = 0.0
        self._ear = Ear(endpointing_ms=TURN_SILENCE_MS, interims=False)
        self._keypad = Keypad()
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._listen(), name="person-listen"),
            asyncio.create_task(self._understand(), name="person-understand"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.understand_rest()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._ear.aclose()

    async def understand_rest(self) -> None:
        """Stop listening, and wait (3 s at most) until all that was heard is in ``heard``."""
        self._ear.close()
        await asyncio.wait({self._tasks[1]}, timeout=3)

    # -- hearing ---------------------------------------------------------------------------

    @property
    def other_speaking(self) -> bool:
        """The other side is in the middle of saying something."""
        return self._ear.speaking

    @property
    def other_spoke_s(self) -> float:
        """How long the other side has been speaking in all."""
        return self._speech_s

    @property
    def quiet_s(self) -> float:
        """Seconds since the other side was last heard."""
        return self._ear.quiet_s

    @property
    def hearing_pending(self) -> bool:
        """Something was heard whose words are not known yet."""
        return self._ear.pending

    @property
    def turn_over(self) -> bool:
        """The other side has said something and stopped."""
        waits_s = self.waits_s if self.last_said else 0.0
        silent = not self.other_speaking and self.quiet_s >= waits_s
        return self._turn_over and silent

    def heard_since(self) -> str:
        """Return, and mark as answered, what was heard since the last time."""
        text = " ".join(self.heard[self._taken :])
        self._taken, self._turn_over = len(self.heard), False
        return text

    async def turn(self, patience_s: float) -> str:
        """Wait until the other side has spoken and stopped; return its words.

        Returns "" when nothing at all was said for ``patience_s``.
        """
        began = self.now
        spoken = await self.until(
            lambda: (
                self.turn_over
                or (
                    not (self.other_speaking or self.hearing_pending)
                    and min(self.quiet_s, self.now - began) > patience_s
                )
            )
        )
        return self.heard_since() if spoken else ""

    async def pause(self, seconds: float) -> None:
        """Let this much of the call go by."""
        end = self.now + seconds
        await self.until(lambda: self.now >= end)

    async def until(self, come: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait until ``come()``; False when it took longer than ``timeout_s``."""
        end = None if timeout_s is None else self.now + timeout_s
        while not come():
            if self.down or self.now >= LONGEST_CALL_S:
                raise CallOver
            if end is not None and self.now >= end:
                return False
            self._news.clear()
            await self._news.wait()
        return True

    async def _listen(self) -> None:
        while (frame := await self.line.hear()) is not None:
            self.now += len(frame) / 8000
            if self._ear.speaking:
                self._speech_s += len(frame) / 8000
            self._ear.feed(frame)
            self.keys += self._keypad.hear(frame)
            self._news.set()
        self.down = True
        self._ear.close()
        self._news.set()

    @staticmethod
    def _place(heard: Heard) -> tuple[float, float]:
        """Without the silence that was kept from before its first sound."""
        return heard.start + PRE_ROLL_S, heard.words[-1].end if heard.words else heard.end

    async def _understand(self) -> None:
        async for event in self._ear:
            if isinstance(event, Heard) and event.final:
                if event.text:
                    self.heard.append(event.text)
                    self._note("person_heard", event.text, *self._place(event))
                self._turn_over = event.ended
                self._news.set()

    # -- speaking --------------------------------------------------------------------------

    async def say(self, text: str, *, speed: float = 1.0, wait: bool = True) -> None:
        """Speak, and return when it has been heard to the end (at once with ``wait=False``)."""
        self.last_said = text
        if self.muted:
            return
        sound = await synthesiser.synthesise(text, voice=self.voice, speed=speed)
        if self.down:
            raise CallOver
        self.line.say(sound)
        self._note("person_said", text, self.now, self.now + len(sound) / 8000)
        if wait:
            await self.line.said()

    def _note(self, kind: str, text: str, from_s: float, until_s: float) -> None:
        place = {"from_s": round(from_s, 2), "until_s": round(until_s, 2)}
        call_sid = getattr(self.line, "call_sid", None)
        journal.note(kind, call_sid=call_sid, number=self.line.number, text=text, **place)
