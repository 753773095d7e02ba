"""Between a browser's audio (16-bit linear, 16 kHz) and the telephone's (µ-law, 8 kHz), which is
all that the engine knows. Used at a transport's edge only.
"""

import numpy as np
import numpy.typing as npt

from media.audio import LINEAR

type Samples = npt.NDArray[np.float32]

_TAPS = 47  # 3 ms; what lies above 4 kHz is 50 dB down


def _low_pass() -> Samples:
    """A half-band filter at 16 kHz: the telephone's band, up to 3.6 kHz."""
    n = np.arange(_TAPS) - (_TAPS - 1) / 2
    taps: Samples = (np.sinc(0.45 * n) * np.hamming(_TAPS)).astype(np.float32)
    taps /= taps.sum()
    return taps


_FILTER = _low_pass()


def _encode_table() -> npt.NDArray[np.uint8]:
    """G.711: the code of each 16-bit sample, by the sample as an unsigned number."""
    sample = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(sample), 32_635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    code: npt.NDArray[np.uint8] = (
        ~((sample < 0) * 0x80 | (exponent << 4) | mantissa) & 0xFF
    ).astype(np.uint8)
    return code


_CODES = _encode_table()


class ToTelephone:
    """A stream of 16 kHz PCM (16-bit little-endian) made µ-law at 8 kHz, whatever its pieces."""

    def __init__(self) -> None:
        self._before = np.zeros(_TAPS - 1, dtype=np.float32)
        self._odd = 0  # samples that the next piece skips, so that every second one is kept

    def mulaw(self, pcm: bytes) -> bytes:
        """Return the telephone audio of ``pcm``; an odd last byte is dropped."""
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.float32)
        if not samples.size:
            return b""
        line = np.concatenate((self._before, samples))
        self._before = line[-(_TAPS - 1) :]
        kept = np.convolve(line, _FILTER, "valid")[self._odd :: 2]
        self._odd = (self._odd + samples.size) % 2
        linear = np.clip(np.rint(kept), -32_768, 32_767).astype(np.int16)
        return _CODES[linear.view(np.uint16)].tobytes()


class ToBrowser:
    """A stream of µ-law at 8 kHz made 16 kHz PCM (16-bit little-endian)."""

    def __init__(self) -> None:
        self._before = np.zeros(_TAPS - 1, dtype=np.float32)

    def pcm(self, mulaw: bytes) -> bytes:
        """Return the browser's audio of ``mulaw``: four bytes for each of its own."""
        spread = np.zeros(2 * len(mulaw), dtype=np.float32)
        spread[::2] = LINEAR[np.frombuffer(mulaw, dtype=np.uint8)]
        line = np.concatenate((self._before, spread))
        self._before = line[-(_TAPS - 1) :]
        samples = np.clip(np.rint(2 * np.convolve(line, _FILTER, "valid")), -32_768, 32_767)
        return bytes(samples.astype("<i2").tobytes())
