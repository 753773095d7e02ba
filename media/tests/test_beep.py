from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from media.beep import RATE, Beep, BeepDetector

Sound = npt.NDArray[np.float64]


def silence(ms: int) -> Sound:
    return np.zeros(ms * RATE // 1000)


def tones(ms: int, *frequencies: float, level: float = 0.3) -> Sound:
    t = np.arange(ms * RATE // 1000) / RATE
    return (
        level / len(frequencies) * np.sum([np.sin(2 * np.pi * f * t) for f in frequencies], axis=0)
    )


def noise(ms: int, level: float, seed: int = 1) -> Sound:
    return np.random.default_rng(seed).normal(0, level, ms * RATE // 1000)


def speech(ms: int, seed: int) -> Sound:
    """Voiced syllables: a gliding pitch with harmonics under moving formants, and pauses."""
    rng = np.random.default_rng(seed)
    parts: list[Sound] = []
    while sum(map(len, parts)) < ms * RATE // 1000:
        length = rng.integers(80, 350)
        t = np.arange(length * RATE // 1000) / RATE
        pitch = rng.uniform(90, 320) * (1 + rng.uniform(-0.3, 0.3) * t / t[-1])
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        formant = rng.uniform(300, 2200)
        syllable = sum(
            np.sin(k * phase) * np.exp(-(((k * pitch - formant) / 400) ** 2)) for k in range(1, 20)
        ) + 0.2 * np.sin(phase)
        parts += [0.2 * syllable * np.hanning(len(t)), silence(int(rng.integers(20, 160)))]
    return np.concatenate(parts)


def music(ms: int, seed: int) -> Sound:
    """A melody of plucked notes with overtones over a bass, as on hold."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(ms // 400):
        f = 220 * 2 ** (rng.integers(12, 36) / 12)
        note = tones(400, f) + 0.3 * tones(400, 2 * f) + 0.5 * tones(400, f / 4)
        parts.append(note * np.exp(-np.arange(len(note)) / RATE * 3))
    return np.concatenate(parts)


def mulaw(sound: Sound) -> bytes:
    """Encode as G.711 µ-law."""
    size = np.minimum(np.abs(sound) * 32768, 32635).astype(int) + 132
    exponent = np.maximum(np.floor(np.log2(size)).astype(int) - 7, 0)
    code = (exponent << 4) | ((size >> (exponent + 3)) & 0x0F)
    return (~np.where(sound < 0, code | 0x80, code)).astype(np.uint8).tobytes()


def beeps_in(*parts: Sound) -> list[Beep]:
    return list(heard(mulaw(np.concatenate(parts))))


def heard(audio: bytes) -> Iterator[Beep]:
    detector = BeepDetector()
    for at in range(0, len(audio), 160):  # Twilio's frames of 20 ms
        if beep := detector.feed(audio[at : at + 160]):
            yield beep


@pytest.mark.parametrize("frequency", [425, 440, 620, 850, 1000, 1400, 2000])
@pytest.mark.parametrize("length", [200, 330, 800])
@pytest.mark.parametrize("offset", [0, 13, 27])
def test_a_single_tone_followed_by_quiet_is_a_beep(frequency: int, length: int, offset: int):
    found = beeps_in(silence(1_500 + offset), tones(length, frequency), silence(1_500))

    assert len(found) == 1
    assert abs(found[0].start_ms - 1_500 - offset) <= 40
    assert abs(found[0].end_ms - 1_500 - offset - length) <= 40
    assert abs(found[0].frequency_hz - frequency) <= 12


def test_a_beep_after_a_spoken_greeting_on_a_noisy_line_is_heard():
    greeting = speech(4_000, seed=3)
    spoken_ms = len(greeting) * 1000 // RATE
    line = np.concatenate([greeting, silence(300), tones(500, 1000), silence(1_000)])

    found = beeps_in(line + noise(len(line) * 1000 // RATE + 1, 0.004)[: len(line)])

    assert [abs(beep.end_ms - spoken_ms - 800) <= 40 for beep in found] == [True]


def test_a_quiet_beep_is_heard_and_a_very_quiet_one_is_line_noise():
    assert len(beeps_in(silence(500), tones(400, 1000, level=0.03), silence(500))) == 1
    assert beeps_in(silence(500), tones(400, 1000, level=0.005), silence(500)) == []


@pytest.mark.parametrize("length", [60, 120, 2_600])
def test_a_click_and_a_fax_tone_are_not_beeps(length: int):
    assert beeps_in(silence(500), tones(length, 2100), silence(1_500)) == []


def test_a_tone_below_or_above_the_band_of_beeps_is_not_one():
    assert beeps_in(silence(500), tones(400, 300), silence(500)) == []
    assert beeps_in(silence(500), tones(400, 2500), silence(500)) == []


@pytest.mark.parametrize("seed", range(20))
def test_speech_is_not_a_beep(seed: int):
    assert beeps_in(speech(15_000, seed), silence(500)) == []


@pytest.mark.parametrize("seed", range(10))
def test_music_on_hold_is_not_a_beep(seed: int):
    assert beeps_in(music(15_000, seed), silence(1_000)) == []


def test_a_melody_of_pure_tones_is_not_a_beep():
    notes = [tones(300, f) for f in (523, 587, 659, 698, 784, 880)]

    assert beeps_in(*notes, silence(1_000)) == []


@pytest.mark.parametrize(
    ("frequencies", "cadence"),
    [
        pytest.param((440, 480), (2_000, 4_000), id="ringing in North America"),
        pytest.param((425,), (1_000, 4_000), id="ringing in Europe"),
        pytest.param((400, 450), (400, 200, 400, 2_000), id="ringing in Britain"),
        pytest.param((480, 620), (500, 500), id="busy in North America"),
        pytest.param((425,), (500, 500), id="busy in Europe"),
        pytest.param((425,), (250, 250), id="congestion in Europe"),
        pytest.param((400,), (375, 375), id="busy in Britain"),
    ],
)
def test_a_progress_tone_is_not_a_beep(frequencies: tuple[int, ...], cadence: tuple[int, ...]):
    bursts = []
    for _ in range(4):
        for on, off in zip(cadence[::2], cadence[1::2], strict=True):
            bursts += [tones(on, *frequencies), silence(off)]

    assert beeps_in(silence(1_000), *bursts, silence(2_000)) == []


@pytest.mark.parametrize("low", [697, 770, 852, 941])
@pytest.mark.parametrize("high", [1209, 1336, 1477, 1633])
def test_a_keypad_tone_is_not_a_beep(low: int, high: int):
    assert beeps_in(silence(300), tones(250, low, high), silence(600)) == []


def test_the_three_tones_of_a_wrong_number_are_not_a_beep():
    tri = [tones(330, f) for f in (950, 1400, 1800)]

    assert beeps_in(silence(300), *tri, silence(1_000)) == []


def test_a_tone_that_speech_follows_at_once_is_not_a_beep():
    assert beeps_in(silence(500), tones(400, 1000), speech(2_000, seed=5)) == []


def test_audio_may_come_in_pieces_of_any_size():
    audio = mulaw(np.concatenate([silence(500), tones(400, 1000), silence(500)]))
    whole = BeepDetector().feed(audio)
    detector = BeepDetector()

    found = [beep for at in range(0, len(audio), 7) if (beep := detector.feed(audio[at : at + 7]))]

    assert found == [whole]
    assert whole is not None
