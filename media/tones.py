"""Touch-tones as µ-law audio. Media Streams carry no key towards the person, only sound: so keys
are pressed as the telephones before them pressed them, in the voice's own band.
"""

from functools import cache

import numpy as np

from media.audio import BYTES_PER_MS, LINEAR, SILENCE

# ITU-T Q.23: each key is a tone of a row and one of a column.
_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_KEYS = ("123A", "456B", "789C", "*0#D")
# Receivers must take 40 ms of tone and of pause (Q.24); a network may lose some of either.
TONE_MS, GAP_MS = 160, 120
# -7 and -5 dBm0: the higher group is sent louder, as it loses more on the way.
_LOW, _HIGH = 10_200, 12_800
PAUSES_MS = {"w": 500, "W": 1_000}

_CODES = np.argsort(LINEAR, kind="stable").astype(np.uint8)
_LEVELS = LINEAR[_CODES].astype(np.int32)


def touch_tones(keys: str) -> bytes:
    """Return ``keys`` (``0-9 * # A-D``; ``w`` waits half a second, ``W`` one) as µ-law."""
    return b"".join(_silence(PAUSES_MS[key]) if key in PAUSES_MS else _tone(key) for key in keys)


@cache
def _tone(key: str) -> bytes:
    row = next(number for number, keys in enumerate(_KEYS) if key in keys)
    low, high = _ROWS[row], _COLUMNS[_KEYS[row].index(key)]
    t = np.arange(TONE_MS * BYTES_PER_MS) / (1000 * BYTES_PER_MS)
    wave = _LOW * np.sin(2 * np.pi * low * t) + _HIGH * np.sin(2 * np.pi * high * t)
    above = np.searchsorted(_LEVELS, wave).clip(1, len(_LEVELS) - 1)
    nearest = above - (wave - _LEVELS[above - 1] < _LEVELS[above] - wave)
    return bytes(_CODES[nearest]) + _silence(GAP_MS)


def _silence(ms: int) -> bytes:
    return SILENCE * (ms * BYTES_PER_MS)
