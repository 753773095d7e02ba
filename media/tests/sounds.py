"""Sounds of a telephone line, synthesised: a voice, a cough, hiss, and what an echo makes of them.
Floats at 8 kHz, full scale being 1; the same in every run.
"""

import numpy as np
import numpy.typing as npt

from media.audio import LINEAR

Sound = npt.NDArray[np.float64]

RATE = 8_000
FRAME = 160
_CODES = np.argsort(LINEAR, kind="stable").astype(np.uint8)
_LEVELS = LINEAR[_CODES] / 32_768


def voice(ms: int, *, db: float = -20, hz: float = 120, seed: int = 1) -> Sound:
    """Vowels in syllables of about a quarter of a second, at ``db`` RMS while it sounds."""
    rng = np.random.default_rng(seed)
    t = np.arange(ms * RATE // 1000) / RATE
    pitch = hz * (1 + 0.08 * np.sin(2 * np.pi * 1.7 * t + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = rng.uniform(0.7, 1.3, (len(t) // 2_000 + 1, 3)) * (600, 1_500, 2_600)
    centres = formants[np.minimum(np.arange(len(t)) // 2_000, len(formants) - 1)]
    sound = np.zeros(len(t))
    for harmonic in range(1, int(3_600 / hz)):
        loud = sum(np.exp(-(((harmonic * hz - centres[:, n]) / 250) ** 2)) for n in range(3))
        sound += (loud + 0.05) / harmonic**0.3 * np.sin(harmonic * phase)
    syllables = np.clip(1.3 * np.abs(np.sin(np.pi * 4 * t)) ** 0.5, 0, 1)
    return _at(sound * syllables, db)


def cough(*, db: float = -14, seed: int = 2) -> Sound:
    """Two bursts of noise, 220 ms in all."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(size=RATE * 220 // 1000)
    t = np.arange(len(sound)) / RATE
    return _at(sound * (np.exp(-t * 25) + 0.7 * (t > 0.12) * np.exp(-(t - 0.12) * 30)), db)


def hiss(ms: int, *, db: float = -60, seed: int = 3) -> Sound:
    return _at(np.random.default_rng(seed).normal(size=ms * RATE // 1000), db)


def silence(ms: int) -> Sound:
    return np.zeros(ms * RATE // 1000)


def echo(sound: Sound, *, db: float = -20, delay_ms: int = 180) -> Sound:
    """``sound`` as it comes back, quieter and later."""
    return np.concatenate([silence(delay_ms), sound * 10 ** (db / 20)])


def mixed(*sounds: Sound) -> Sound:
    longest = max(len(one) for one in sounds)
    return np.sum([np.pad(one, (0, longest - len(one))) for one in sounds], axis=0)


def after(ms: int, sound: Sound) -> Sound:
    return np.concatenate([silence(ms), sound])


def frames(sound: Sound) -> list[bytes]:
    """As a carrier sends it: µ-law, 20 ms each."""
    above = np.searchsorted(_LEVELS, sound).clip(1, len(_LEVELS) - 1)
    nearest = above - (sound - _LEVELS[above - 1] < _LEVELS[above] - sound)
    mulaw = bytes(_CODES[nearest])
    return [mulaw[at : at + FRAME] for at in range(0, len(mulaw) - FRAME + 1, FRAME)]


def _at(sound: Sound, db: float) -> Sound:
    return sound * (10 ** (db / 20) / np.sqrt(np.mean(sound**2)))
