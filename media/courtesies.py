"""What turn-taking must know of languages; the data are in ``courtesies.toml``.

Backchannels are sounds of listening: they do not interrupt. Interruptions are single words that do.
Farewells do not interrupt a goodbye. Holds are words that ask to stay on the line. The sentences
are those that are said with no model at hand.
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
    holds: frozenset[str]
    still_there: str
    silent_goodbye: str
    time_goodbye: str
    lost_you: str  # said when another process has taken the call over …
    where_were_we: str  # … and this too, where the caller has said nothing yet
    trouble: str
    nobody_there: str
    not_heard: str
    deaf_goodbye: str
    mute_goodbye: str  # said by the carrier's own voice
    putting_through: str = "One moment, I'll put you through."


def _load() -> dict[str, Phrases]:
    fields: dict[str, Any]
    phrases = {}
    for language, entries in tomllib.loads(
        Path(__file__).with_suffix(".toml").read_text("utf-8")
    ).items():
        fields = {
            name: frozenset(" ".join(words_of(one)) for one in entry)
            if isinstance(entry, list)
            else entry
            for name, entry in entries.items()
        }
        phrases[language] = Phrases(**fields)
    return phrases


# The marks of Hebrew, Arabic and Hindi belong to their words; a dot above is Turkish "İ" in lower
# case.
_MARKS = (
    "\u0300-\u0306\u0308-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f"
    "\u0900-\u0903\u093a-\u094f\u0962\u0963"
)
_NOT_WORD = re.compile(rf"[^\w'’{_MARKS}-]+")
# Chinese and Japanese are written without spaces: each character counts as a word here.
_UNSPACED = re.compile("([\u3040-\u30ff\u3400-\u9fff])")
LONGEST_ENTRY = 9  # words


def words_of(text: str) -> list[str]:
    """The words of ``text`` in lower case; the characters, in a script without spaces."""
    text = text.lower().replace("\u0307", "").replace("’", "'")
    spaced = _UNSPACED.sub(r" \1 ", _NOT_WORD.sub(" ", text))
    return [word for word in spaced.split() if word != "-"]


def length_of(text: str) -> float:
    """How many words ``text`` has; two characters of a script without spaces make one."""
    return sum(0.5 if _UNSPACED.match(word) else 1 for word in words_of(text))


def made_of(text: str, entries: frozenset[str]) -> bool:
    """Whether ``text`` is nothing but a run of the given words and phrases ("yeah, I see,
    okay").
    """
    words = words_of(text)
    if not words:
        return False
    position = 0
    while position < len(words):
        for size in range(min(LONGEST_ENTRY, len(words) - position), 0, -1):
            if " ".join(words[position : position + size]) in entries:
                position += size
                break
        else:
            return False
    return True


def begins_with(text: str, entries: frozenset[str]) -> bool:
    words = words_of(text)
    return any(" ".join(words[:size]) in entries for size in range(1, LONGEST_ENTRY))


def contains(text: str, entries: frozenset[str]) -> bool:
    """Whether one of the given phrases occurs in ``text``, in whole words."""
    said = f" {' '.join(words_of(text))} "
    return any(f" {entry} " in said for entry in entries)


_BY_LANGUAGE = _load()


def phrases_for(language: str) -> Phrases:
    """The phrases of a language code; English for ``multi`` and for languages without data."""
    return _BY_LANGUAGE.get(language.split("-")[0].lower(), _BY_LANGUAGE["en"])
