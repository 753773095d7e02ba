"""Telephone audio in numpy: µ-law and A-law tables, and changes of sample rate.

Float audio is mono float32 in [-1, 1].
"""

import functools
import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

RATE = 8000
SILENCE = b"\xff"  # µ-law zero


def _mulaw_table() -> Floats:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    return (np.where(code & 0x80, 0x84 - magnitude, magnitude - 0x84) / 32768).astype(np.float32)


def _alaw_table() -> Floats:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment, low = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = np.where(segment == 0, low + 8, (low + 0x108) << np.maximum(segment - 1, 0))
    return (np.where(code & 0x80, magnitude, -magnitude) / 32768).astype(np.float32)


def _encoder(decoded: Floats) -> npt.NDArray[np.uint8]:
    """Nearest code for each of the 65,536 linear values; index is ``sample + 32768``."""
    order = np.argsort(decoded, kind="stable")
    levels = decoded[order]
    linear = np.arange(-32768, 32768, dtype=np.float32) / 32768
    right = np.clip(np.searchsorted(levels, linear), 1, 255)
    nearer_left = linear - levels[right - 1] <= levels[right] - linear
    return order[right - nearer_left].astype(np.uint8)


_FROM_MULAW, _FROM_ALAW = _mulaw_table(), _alaw_table()
_TO_MULAW, _TO_ALAW = _encoder(_FROM_MULAW), _encoder(_FROM_ALAW)
_TO_MULAW[32768] = 0xFF  # zero has two codes, telephones send this one


def decode(data: bytes, encoding: str = "mulaw") -> Floats:
    """Turn ``mulaw``, ``alaw`` or little-endian ``linear16`` bytes into floats.

    A trailing half sample of linear16 is dropped.
    """
    if encoding == "linear16":
        pcm = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2")
        return pcm.astype(np.float32) / np.float32(32768)
    table = _FROM_MULAW if encoding == "mulaw" else _FROM_ALAW
    return table[np.frombuffer(data, dtype=np.uint8)]


def encode(audio: Floats, encoding: str = "mulaw") -> bytes:
    """Turn floats into ``mulaw``, ``alaw`` or little-endian ``linear16`` bytes; clips."""
    pcm = (np.clip(audio, -1.0, 32767 / 32768) * 32768).astype("<i2")
    if encoding == "linear16":
        return pcm.tobytes()
    table = _TO_MULAW if encoding == "mulaw" else _TO_ALAW
    return table[pcm.astype(np.int32) + 32768].tobytes()


@functools.cache
def _low_pass(cutoff: float) -> Floats:
    """Windowed-sinc low pass, ``cutoff`` as a fraction of the sample rate; unity gain."""
    half = math.ceil(4 / cutoff)
    t = np.arange(-half, half + 1)
    taps = 2 * cutoff * np.sinc(2 * cutoff * t) * np.blackman(2 * half + 1)
    unity: Floats = (taps / taps.sum()).astype(np.float32)
    return unity


def resample(audio: Floats, source: int, target: int) -> Floats:
    """Change the sample rate with an anti-alias filter; both rates are multiples of 8000 Hz."""
    if source == target or not len(audio):
        return audio
    shared = math.gcd(source, target)
    up, down = target // shared, source // shared
    taps = _low_pass(0.46 / max(up, down))
    if up == 1:
        thinned: Floats = np.convolve(audio, taps, mode="same")[::down]
        return thinned
    # Polyphase: each output phase sees only the taps that meet a real sample.
    half = len(taps) // 2
    padded = np.concatenate([taps, np.zeros(-len(taps) % up, np.float32)])
    phases = [np.convolve(audio, padded[p::up] * up) for p in range(up)]
    whole = np.stack(phases, axis=1).reshape(-1)
    resampled: Floats = whole[half : half + len(audio) * up : down]
    return resampled
