"""Hears the beep of an answering machine in the far end's audio.

A beep is one steady tone between 400 and 2100 Hz for 0.2 to 2 s with quiet after it. Speech has
harmonics and moves, keypad tones and American progress tones are two tones at once, music goes
on; European ringing and busy tones are single tones too but come in a rhythm, so a tone near
theirs must stand alone for longer before it counts.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

RATE = 8000
_BLOCK = 320  # 40 ms: short enough to time a beep, long enough to tell 425 from 480 Hz
_BLOCK_MS = _BLOCK * 1000 // RATE
_BIN_HZ = RATE / _BLOCK
_LOWEST, _HIGHEST = round(400 / _BIN_HZ), round(2100 / _BIN_HZ)
_AUDIBLE = 1e-4  # mean square, full scale being 1: -40 dB
_PURE = 0.93  # of a block's energy lies in the tone
_STEADY_HZ, _STEADY = 15.0, 0.5  # the weakest whole block against the strongest, as power
_LEAST_MS, _MOST_MS = 200, 2_000
_QUIET = 0.03  # power after the tone against the tone's: 15 dB below it
_QUIET_MS = 120
_ALONE_MS = 400  # no other tone before it: melodies, and the three tones of a wrong number
_PROGRESS_HZ = (390.0, 500.0)
_PROGRESS_MOST_MS, _PROGRESS_QUIET_MS, _PROGRESS_ALONE_MS = 900, 720, 1_000

_WINDOW = np.hanning(_BLOCK).astype(np.float32)
_LAG, _GLANCE = 4, 0.6
_OFFSETS = np.arange(-2, 3, dtype=np.float32)


def _mulaw_table() -> npt.NDArray[np.float32]:
    code = np.bitwise_not(np.arange(256, dtype=np.uint8)).astype(np.int32)
    size = ((((code & 0x0F) << 3) + 132) << ((code >> 4) & 7)) - 132
    return np.where(code & 0x80, -size, size).astype(np.float32) / np.float32(32768)


_LINEAR = _mulaw_table()


@dataclass(frozen=True, slots=True)
class Beep:
    """A beep from ``start_ms`` to ``end_ms`` of the audio fed, to within a block of 40 ms."""

    start_ms: int
    end_ms: int
    frequency_hz: int


@dataclass(slots=True)
class _Tone:
    """Blocks of one frequency in a row; the first and last may be half tone, half not."""

    start_ms: int
    hz: float
    alone: int  # ms since the tone before
    powers: list[float] = field(default_factory=list)

    @property
    def strength(self) -> float:
        return max(self.powers)

    @property
    def spans(self) -> tuple[int, int]:
        """Start and end in ms, the half-filled blocks counted by their power."""
        first = round(_BLOCK_MS * (1 - self.powers[0] / self.strength))
        last = round(_BLOCK_MS * (1 - self.powers[-1] / self.strength))
        return self.start_ms + first, self.start_ms + len(self.powers) * _BLOCK_MS - last

    @property
    def in_progress_band(self) -> bool:
        return _PROGRESS_HZ[0] <= self.hz <= _PROGRESS_HZ[1]

    def is_beep(self) -> bool:
        start_ms, end_ms = self.spans
        steady = min(self.powers[1:-1], default=0.0) >= _STEADY * self.strength
        progress = self.in_progress_band
        # Edges are measured to a few ms only: a tone of just 200 ms must not be missed for it.
        long_enough = end_ms - start_ms >= _LEAST_MS - _BLOCK_MS // 2
        short_enough = end_ms - start_ms <= (_PROGRESS_MOST_MS if progress else _MOST_MS)
        alone = self.alone >= (_PROGRESS_ALONE_MS if progress else _ALONE_MS)
        return steady and long_enough and short_enough and alone


class BeepDetector:
    """Takes the far end's µ-law audio at 8 kHz, in order and without gaps, and reports beeps."""

    def __init__(self) -> None:
        self._pending = b""
        self._now_ms = 0
        self._tone: _Tone | None = None
        self._ended: _Tone | None = None  # a tone that is a beep if it stays quiet
        self._before: tuple[float, float] = (0.0, 0.0)  # frequency and power of the last block
        self._last_end_ms = -_PROGRESS_ALONE_MS

    def feed(self, mulaw: bytes) -> Beep | None:
        """Take any amount of audio; return a beep once the quiet after it has confirmed it.

        That is 0.12 to 0.2 s after its end, 0.8 s for a tone of 390 to 500 Hz.
        """
        pending = self._pending + mulaw
        if len(pending) < _BLOCK:
            self._pending = pending
            return None
        beep = None
        whole = len(pending) // _BLOCK * _BLOCK
        for at in range(0, whole, _BLOCK):
            beep = self._hear(np.frombuffer(pending, np.uint8, _BLOCK, at)) or beep
        self._pending = pending[whole:]
        return beep

    def _hear(self, block: npt.NDArray[np.uint8]) -> Beep | None:
        sound = _LINEAR[block]
        power = float(sound.dot(sound)) / _BLOCK
        hz, pure = _pitch(sound) if power >= _AUDIBLE else (0.0, False)
        at_ms, self._now_ms = self._now_ms, self._now_ms + _BLOCK_MS
        tone = self._tone
        if tone and hz and abs(hz - tone.hz) <= _STEADY_HZ and pure:
            tone.powers.append(power)
            tone.hz += (hz - tone.hz) / len(tone.powers)
        else:
            if tone:
                self._end(tone, hz, power)
            if pure:
                self._begin(at_ms, hz, power)
        self._before = (hz, power)
        return self._confirm(power)

    def _begin(self, at_ms: int, hz: float, power: float) -> None:
        self._tone = _Tone(at_ms, hz, at_ms - self._last_end_ms, [power])
        before_hz, before_power = self._before
        if abs(before_hz - hz) <= 2 * _BIN_HZ and before_power < power:  # it began in that block
            self._tone.start_ms -= _BLOCK_MS
            self._tone.powers.insert(0, before_power)

    def _end(self, tone: _Tone, hz: float, power: float) -> None:
        whole = tone.powers[-1] >= _STEADY * tone.strength
        if whole and abs(hz - tone.hz) <= 2 * _BIN_HZ and power < tone.strength:
            # It ended in this block.
            tone.powers.append(power)
        self._tone = None
        if len(tone.powers) > 2:
            self._last_end_ms = tone.spans[1]
            self._ended = tone if tone.is_beep() else None

    def _confirm(self, power: float) -> Beep | None:
        tone = self._ended
        if tone is None:
            return None
        start_ms, end_ms = tone.spans
        if self._now_ms - _BLOCK_MS <= end_ms:  # this block may hold the last of the tone
            return None
        if power > max(_QUIET * tone.strength, _AUDIBLE / 4):
            self._ended = None
            return None
        needed = _PROGRESS_QUIET_MS if tone.in_progress_band else _QUIET_MS
        if self._now_ms - end_ms < needed:
            return None
        self._ended = None
        return Beep(start_ms, end_ms, round(tone.hz))


def _pitch(sound: npt.NDArray[np.float32]) -> tuple[float, bool]:
    """Return the strongest frequency of a block in Hz, and whether it is all there is.

    0.0 where a glance shows that the block is no tone: of a sine of any frequency, the sample
    before and the sample after (by a lag) always add up to the same multiple of the sample.
    """
    middle = sound[_LAG:-_LAG]
    around_it = sound[: -2 * _LAG] + sound[2 * _LAG :]
    energy, common = float(middle.dot(middle)), float(around_it.dot(middle))
    if float(around_it.dot(around_it)) * energy - common * common > _GLANCE * energy * energy:
        return 0.0, False
    spectrum = np.fft.rfft(sound * _WINDOW)
    powers = spectrum.real**2 + spectrum.imag**2
    peak = int(powers.argmax())
    if not _LOWEST <= peak <= _HIGHEST:
        return 0.0, False
    around = powers[peak - 2 : peak + 3]
    inside = float(around.sum())
    hz = (peak + float(around.dot(_OFFSETS)) / inside) * _BIN_HZ
    return hz, inside >= _PURE * float(powers.sum())
