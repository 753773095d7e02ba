"""What a call asks of its ears, whichever recogniser of the speech service listens."""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from calls.live import LiveCall
from media.audio import BYTES_PER_MS


@dataclass(frozen=True, slots=True)
class Hearing:
    """How to listen: the service's model and language, how long a caller may pause, words to
    expect.

    ``eagerness_ms`` is the agent's ``response_eagerness``, ``max_silence_ms`` its
    ``stt_max_silence_ms``.
    """

    model: str
    language: str
    eagerness_ms: int
    max_silence_ms: int | None = None
    keyterms: tuple[str, ...] = ()

    @classmethod
    def of(cls, call: LiveCall) -> "Hearing":
        """Return how ``call`` is to be listened to."""
        return cls(
            model=str(call.extras.get("transcription_model") or "nova-3"),
            language=str(call.extras.get("transcription_language") or call.language),
            eagerness_ms=call.response_eagerness_ms,
            max_silence_ms=call.stt_max_silence_ms,
            keyterms=call.keyterms,
        )


@dataclass(frozen=True, slots=True)
class Told:
    """Whom a recogniser tells.

    ``words(text)`` gets the running turn so far, ``turn_end(text, confidence)`` its end. One that
    knows of ends that may be none says ``may_end(text)``, and ``resumed(text)`` if it was none.
    """

    words: Callable[[str], None]
    turn_end: Callable[[str, float], None]
    may_end: Callable[[str], None]
    resumed: Callable[[str], None]


class Unanswered:
    """Audio that a socket was sent and has not answered for: a new socket is to hear it again.

    Times are ms of the audio that this socket got.
    """

    MOST = 500  # frames: 10 s

    def __init__(self) -> None:
        self.whole = True  # nothing unanswered had to be dropped
        self._frames: deque[bytes] = deque()
        self._starts = 0.0

    def sent(self, frame: bytes) -> None:
        self._frames.append(frame)
        if len(self._frames) > self.MOST:
            self._drop()
            self.whole = False

    def answered(self, until_ms: float) -> None:
        """Everything up to then has become words for good, or is none."""
        self.whole = True
        while self._frames and self._starts + len(self._frames[0]) / BYTES_PER_MS <= until_ms:
            self._drop()

    def take(self) -> list[bytes]:
        """Return the frames for a new socket, whose time begins with them."""
        frames = list(self._frames)
        self._frames.clear()
        self._starts, self.whole = 0.0, True
        return frames

    def _drop(self) -> None:
        self._starts += len(self._frames.popleft()) / BYTES_PER_MS


class Recogniser(Protocol):
    """One model's manner: how it is asked, and what its messages mean."""

    frames_at_once: int  # of 20 ms; it wants no fewer
    reports_silence: bool  # it says something of any audio, so that nothing means that it is deaf
    dies_unfed: bool  # it closes a socket that gets neither audio nor a sign of life

    def connect(self) -> AbstractAsyncContextManager[Any]:
        """Open a socket of the SDK."""

    def take(self, message: Any) -> None:
        """Take a message of the socket; raise ``ConnectionError`` where it means the end."""

    def lost(self) -> None:
        """The socket is gone; what is unanswered now will be said again to the next."""
