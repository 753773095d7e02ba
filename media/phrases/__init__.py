"""What machines say when they answer a phone, as data, and the search for it in a transcript.

One TOML file per language: ``[<answer>.<strength>]`` tables of phrases by name, and ``[human]``
lists of greetings and of guards (words that show a person is talking *about* messages).

Notation: ``(a|b c|)`` is a choice, an empty one means optional; ``*`` stands for up to four
words; ``#`` for a number, in digits or as a word. Case, accents, punctuation and English
contractions do not matter. ``promises_beep`` names the phrases after which a beep follows.
"""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

LANGUAGES = ("ar", "de", "en", "es", "fr")

_GAP = 4
_MISHEARD_LETTERS = 4  # shorter words are taken as they are
_LEAST_RIGHT = 4  # a phrase with one wrong word has at least so many right ones
_NOT_TO_MISS = frozenset({"not", "no", "#", "nicht", "kein", "pas", "ne", "n", "غير", "لا"})
"""A word that turns the meaning round is never the wrong or missing one."""

_TOKEN = re.compile(r"\w+|[.?!؟]")
_PATTERN = re.compile(r"\((?P<choice>[^()]*)\)|(?P<word>[^\s()]+)")
_NUMBERS = frozenset(
    word
    for line in (
        "zero one two three four five six seven eight nine",
        "deux trois quatre cinq sept huit neuf",
        "cero uno dos tres cuatro cinco seis siete ocho nueve",
        "null eins zwei drei vier funf sechs sieben acht neun",
        "صفر واحد اثنين اثنان ثلاثه اربعه خمسه سته سبعه ثمانيه تسعه",
    )
    for word in line.split()
)
_CONTRACTED = {"ve": "have", "re": "are", "m": "am", "ll": "will", "s": "is"}
_LETTERS = str.maketrans({"ى": "ي", "ة": "ه", "ـ": None, "_": " "})


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of the data: ``id`` is ``<language>.<answer>.<name>``."""

    id: str
    answer: str
    """``voicemail``, ``screening``, ``menu``, or for people ``greeting`` and ``guard``."""
    strength: str = ""
    """``decisive``, ``strong`` or ``weak``; empty for what people say."""
    promises_beep: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """``phrase`` was found in words ``start`` to ``end`` (exclusive) of the text."""

    phrase: Phrase
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Words:
    """A normalised text: its words, and for each word the number of its sentence."""

    words: tuple[str, ...] = ()
    sentence_of: tuple[int, ...] = ()
    questions: frozenset[int] = frozenset()
    """The sentences that end with a question mark."""

    def after(self, other: "Words", count: int) -> "Words":
        """The last ``count`` words of ``other``, then these."""
        if not other.words or not count:
            return self
        shift = other.sentence_of[-1] + 1
        return Words(
            other.words[-count:] + self.words,
            other.sentence_of[-count:] + tuple(n + shift for n in self.sentence_of),
            other.questions | {n + shift for n in self.questions},
        )


def normalise(text: str) -> Words:
    """Return the words of ``text`` without case, accents, punctuation and contractions."""
    text = text.casefold()
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text.translate(_LETTERS))
        text = "".join(c for c in letters if not unicodedata.combining(c)).translate(_LETTERS)
    words: list[str] = []
    sentence_of: list[int] = []
    questions = set()
    sentence = 0
    for word in _TOKEN.findall(text):
        if word in ".?!؟":
            if word in "?؟":
                questions.add(sentence)
            sentence += 1
            continue
        if word == "cannot":
            words.append("can")
            sentence_of.append(sentence)
            word = "not"
        elif word == "t" and words and words[-1].endswith("n"):  # isn't, can't, won't
            words[-1] = {"can": "can", "won": "will"}.get(words[-1], words[-1][:-1])
            word = "not"
        elif word in _NUMBERS or word[0].isdigit():
            word = "#"
        else:
            word = _CONTRACTED.get(word, word)
        words.append(word)
        sentence_of.append(sentence)
    return Words(tuple(words), tuple(sentence_of), frozenset(questions))


_RANK = {"decisive": 0, "strong": 1, "weak": 2, "": 3}

# A node of the search tree: next word → node, "*" → what follows a gap, "" → phrases ending here.
type _Node = dict[str, Any]
_root: _Node = {}
_vocabulary: dict[str, list[str]] = {}
"""Words of the phrases by each spelling they have with one letter left out."""


def _plant(phrase: Phrase, pattern: str) -> None:
    """Add every variant of ``pattern`` to the search tree."""
    if _PATTERN.sub("", pattern).strip():
        raise ValueError(f"{phrase.id}: choices do not nest: {pattern!r}")
    choices = [
        [_literal(text) for text in (found["word"] or found["choice"] or "").split("|")]
        for found in _PATTERN.finditer(pattern)
    ]
    for variant in product(*choices):
        node = _root
        for word in (word for words in variant for word in words):
            node = node.setdefault(word, {})
        if node is _root:
            raise ValueError(f"{phrase.id}: {pattern!r} can be no words at all")
        node.setdefault("", phrase)


def _literal(text: str) -> tuple[str, ...]:
    if text in ("*", "#"):
        return (text,)
    words = normalise(text).words
    for word in words:
        for spelling in _shortened(word):
            known = _vocabulary.setdefault(spelling, [])
            if word not in known:
                known.append(word)
    return words


def _shortened(word: str) -> set[str]:
    return {word, *(word[:n] + word[n + 1 :] for n in range(len(word)))}


@lru_cache(maxsize=20_000)
def _near(word: str) -> tuple[str, ...]:
    """Return the words of the phrases that ``word`` may be, misheard by one letter."""
    if len(word) < _MISHEARD_LETTERS or word in _vocabulary.get(word, ()):
        return ()
    known = {other for spelling in _shortened(word) for other in _vocabulary.get(spelling, ())}
    return tuple(
        sorted(
            other
            for other in known
            if len(other) >= _MISHEARD_LETTERS
            and other[0] == word[0]
            and _one_letter_apart(other, word)
        )
    )


def _next(node: _Node, word: str) -> _Node | None:
    """Return where ``word`` leads from ``node``, if need be as a misheard other word."""
    child: _Node | None = node.get(word)
    if child is None:
        for other in _near(word):
            if other in node:
                return node[other]  # type: ignore[no-any-return]
    return child


def _one_letter_apart(a: str, b: str) -> bool:
    same = next(
        (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    rest_a, rest_b = a[same:], b[same:]
    return rest_a[1:] == rest_b[1:] or rest_a[1:] == rest_b or rest_a == rest_b[1:]


def search(words: tuple[str, ...], *, fuzzy: bool) -> list[Hit]:
    """Return the phrases in ``words`` by place: of overlapping ones the most telling.

    What people say (greetings and guards) is returned whatever it overlaps. A letter misheard
    in a word is forgiven; with ``fuzzy``, in a phrase of five words or more, so is one word that
    is wrong, missing or too many.
    """
    hits: list[Hit] = []
    for at, word in enumerate(words):
        node = _next(_root, word)
        if node and (found := _longest(node, words, at + 1, 1, fuzzy, False)):
            hits.append(Hit(found[1], at, found[0]))
    if len(hits) < 2:
        return hits
    hits.sort(key=lambda hit: (_RANK[hit.phrase.strength], hit.start - hit.end))
    kept: list[Hit] = []
    for hit in hits:
        human = not hit.phrase.strength
        if human or all(
            hit.end <= k.start or k.end <= hit.start or not k.phrase.strength for k in kept
        ):
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.start)


def _longest(
    node: _Node, words: tuple[str, ...], at: int, right: int, may_err: bool, erred: bool
) -> tuple[int, Phrase] | None:
    """Walk on from ``node``, reached by a right word; return where the longest phrase ends."""
    best: tuple[int, Phrase] | None = None
    if "" in node and (not erred or right >= _LEAST_RIGHT):
        best = (at, node[""])
    for found in _ways_on(node, words, at, right, may_err, erred):
        if found and (best is None or found[0] > best[0]):
            best = found
    return best


def _ways_on(
    node: _Node, words: tuple[str, ...], at: int, right: int, may_err: bool, erred: bool
) -> list[tuple[int, Phrase] | None]:
    if at >= len(words):
        return []
    found = []
    if child := _next(node, words[at]):
        found.append(_longest(child, words, at + 1, right + 1, may_err, erred))
    if gap := node.get("*"):
        for skipped in range(min(_GAP + 1, len(words) - at)):
            if child := _next(gap, words[at + skipped]):
                found.append(_longest(child, words, at + skipped + 1, right + 1, may_err, erred))
    if may_err and right >= 2:
        if at + 1 < len(words) and (child := _next(node, words[at + 1])):  # a word too many
            found.append(_longest(child, words, at + 2, right + 1, False, True))
        for word, missed in node.items():
            if word in _NOT_TO_MISS or word in ("", "*"):
                continue
            for place in (at, at + 1):  # a missing word, a wrong word
                if place < len(words) and (child := _next(missed, words[place])):
                    found.append(_longest(child, words, place + 1, right + 1, False, True))
    return found


def _load(language: str) -> list[Phrase]:
    """Plant the phrases of one language and return them."""
    data = tomllib.loads((Path(__file__).parent / f"{language}.toml").read_text("utf-8"))
    promising = set(data.pop("promises_beep"))
    phrases = []
    for group, patterns in data.pop("human").items():
        phrases.append(Phrase(f"{language}.human.{group}", group))
        for pattern in patterns:
            _plant(phrases[-1], pattern)
    for answer, strengths in data.items():
        for strength, named in strengths.items():
            for name, patterns in named.items():
                phrase = Phrase(f"{language}.{answer}.{name}", answer, strength, name in promising)
                phrases.append(phrase)
                for pattern in [patterns] if isinstance(patterns, str) else patterns:
                    _plant(phrase, pattern)
    return phrases


def _shared(node: _Node, known: dict[tuple[Any, ...], _Node]) -> _Node:
    """Return ``node`` with equal branches made one: the choices multiply, the memory must not."""
    for word, child in node.items():
        if word:
            node[word] = _shared(child, known)
    key = tuple(
        (word, child.id if word == "" else id(child)) for word, child in sorted(node.items())
    )
    return known.setdefault(key, node)


PHRASES: tuple[Phrase, ...] = tuple(phrase for name in LANGUAGES for phrase in _load(name))
"""Every phrase of every language."""

_root = _shared(_root, {})
