"""Both sides of a call in one stereo file, aligned in real time: the caller left, the agent right,
as heard.
"""

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

from media.audio import BYTES_PER_MS, SILENCE, stereo_pcm

# Frames arrive a little early or late; less than this is not a gap.
JITTER = 100 * BYTES_PER_MS
# Written up to here behind the present: late frames, and agent audio a clear takes back, are
# still to come.
BEHIND_MS = 1_000
WRITE_EVERY_MS = 5_000


class WavFile:
    """A stereo 16-bit WAV at 8 kHz that grows. Blocking: for the journal's threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: wave.Wave_write | None = None

    def write(self, left: bytes, right: bytes) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = wave.open(str(self._path), "wb")  # noqa: SIM115 (closed by close())
            self._file.setnchannels(2)
            self._file.setsampwidth(2)
            self._file.setframerate(8000)
        self._file.writeframes(stereo_pcm(left, right))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Recorder:
    """Collects µ-law as it passes and hands what can no longer change to ``put(write, …)``, the
    journal's queue.

    Times are ms since the call's audio began. Memory stays at a few seconds of audio however
    long the call.
    """

    def __init__(self, path: Path, put: Callable[..., None]) -> None:
        self.path = path
        self._wav = WavFile(path)
        self._put: Callable[..., Any] = put
        self._left = bytearray()
        self._right = bytearray()
        self._base = 0  # samples already handed over
        self._agent_end = 0  # in samples since the beginning

    @property
    def duration_s(self) -> int:
        return round(self._base / 1000 / BYTES_PER_MS)

    def caller(self, at_ms: int, mulaw: bytes) -> None:
        """Caller's audio that began at ``at_ms``; a gap before it becomes silence."""
        start = at_ms * BYTES_PER_MS - self._base
        if start - len(self._left) > JITTER:
            self._left += SILENCE * (start - len(self._left))
        self._left += mulaw

    def agent(self, t: int, mulaw: bytes) -> None:
        """Agent's audio sent at ``t``: it is heard after what was sent before it."""
        start = max(t * BYTES_PER_MS, self._agent_end)
        missing = start - self._base - len(self._right)
        if missing > 0:
            self._right += SILENCE * missing
        self._right += mulaw
        self._agent_end = start + len(mulaw)

    def cut(self, t: int) -> None:
        """The carrier dropped what had not been played at ``t``."""
        self._agent_end = min(self._agent_end, t * BYTES_PER_MS)
        del self._right[max(0, t * BYTES_PER_MS - self._base) :]

    def settle(self, t: int) -> None:
        """Write what is old enough; call it now and then."""
        if t * BYTES_PER_MS - self._base >= WRITE_EVERY_MS * BYTES_PER_MS:
            self._hand_over((t - BEHIND_MS) * BYTES_PER_MS - self._base)

    def finish(self, t: int) -> None:
        """The call is over at ``t``: write the rest and close the file."""
        self.cut(t)
        self._hand_over(max(len(self._left), len(self._right), t * BYTES_PER_MS - self._base))
        self._put(self._wav.close)

    def _hand_over(self, samples: int) -> None:
        if samples <= 0:
            return
        left = bytes(self._left[:samples]).ljust(samples, SILENCE)
        right = bytes(self._right[:samples]).ljust(samples, SILENCE)
        del self._left[:samples]
        del self._right[:samples]
        self._base += samples
        self._put(self._wav.write, left, right)
