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
