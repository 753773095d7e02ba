"""A telephone line for tests, on a clock of its own.

The call's time stands still while speech is being made or recognised, and runs as fast as the
machine allows otherwise: what happens in a call does not depend on how busy the machine is.
"""

import asyncio
from collections.abc import Sequence
from typing import Self

from sandbox import journal
from sandbox.people.person import Person
from sandbox.speech import recogniser, synthesiser
from sandbox.speech.audio import decode

SILENCE = b"\xff" * 160


class Call:
    """A scripted agent on the other end: says one line each time the person has answered.

    ``lines`` are sentences, or µ-law bytes; the next one comes ``waits_s`` after the person's
    last sound, or after 10 s without any; ``first`` makes the agent open the conversation. It
    hangs up ``stays_s`` after its last line.
    """

    def __init__(
        self,
        lines: Sequence[str | bytes],
        *,
        stays_s: float = 8.0,
        waits_s: float = 1.2,
        first: bool = False,
        inbound: bool = False,
    ) -> None:
        self.number, self.call_sid = "+12025550110", f"CA{id(self):032x}"
        self.inbound = inbound
        self.time = 0.0
        self.from_person = bytearray()
        self.interrupted_after_s: float | None = None
        """How long the agent had been speaking when the person's voice first met it."""
        self._lines, self._stays_s, self._waits_s, self._opens = lines, stays_s, waits_s, first
        self._audio: list[bytes] = []
        self._agent, self._agent_since, self._agent_end = b"", 0.0, 0.0
        self._voice, self._voice_end = bytearray(), 0.0
        self._quiet = asyncio.Event()
        self._before = journal.last()

    async def with_(self, person: Person) -> Self:
        """Let the person talk until the call is over; return the call."""
        self.number = person.number
        for line in self._lines:
            if isinstance(line, str):
                line = await synthesiser.synthesise(line, voice="aura-2-thalia-en")
            self._audio.append(line)
        await person.talk(self)
        return self

    @property
    def sentences(self) -> list[str]:
        """What the person said, sentence by sentence."""
        return [str(e["text"]) for e in self.noted("person_said")]

    @property
    def understood(self) -> str:
        """What the person recognised."""
        return " ".join(str(e["text"]) for e in self.noted("person_heard"))

    def noted(self, kind: str) -> list[dict[str, object]]:
        return journal.events(self._before, kind=kind, call_sid=self.call_sid)

    async def hear(self) -> bytes | None:
        for _ in range(4):  # everybody who can go on does so within the same 20 ms
            await asyncio.sleep(0)
        while recogniser.busy() or synthesiser.busy():  # noqa: ASYNC110 (threads tell no event)
            await asyncio.sleep(0.001)
        self.time += 0.02
        self._carry_voice()
        frame, self._agent = self._agent[:160], self._agent[160:]
        if frame:
            self._agent_end = self.time
            return frame.ljust(160, b"\xff")
        quiet_s = self.time - max(self._voice_end, self._agent_end)
        if self._audio:
            answered = self._voice_end > self._agent_end or self._opens
            if quiet_s > (self._waits_s if answered else 10.0):
                self._opens = False
                self._agent, self._agent_since = self._audio.pop(0), self.time
        elif quiet_s > self._stays_s:
            return None
        return SILENCE

    def _carry_voice(self) -> None:
        frame = bytes(self._voice[:160])
        del self._voice[:160]
        self.from_person += frame.ljust(160, b"\xff")
        if not self._voice:
            self._quiet.set()
        if frame and float(abs(decode(frame)).max()) > 0.02:
            self._voice_end = self.time
            if self._agent and self.interrupted_after_s is None:
                self.interrupted_after_s = self.time - self._agent_since

    def say(self, mulaw: bytes) -> None:
        self._voice += mulaw
        self._quiet.clear()

    def stop_saying(self) -> int:
        dropped = len(self._voice)
        self._voice.clear()
        self._quiet.set()
        return dropped

    async def said(self) -> None:
        await self._quiet.wait()

    def press(self, digits: str) -> None:
        raise AssertionError("nobody in the table presses keys")

    def hang_up(self) -> None:
        raise AssertionError("people hang up by returning")
