"""Both sides of a call in one stereo file, aligned in real time: the caller left, the agent right,
as heard.
"""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from media.audio import BYTES_PER_MS, SILENCE, stereo_pcm

# Frames arrive a little early or late; less than this is not a gap.
JITTER = 100 * BYTES_PER_MS
# Written up to here behind the present: late frames, and agent audio a clear takes back, are
# still to come.
BEHIND_MS = 1_000
# So much is unwritten at most, and lost with a process that is killed. A write every 2 s costs
# 0.02 ms of CPU per call-second more than one every 4 s (measured; one every second 0.09 ms).
UNWRITTEN_MS = 3_000
HEADER_BYTES = 44
FRAME_BYTES = 4


class WavFile:
    """A stereo 16-bit WAV at 8 kHz that grows. Blocking: for the journal's threads.

    Every write knows its place, so a process that takes a call over goes on in the same file, and
    the gap between the two is silence. The header is right after each write.
    """

    def __init__(self, path: Path, *, goes_on: bool = False) -> None:
        """``goes_on``: keep what the file holds already."""
        self._path = path
        self._goes_on = goes_on
        self._file: int | None = None

    def write(self, at: int, left: bytes, right: bytes) -> None:
        """Write both channels' µ-law from sample ``at`` on."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = 0 if self._goes_on else os.O_TRUNC
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | fresh, 0o640)
        os.pwrite(self._file, stereo_pcm(left, right), HEADER_BYTES + at * FRAME_BYTES)
        size = os.fstat(self._file).st_size - HEADER_BYTES
        os.pwrite(self._file, _header(size), 0)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _header(size: int) -> bytes:
    """The head of a WAV file with ``size`` bytes of stereo 16-bit samples at 8 kHz."""
    rate = 8 * 1000 * FRAME_BYTES
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 8000, rate, FRAME_BYTES, 16)
    body = struct.pack("<4sI", b"data", size)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + body


class Recorder:
    """Collects µ-law as it passes and hands what can no longer change to ``put(write, …)``, the
    journal's queue.

    Times are ms since the call's audio began. Memory stays at a few seconds of audio however
    long the call.
    """

    def __init__(
        self,
        path: Path,
        put: Callable[..., None],
        *,
        begins_ms: int = 0,
        on_file: Callable[[], None] | None = None,
    ) -> None:
        """``begins_ms``: where in the call this process takes over from an earlier one.

        ``on_file`` is put into the queue before the first write.
        """
        self.path = path
        self._on_file = on_file
        self._wav = WavFile(path, goes_on=begins_ms > 0)
        self._put: Callable[..., Any] = put
        self._left = bytearray()
        self._right = bytearray()
        self._base = begins_ms * BYTES_PER_MS  # samples already handed over
        self._agent_end = self._base  # in samples since the beginning

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
        if t * BYTES_PER_MS - self._base >= UNWRITTEN_MS * BYTES_PER_MS:
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
        if self._on_file is not None:
            self._put(self._on_file)
            self._on_file = None
        self._put(self._wav.write, self._base, left, right)
        self._base += samples
