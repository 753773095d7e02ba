"""Does somebody say that they do not want to be called or texted again? In plain words, spoken or
written; the words are data (``refusals.toml``).

Never left to a model: what is found here is entered in the ledger whatever the model makes of it.

Notation of the data: ``(a|b c|)`` is a choice, an empty one means optional; ``*`` stands for up to
four words; ``#`` for a number, in digits or as a word; ``<end>`` for the end of the sentence, or
one of the language's ``connectors`` ahead. Case, accents, punctuation and English contractions do
not matter. In a sentence that a ``not_if`` fits nothing is found; one that an ``ask_if`` fits may
be about a time of day, so what was certain becomes likely and what was likely is not found.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from accounts.models import Suppression

_GAP = r"(?:\w+ ){0,4}?"
_CONTRACTIONS = (
    (re.compile(r"\b(?:can'?t|cannot)\b"), "can not"),
    (re.compile(r"\bwon'?t\b"), "will not"),
    (
        re.compile(r"\b(do|did|does|is|are|was|were|have|has|had|would|could|should)n'?t\b"),
        r"\1 not",
    ),
    (re.compile(r"(?<=[a-z])'ll\b"), " will"),
    (re.compile(r"(?<=[a-z])'m\b"), " am"),
    (re.compile(r"(?<=[a-z])'re\b"), " are"),
    (re.compile(r"(?<=[a-z])'ve\b"), " have"),
    (re.compile(r"(?<=[a-z])'d\b"), " would"),
    (re.compile(r"\bma'am\b"), "maam"),
    (re.compile(r"\b(?:pls|plz)\b"), "please"),
    (re.compile(r"\btxt(s|ing|ed)?\b"), r"text\1"),
    (re.compile(r"\bmsg(s?)\b"), r"message\1"),
    (re.compile(r"\bur\b"), "your"),
)
_SENTENCE_ENDS = re.compile(r"[.!?;\n…¿¡]+")
_WORDS = re.compile(r"\w+")
_TOKENS = re.compile(r"\((?P<choice>[^()]*)\)|(?P<word>[^\s()]+)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Somebody refuses to be contacted."""

    phrase: str
    """``<language>.<certain|likely>.<name>``: what of the data was found, for the evidence."""
    words: str
    """The words that said it, in lower case and without punctuation."""
    scope: str
    """``all``; ``voice`` or ``text`` where the person welcomes the other one."""
    needs_confirmation: bool
    """Likely, not certain: ask before it is entered."""

    @property
    def language(self) -> str:
        return self.phrase.partition(".")[0]

    @property
    def confidence(self) -> str:
        """``certain`` or ``likely``."""
        return self.phrase.split(".")[1] if not self.needs_confirmation else "likely"


# Its name in the data, the words with which it may begin, and itself.
type _Phrase = tuple[str, frozenset[str], re.Pattern[str]]


@dataclass(frozen=True, slots=True)
class _Language:
    code: str
    certain: tuple[_Phrase, ...]
    likely: tuple[_Phrase, ...]
    not_if: re.Pattern[str]
    ask_if: re.Pattern[str]
    voice_only: re.Pattern[str]
    text_only: re.Pattern[str]
    done: str
    ask: str


def find_refusal(text: str) -> Refusal | None:
    """Return the refusal in what a person said in one turn (or text), or None.

    All languages are looked for, whatever the conversation's is. The first certain one wins over
    any likely one. Takes well under a millisecond for a turn.
    """
    likely: Refusal | None = None
    sentences = _sentences(text)
    for sentence in sentences:
        for language in _languages():
            found = _in_sentence(language, sentence)
            if found is None:
                continue
            phrase, words, certain = found
            refusal = Refusal(phrase, words, _scope(language, sentences), not certain)
            if certain:
                return refusal
            likely = likely or refusal
    return likely


def acknowledgement(language: str) -> str:
    """Return what to say once a refusal is entered; English for languages without data."""
    return _words_of(language).done


def question(language: str) -> str:
    """Return what to ask where a refusal ``needs_confirmation``."""
    return _words_of(language).ask


def _in_sentence(language: _Language, sentence: str) -> tuple[str, str, bool] | None:
    words = frozenset(sentence.split())
    for phrases, certain in ((language.certain, True), (language.likely, False)):
        for phrase, first_words, pattern in phrases:
            if first_words.isdisjoint(words) or (match := pattern.search(sentence)) is None:
                continue
            if language.not_if.search(sentence):
                return None
            if language.ask_if.search(sentence):
                return (phrase, match[0].strip(), False) if certain else None
            return phrase, match[0].strip(), certain
    return None


def _scope(language: _Language, sentences: list[str]) -> str:
    if any(language.voice_only.search(sentence) for sentence in sentences):
        return Suppression.Scope.VOICE
    if any(language.text_only.search(sentence) for sentence in sentences):
        return Suppression.Scope.TEXT
    return Suppression.Scope.ALL


def _sentences(text: str) -> list[str]:
    """Return the sentences as words with a blank after each, normalised."""
    return [
        "".join(f"{word} " for word in _WORDS.findall(sentence))
        for sentence in _SENTENCE_ENDS.split(_normalised(text))
        if sentence.strip()
    ]


def _normalised(text: str) -> str:
    text = text.casefold().replace("’", "'")
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    for contraction, full in _CONTRACTIONS:
        text = contraction.sub(full, text)
    return text


# --- the data -----------------------------------------------------------------------------------


@cache
def _languages() -> tuple[_Language, ...]:
    data = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return tuple(_language(code, entry) for code, entry in data.items())


def _words_of(language: str) -> _Language:
    code = language.split("-")[0].lower()
    known = {one.code: one for one in _languages()}
    return known.get(code, known["en"])


def _language(code: str, data: dict[str, Any]) -> _Language:
    connectors = "|".join(_plain(word.replace("_", " ")) for word in data["connectors"].split())
    symbols = {
        "*": _GAP,
        "#": rf"(?:\d\w* |(?:{'|'.join(data['numbers'].split())}) )",
        "<end>": rf"(?=$|(?:{connectors}))",
    }

    def compiled(patterns: Iterable[str]) -> re.Pattern[str]:
        return re.compile("|".join(rf"(?<!\w){_regex(one, symbols)}" for one in patterns))

    def phrases(strength: str) -> tuple[_Phrase, ...]:
        named = (
            (name, [one] if isinstance(one, str) else one) for name, one in data[strength].items()
        )
        return tuple(
            (f"{code}.{strength}.{name}", _first_words(patterns), compiled(patterns))
            for name, patterns in named
        )

    return _Language(
        code,
        phrases("certain"),
        phrases("likely"),
        compiled(data["not_if"]),
        compiled(data["ask_if"]),
        compiled(data["voice_only"]),
        compiled(data["text_only"]),
        data["words"]["done"],
        data["words"]["ask"],
    )


def _first_words(patterns: Iterable[str]) -> frozenset[str]:
    """Return the words of which a sentence must have one for any of ``patterns`` to fit: looking
    them up is far quicker than the expressions are. Raises ValueError if one begins with no word.
    """
    return frozenset(word for pattern in patterns for word in _firsts_of(pattern))


def _firsts_of(pattern: str) -> Iterator[str]:
    for found in _TOKENS.finditer(pattern):
        options = [found["word"]] if found["word"] else found["choice"].split("|")
        if any(option.split()[:1] in (["*"], ["#"], ["<end>"]) for option in options):
            break
        yield from (word for option in options for word in _plain(option).split()[:1])
        if all(option.strip() for option in options):
            return
    raise ValueError(f"begins with no word: {pattern}")


def _regex(pattern: str, symbols: dict[str, str]) -> str:
    """Return ``pattern`` as a regular expression over words that each have a blank behind."""
    return "".join(
        symbols.get(found["word"]) or _plain(found["word"])
        if found["word"]
        else f"(?:{'|'.join(_option(one, symbols) for one in found['choice'].split('|'))})"
        for found in _TOKENS.finditer(pattern)
    )


def _option(option: str, symbols: dict[str, str]) -> str:
    return "".join(symbols.get(word) or _plain(word) for word in option.split())


def _plain(words: str) -> str:
    return "".join(f"{re.escape(word)} " for word in _WORDS.findall(_normalised(words)))
