"""The voices a customer may name, and the speech service's model behind each."""

import re
from dataclasses import dataclass
from typing import Literal

_MODEL = re.compile(r"aura-2-[a-z0-9]+-(?P<language>[a-z]{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Voice:
    """``model`` is Deepgram's name; ``language`` is what the voice was made for."""

    language: str
    gender: Literal["female", "male", ""]
    model: str


VOICES: dict[str, Voice] = {
    "Ashley": Voice("en", "female", "aura-2-thalia-en"),
    "Olivia": Voice("en", "female", "aura-2-pandora-en"),  # British
    "Edward": Voice("en", "male", "aura-2-apollo-en"),
    "Craig": Voice("en", "male", "aura-2-arcas-en"),
    "Eleanor": Voice("en", "female", "aura-2-athena-en"),
    "Dennis": Voice("en", "male", "aura-2-orion-en"),
    "Annika": Voice("de", "female", "aura-2-viktoria-de"),
    "Kilian": Voice("de", "male", "aura-2-julius-de"),
    "Sofia": Voice("es", "female", "aura-2-celeste-es"),
    "Diego": Voice("es", "male", "aura-2-nestor-es"),
    # Deepgram has no Arabic speaker: these two keep their gender and speak with an English accent.
    "Nour": Voice("ar", "female", "aura-2-andromeda-en"),
    "Omar": Voice("ar", "male", "aura-2-hermes-en"),
}
DEFAULT = "Ashley"


def find_voice(voice_id: str) -> Voice | None:
    """Return the voice of a name in the table or of an ``aura-2-…`` model, else None."""
    if voice := VOICES.get(voice_id):
        return voice
    if match := _MODEL.fullmatch(voice_id):
        return Voice(match["language"], "", voice_id)
    return None
