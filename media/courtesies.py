"""What turn-taking must know of languages; the data are in ``courtesies.toml``.

Backchannels are sounds of listening: they do not interrupt. Interruptions are single words that do.
Farewells do not interrupt a goodbye. The sentences are those that are said with no model at hand.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Phrases:
    backchannels: frozenset[str]
    interruptions: frozenset[str]
    farewells: frozenset[str]
    still_there: str
    silent_goodbye: str
    time_goodbye: str
    lost_you: str
    trouble: str
    putting_through: str = "One moment, I'll put you through."


def _load() -> dict[str, Phrases]:
    fields: dict[str, Any]
    phrases = {}
    for language, entries in tomllib.loads(
        Path(__file__).with_suffix(".toml").read_text("utf-8")
    ).items():
        fields = {
            name: frozenset(entry) if isinstance(entry, list) else entry
            for name, entry in entries.items()
        }
        phrases[language] = Phrases(**fields)
    return phrases


_BY_LANGUAGE = _load()

_NOT_WORD = re.compile(r"[^\w'’-]+")


def phrases_for(language: str) -> Phrases:
    """The phrases of a language code; English for ``multi`` and for languages without data."""
    return _BY_LANGUAGE.get(language.split("-")[0].lower(), _BY_LANGUAGE["en"])


def words_of(text: str) -> list[str]:
    return [
        word for word in _NOT_WORD.sub(" ", text.lower().replace("’", "'")).split() if word != "-"
    ]


def made_of(text: str, entries: frozenset[str]) -> bool:
    """Whether ``text`` is nothing but a run of the given words and phrases ("yeah, I see,
    okay").
    """
    words = words_of(text)
    if not words:
        return False
    longest = 5
    position = 0
    while position < len(words):
        for size in range(min(longest, len(words) - position), 0, -1):
            if " ".join(words[position : position + size]) in entries:
                position += size
                break
        else:
            return False
    return True


def begins_with(text: str, entries: frozenset[str]) -> bool:
    words = words_of(text)
    return any(" ".join(words[:size]) in entries for size in (1, 2))
