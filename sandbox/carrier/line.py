"""The person's end of a connected call, and what the carrier asks of a person."""

import asyncio
from collections import deque
from typing import Literal, Protocol

FRAME = 160  # µ-law bytes in 20 ms at 8 kHz
FRAME_S = 0.02
SILENCE = b"\xff" * FRAME  # µ-law zero
UNHEARD = 3000  # frames (60 s) kept for a person who is not listening
KEY_GAP = 13  # frames (260 ms) between two keys pressed

Answers = Literal["answer", "busy", "no_answer", "failed"]


class Line:
    """The person's end of a connected call, in real time. µ-law 8 kHz both ways."""

    def __init__(self, number: str, call_sid: str, *, inbound: bool = False) -> None:
        self.number = number
        self.call_sid = call_sid
        self.inbound = inbound
        """The person is the one who called: they wait to be greeted."""
        self.keys_heard = ""
        """Keys the other side pressed so far (``SendDigits``, ``<Play digits>``), also audible."""
        self.down = asyncio.Event()
        """Set once the call is over, whoever ended it."""
        self.hung_up = asyncio.Event()
        """Set when the person hung up."""
        self._heard: deque[bytes] = deque(maxlen=UNHEARD)
        self._listener: asyncio.Future[None] | None = None
        self._voice = bytearray()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._keys: deque[str] = deque()
        self._key_wait = 0

    async def hear(self) -> bytes | None:
        """The next 20 ms (160 bytes) played to the person; ``None`` once the call is down."""
        while not self._heard:
            if self.down.is_set():
                return None
            self._listener = asyncio.get_running_loop().create_future()
            await self._listener
        return self._heard.popleft()

    def say(self, mulaw: bytes) -> None:
        """Queue the person's voice; it is sent in real time."""
        if mulaw and not self.down.is_set():
            self._voice += mulaw
            self._quiet.clear()

    def stop_saying(self) -> int:
        """Drop what is queued; return the bytes dropped."""
        dropped = len(self._voice)
        self._voice.clear()
        self._quiet.set()
        return dropped

    async def said(self) -> None:
        """Return when everything queued has been played, or the call ended."""
        await self._quiet.wait()

    def press(self, digits: str) -> None:
        """Press keys (``0-9 * #``), about four a second."""
        self._keys.extend(digits)

    def hang_up(self) -> None:
        """End the call from the person's side."""
        self.hung_up.set()

    # The carrier's side of the same line.

    @property
    def speaking(self) -> bool:
        """Whether voice is waiting to be sent."""
        return not self._quiet.is_set()

    def tick(self, played: bytes) -> bytes:
        """Hand the person 20 ms and take 20 ms of theirs (160 bytes, silence when quiet)."""
        self._heard.append(played)
        if self._listener is not None and not self._listener.done():
            self._listener.set_result(None)
        if not self._voice:
            self._quiet.set()
            return SILENCE
        frame = bytes(self._voice[:FRAME])
        del self._voice[:FRAME]
        return frame if len(frame) == FRAME else frame + SILENCE[len(frame) :]

    def next_key(self) -> str | None:
        """The key to report in this 20 ms, if any."""
        if self._key_wait:
            self._key_wait -= 1
            return None
        if not self._keys:
            return None
        self._key_wait = KEY_GAP
        return self._keys.popleft()

    def end(self) -> None:
        """The call is over: wake everybody who waits on this line."""
        self.down.set()
        self._voice.clear()
        self._quiet.set()
        if self._listener is not None and not self._listener.done():
            self._listener.set_result(None)


class Person(Protocol):
    """Somebody with a telephone. ``sandbox.people`` has the table; tests bring their own."""

    answers: Answers
    rings_s: float
    answered_by: str
    amd_ms: int
    refusal_code: int | None

    async def talk(self, line: Line) -> None:
        """Be on the telephone; returning means hanging up."""

    async def on_text(self, *, sender: str, body: str) -> list[tuple[float, str]]:
        """The replies to a text: (seconds later, body)."""


class SilentPerson:
    """Answers after a second, says nothing and stays: the default where no people are loaded."""

    answers: Answers = "answer"
    rings_s = 1.0
    answered_by = "unknown"
    amd_ms = 5000
    refusal_code: int | None = None

    async def talk(self, line: Line) -> None:
        while await line.hear() is not None:
            pass

    async def on_text(self, *, sender: str, body: str) -> list[tuple[float, str]]:
        return []
