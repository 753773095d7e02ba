"""Text to telephone speech, with the model that comes in the ``hibari-tts`` wheel.

One thread synthesises for everybody (about 100 times faster than real time), so the event
loop is never held up. A sentence said before, in the same voice, comes from a cache.
"""

import asyncio
import functools
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hibari import Hibari, dsp

from . import audio
from .spelling import readable
from .voices import Timbre, timbre_of

_GAIN = 2.2  # the model speaks at about -27 dBFS; telephone speech is near -20
_LEAD_S, _TAIL_S, _PAUSE_S = 0.03, 0.06, 0.2
_CACHED_BYTES = 32 * 1024 * 1024
_BINS = dsp.N_FFT // 2 + 1
_HARMONIC_BINS = 11
_REST_SOFTER = 0.7  # natural log: 6 dB, or a changed voice sounds hoarse

_thread = ThreadPoolExecutor(1, thread_name_prefix="synthesiser")
_cache: OrderedDict[tuple[object, ...], bytes] = OrderedDict()  # touched only by that thread
_cached = 0
_making = 0  # sentences asked for and not made yet


def _smooth(spectra: audio.Floats) -> audio.Floats:
    """Average each [bins, frames] log spectrum over 220 Hz, the width of one harmonic."""
    half = _HARMONIC_BINS // 2
    padded = np.pad(spectra, ((half + 1, half), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=0, dtype=np.float64)
    mean = (sums[_HARMONIC_BINS:] - sums[:-_HARMONIC_BINS]) / _HARMONIC_BINS
    return mean.astype(np.float32)


def _stretch(spectra: audio.Floats, factor: float) -> audio.Floats:
    """Move every formant of [bins, frames] log spectra to ``factor`` times its frequency."""
    at = np.clip(np.arange(_BINS) / factor, 0, _BINS - 1)
    low = at.astype(int)
    weight = (at - low).astype(np.float32)[:, None]
    stretched: audio.Floats = spectra[low] * (1 - weight)
    stretched += spectra[np.minimum(low + 1, _BINS - 1)] * weight
    return stretched


class _Speaker(Hibari):  # type: ignore[misc]
    """The built-in speaker with her pitch and vocal tract under our control."""

    def sentence(self, phonemes: str, timbre: Timbre, speed: float, seed: int) -> audio.Floats:
        ids = np.asarray([self.ids(phonemes)], np.int64)
        if ids.shape[1] < 3:
            return np.zeros(0, np.float32)
        pace = np.asarray([speed * timbre.pace], np.float32)
        outputs = self.sess.run(None, {"ids": ids, "speed": pace})
        harmonics, phase, noise, rest, rest_phase, f0 = (o[0] for o in outputs)
        rng = np.random.default_rng(seed)
        if (timbre.pitch, timbre.formant) != (1.0, 1.0):
            # The spectra carry the comb of her own pitch: without smoothing it away, and without
            # a random phase for the part that is not harmonic, two voices would speak at once.
            harmonics, noise = (_stretch(m, timbre.formant) for m in (_smooth(harmonics), noise))
            rest = _stretch(_smooth(rest), timbre.formant) - _REST_SOFTER
            phase = np.zeros_like(phase)
            rest_phase = rng.uniform(-np.pi, np.pi, rest_phase.shape).astype(np.float32)
        pitch = f0 * timbre.pitch
        sound: audio.Floats = dsp.synth(harmonics, phase, noise, rest, rest_phase, pitch, rng)
        return sound


@functools.cache
def _speaker() -> _Speaker:
    speaker = _Speaker()
    speaker("Good morning.")
    return speaker


def _trim(sound: audio.Floats, rate: int) -> audio.Floats:
    """Cut the model's silence around a sentence (0.3 s before, 0.5 s after) and add one pause."""
    loud = np.flatnonzero(np.abs(sound) > 0.004)
    if not len(loud):
        return sound[:0]
    start = max(0, loud[0] - int(_LEAD_S * rate))
    spoken = sound[start : loud[-1] + int(_TAIL_S * rate)]
    return np.concatenate([spoken, np.zeros(int(_PAUSE_S * rate), np.float32)])


def _sentence(text: str, timbre: Timbre, speed: float, encoding: str, rate: int) -> bytes:
    global _cached
    key = (text, timbre, speed, encoding, rate)
    if key in _cache:
        _cache.move_to_end(key)
        return _cache[key]
    speaker, seed = _speaker(), zlib.crc32(text.encode())
    parts = [speaker.sentence(p, timbre, speed, seed) for p in speaker.phonemize(text)]
    sound = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    sound = audio.resample(_trim(sound, dsp.SR) * np.float32(_GAIN), dsp.SR, rate)
    data = audio.encode(sound, encoding)
    _cache[key] = data
    _cached += len(data)
    while _cached > _CACHED_BYTES:
        _cached -= len(_cache.popitem(last=False)[1])
    return data


async def stream(
    text: str,
    *,
    voice: str | Timbre,
    speed: float = 1.0,
    encoding: str = "mulaw",
    rate: int = audio.RATE,
) -> AsyncIterator[bytes]:
    """Yield the audio of ``text`` sentence by sentence, each as soon as it is made.

    ``voice`` is a Deepgram voice name or a ``Timbre``; ``speed`` 0.5 (slow) to 2.0;
    ``encoding`` is ``mulaw``, ``alaw`` or ``linear16``; ``rate`` a multiple of 8000 Hz.
    Text with nothing to say in it yields nothing. Raises ``UnknownVoice``.
    """
    global _making
    timbre = timbre_of(voice) if isinstance(voice, str) else voice
    loop = asyncio.get_running_loop()
    for sentence in Hibari.split_sentences(readable(text)):
        job = functools.partial(_sentence, sentence, timbre, speed, encoding, rate)
        _making += 1
        try:
            data = await loop.run_in_executor(_thread, job)
        finally:
            _making -= 1
        if data:
            yield data


async def synthesise(text: str, *, voice: str | Timbre, speed: float = 1.0) -> bytes:
    """Return the whole of ``text`` as µ-law at 8 kHz (see ``stream``)."""
    return b"".join([part async for part in stream(text, voice=voice, speed=speed)])


def busy() -> bool:
    """Somebody's speech is being made at this moment."""
    return _making > 0


async def warm_up() -> None:
    """Load the model (under a second); speech asked for earlier waits for it by itself."""
    await asyncio.get_running_loop().run_in_executor(_thread, _speaker)
