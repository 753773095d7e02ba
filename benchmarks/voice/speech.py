"""What the simulated people say, as telephone audio, and how loud a piece of it is."""

import asyncio
import random
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from media.audio import LINEAR
from sandbox.speech.synthesiser import synthesise

FRAME = 160  # bytes of µ-law in 20 ms
VOICED = 200  # mean magnitude of a frame that holds a voice; the line's hiss is below 20
QUESTION = "What time do you open tomorrow?"
BACKCHANNELS = ("Mm-hmm.", "Yeah.", "Okay.", "Uh-huh.", "I see.", "Right.")
_VOICES = ("aura-2-thalia-en", "aura-2-orion-en")

MAGNITUDE = np.abs(LINEAR.astype(np.int32))
_TO_MULAW = np.zeros(65536, dtype=np.uint8)
_TO_MULAW[LINEAR.view(np.uint16)] = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True)
class Utterance:
    """Frames of a sentence; ``first`` and ``last`` are its first and last voiced ones."""

    text: str
    frames: tuple[bytes, ...]
    first: int
    last: int


def is_voiced(mulaw: bytes) -> bool:
    return bool(MAGNITUDE[np.frombuffer(mulaw, dtype=np.uint8)].mean() >= VOICED)


def to_mulaw(linear16: bytes) -> bytes:
    """Exact for samples that were µ-law before, near enough for the energy of others."""
    samples: npt.NDArray[np.int16] = np.frombuffer(linear16, dtype="<i2")
    exact = _TO_MULAW[samples.view(np.uint16)]
    if LINEAR[exact].tobytes() == linear16:
        return exact.tobytes()
    order = np.argsort(LINEAR, kind="stable")
    at = np.clip(np.searchsorted(LINEAR[order], samples), 0, 255)
    return order[at].astype(np.uint8).tobytes()


@cache
def hiss(number: int) -> bytes:
    """20 ms of a line on which nobody speaks, one of many."""
    chance = random.Random(number)
    quiet = [code for code in range(256) if MAGNITUDE[code] <= 24]
    return bytes(chance.choices(quiet, k=FRAME))


@cache
def question() -> Utterance:
    return _say(QUESTION, _VOICES[0])


@cache
def backchannels() -> tuple[Utterance, ...]:
    return tuple(_say(text, voice) for text in BACKCHANNELS for voice in _VOICES)


@cache
def by_first_frame() -> dict[bytes, str]:
    """Which sentence begins with a voiced frame: how the stub transcriber knows the words."""
    known = {u.frames[u.first]: u.text for u in (question(), *backchannels())}
    if len(known) != 1 + len(backchannels()):
        raise RuntimeError("two sentences begin alike")
    return known


def _say(text: str, voice: str) -> Utterance:
    audio = asyncio.run(synthesise(text, voice=voice))
    frames = tuple(audio[i : i + FRAME] for i in range(0, len(audio) - FRAME + 1, FRAME))
    voiced = [index for index, frame in enumerate(frames) if is_voiced(frame)]
    return Utterance(text, frames, voiced[0], voiced[-1])
