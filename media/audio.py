"""G.711 µ-law at 8 kHz, the only audio that passes through here: 8 bytes are one millisecond."""

import numpy as np
import numpy.typing as npt

BYTES_PER_MS = 8
SILENCE = b"\xff"
# About -36 dBFS: a quiet voice on a telephone is above it, the hiss of a line below.
LOUD_SAMPLE = 500
LOUD_SHARE = 0.25


def _decode_table() -> npt.NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype("<i2")


LINEAR = _decode_table()
# The magnitude bits of a code are its loudness, in steps of 6/16 dB.
_LOUDNESS = bytes(~code & 0x7F for code in range(256))
_IS_LOUD = bytes(int(abs(int(sample)) >= LOUD_SAMPLE) for sample in LINEAR)


def is_loud(mulaw: bytes) -> bool:
    """Whether a frame of telephone audio holds a voice rather than line noise; about 1 µs for
    20 ms.
    """
    return mulaw.translate(_IS_LOUD).count(1) >= LOUD_SHARE * len(mulaw) > 0


def stereo_pcm(left: bytes, right: bytes) -> bytes:
    """Two µ-law channels of equal length as interleaved 16-bit little-endian samples."""
    pair = np.empty((len(left), 2), dtype="<i2")
    pair[:, 0] = LINEAR[np.frombuffer(left, dtype=np.uint8)]
    pair[:, 1] = LINEAR[np.frombuffer(right, dtype=np.uint8)]
    return pair.tobytes()


class VoiceRise:
    """Hears a voice begin: four frames in a row that hold one, each clearly louder than the line
    has been; and end, six frames after the last of these.

    The line's own level follows a louder line slowly and a quieter one fast, so that an echo of our
    voice, music or a fan soon belongs to it, and a pause between two words does not count.
    """

    FRAMES = 4
    QUIET_FRAMES = 6  # between one voice and the next: longer than the stop in a "t" or a "k"
    ABOVE = 24  # of _LOUDNESS, where 16 are 6 dB

    def __init__(self) -> None:
        self._line = 0.0
        self._run = 0
        self._quiet = self.QUIET_FRAMES
        self._voice = False

    def hear(self, mulaw: bytes) -> bool | None:
        """Take a 20 ms frame; return whether a voice has begun (True) or ended (False) with it."""
        level = sum(mulaw.translate(_LOUDNESS)) / (len(mulaw) or 1)
        loud = is_loud(mulaw)
        rises = loud and level >= self._line + self.ABOVE
        # A voice that goes on soon belongs to the line, but does not fall below it.
        goes_on = loud and level >= self._line
        self._line += (level - self._line) * (0.02 if level > self._line else 0.3)
        if not rises:
            self._run = 0
            self._quiet += not goes_on
            if self._voice and self._quiet >= self.QUIET_FRAMES:
                self._voice = False
                return False
            return None
        self._run += 1
        if self._run < self.FRAMES:
            return None
        self._quiet = 0
        if self._voice:
            return None
        self._voice = True
        return True


class VoiceActivity:
    """Turns frames into changes between loud and quiet: loud after 60 ms of voice, quiet 240 ms
    after it.
    """

    ON_FRAMES = 3
    OFF_FRAMES = 12

    def __init__(self) -> None:
        self.loud = False
        self._run = 0

    @property
    def quiet_ms(self) -> int:
        """How long ago the last loud frame was, while the state is still loud."""
        return self._run * 20 if self.loud else 0

    def hear(self, mulaw: bytes) -> bool | None:
        """Take a 20 ms frame; return the new state if it changed."""
        if is_loud(mulaw) == self.loud:
            self._run = 0
            return None
        self._run += 1
        if self._run < (self.OFF_FRAMES if self.loud else self.ON_FRAMES):
            return None
        self.loud = not self.loud
        self._run = 0
        return self.loud
