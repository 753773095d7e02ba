"""The voices: one synthetic speaker, re-tuned.

A ``Timbre`` moves pitch and vocal-tract length apart from the pace, so a low voice is not a
slow one. Every Deepgram Aura name is a timbre of its own that never changes between runs.
"""

import zlib
from dataclasses import dataclass


class UnknownVoice(ValueError):
    """No voice has this name; Deepgram answers 400."""


@dataclass(frozen=True)
class Timbre:
    """How a voice differs from the built-in speaker: all factors, 1.0 is her own voice."""

    pitch: float = 1.0
    formant: float = 1.0
    pace: float = 1.0


# Measured by the recogniser: beyond these it starts to misread words (see sandbox/README.md).
_FEMALE = tuple(Timbre(p, f) for p, f in ((1.0, 1.0), (1.12, 1.03), (0.9, 0.97), (1.05, 0.98)))
_MALE = tuple(Timbre(p, f) for p, f in ((0.6, 0.86), (0.66, 0.9), (0.72, 0.92), (0.63, 0.88)))

_MEN = """angus arcas helios orion orpheus perseus zeus apollo aries atlas draco hermes hyperion
    jupiter mars neptune odysseus pluto saturn alvaro aquila javier luciano nestor sirio valerio
    fabian julius lars roman sander hector cesare dionisio elio flavio perseo ebisu fujin"""
_MALE_NAMES = frozenset(_MEN.split())
_AURA_1 = "angus arcas asteria athena helios hera luna orion orpheus perseus stella zeus"
_AURA_2 = {
    "en": """amalthea andromeda apollo arcas aries asteria athena atlas aurora callista cora
        cordelia delia draco electra harmonia helena hera hermes hyperion iris janus juno jupiter
        luna mars minerva neptune odysseus ophelia orion orpheus pandora phoebe pluto saturn selene
        thalia theia vesta zeus""",
    "es": """agustina alvaro antonia aquila carina celeste diana estrella gloria javier luciano
        nestor olivia selena silvia sirio valerio""",
    "de": "aurelia elara fabian julius kara lara viktoria",
    "nl": "beatrix cornelia daphne hestia lars leda rhea roman sander",
    "fr": "agathe hector",
    "it": "cesare cinzia demetra dionisio elio flavio livia maia melia perseo",
    "ja": "ama ebisu fujin izanami uzume",
}


def _timbre(name: str) -> Timbre:
    if name == "thalia":  # the product's usual voice is the speaker's own
        return Timbre()
    choices = _MALE if name in _MALE_NAMES else _FEMALE
    return choices[zlib.crc32(name.encode()) % len(choices)]


MODELS: dict[str, Timbre] = {f"aura-{n}-en": _timbre(n) for n in _AURA_1.split()} | {
    f"aura-2-{name}-{language}": _timbre(name)
    for language, names in _AURA_2.items()
    for name in names.split()
}
"""Deepgram's voice names (speak models). Those of other languages are spoken in English here."""


def timbre_of(model: str) -> Timbre:
    """Return the timbre of a Deepgram voice; raise ``UnknownVoice`` for a name it does not have."""
    try:
        return MODELS[model]
    except KeyError:
        raise UnknownVoice(model) from None
