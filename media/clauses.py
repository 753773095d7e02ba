"""A model's text as it streams in, cut into clauses that a voice can say, and into action tags that
it must not.

No look-ahead at ``?`` and ``!``, nor at a full stop that can only end a sentence: with a token
every few hundredths of a second, waiting for the next one would be heard.
"""

import re
import unicodedata
from dataclasses import dataclass

FIRST_CLAUSE = 24  # characters after which the first clause may end at a comma
LATER_CLAUSE = 60  # the same for the others: fewer, longer pieces sound better
LONGEST = 240  # a run without any punctuation is cut at a space
LONGEST_TAG = 1_800  # a text message of the largest size, and the tag's name

SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！", '."', '?"', '!"')

KNOWN_TAGS = frozenset(
    {"END_CALL", "TRANSFER", "SEND_SMS", "WAIT", "IVR", "PRESS", "IVR_END", "VOICEMAIL"}
)
_ABBREVIATIONS = frozenset(
    """dr mr mrs ms prof st sr jr vs etc inc ltd co corp dept approx ave rd blvd mt ft gen rep
    sen rev hon a.m p.m e.g i.e jan feb mar apr jun jul aug sep sept oct nov dec ext tel
    www""".split()  # noqa: SIM905 (read as a list of words, which it is)
)
_TAG = re.compile(r"\[\s*([A-Za-z_]+)\s*(?::\s*([^\]]*?))?\s*\]?$", re.DOTALL)
_LAST_WORD = re.compile(r"([^\s(\"“]+)$")
_MARKDOWN = re.compile(r"[*`#~|]+|(?<!\w)_+|_+(?!\w)")
_BULLET = re.compile(r"^\s*[-•–]\s+")


@dataclass(frozen=True, slots=True)
class Clause:
    text: str


@dataclass(frozen=True, slots=True)
class Tag:
    """An action the model asks for, as ``[NAME]`` or ``[NAME: argument]``."""

    name: str
    argument: str = ""


class ClauseSplitter:
    """One reply's text. ``feed`` what arrives, ``finish`` at the end; both return pieces in
    their order.
    """

    def __init__(self, *, tags: bool = True) -> None:
        """Without ``tags`` brackets are words like others: for texts that no model wrote."""
        self._tags = tags
        self._text = ""
        self._tag: str | None = None  # an open bracket and what followed it
        self._any = False

    def feed(self, delta: str) -> list[Clause | Tag]:
        pieces: list[Clause | Tag] = []
        for char in delta:
            if self._tag is not None:
                self._tag += char
                if char == "]" or len(self._tag) > LONGEST_TAG:
                    self._close_tag(pieces)
            elif char == "[" and self._tags:
                self._tag = char
            else:
                self._cut_before(char, pieces)
                self._text += char
        self._cut_at_end(pieces)
        return pieces

    def finish(self) -> list[Clause | Tag]:
        pieces: list[Clause | Tag] = []
        if self._tag is not None:
            self._close_tag(pieces)
        self._emit(pieces)
        return pieces

    def _close_tag(self, pieces: list[Clause | Tag]) -> None:
        """Whatever stands in brackets is never spoken; a known name is an action."""
        match = _TAG.match(self._tag or "")
        self._tag = None
        if match and match[1].upper() in KNOWN_TAGS:
            self._emit(pieces)
            pieces.append(Tag(match[1].upper(), (match[2] or "").strip()))

    def _cut_before(self, char: str, pieces: list[Clause | Tag]) -> None:
        """Cut where the next character shows that a clause is over."""
        if char.isspace() and self._text:
            long = len(self._text) >= LONGEST
            if char == "\n" or long or self._ends_here(self._text, sure=False):
                self._emit(pieces)

    def _cut_at_end(self, pieces: list[Clause | Tag]) -> None:
        if self._tag is None and self._text and self._ends_here(self._text, sure=True):
            self._emit(pieces)

    def _ends_here(self, text: str, *, sure: bool) -> bool:
        """Whether ``text`` ends a clause; with ``sure``, whatever character comes next."""
        end = text.rstrip("\"'”’)")
        if not end:
            return False
        last = end[-1]
        if last in "?!…。？！":
            return True
        if last == ".":
            word = match[1].rstrip(".").lower() if (match := _LAST_WORD.search(end)) else ""
            if word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()):
                return False
            # "3." may become "3.50", and "example." "example.com"
            return not sure or (word.isalpha() and len(word) > 1 and text.strip().count(" ") >= 1)
        if last in ",;:—":
            least = LATER_CLAUSE if self._any else FIRST_CLAUSE
            return not sure and len(text) >= least
        return False

    def _emit(self, pieces: list[Clause | Tag]) -> None:
        text, self._text = speakable(self._text), ""
        if text:
            self._any = True
            pieces.append(Clause(text))


def ends_sentence(clause: str) -> bool:
    """Whether a clause is the last of its sentence."""
    return clause.endswith(SENTENCE_ENDS)


def speakable(text: str) -> str:
    """``text`` without markdown, bullets and pictures; empty if nothing is left to say."""
    text = _MARKDOWN.sub("", _BULLET.sub("", text))
    text = "".join(char for char in text if unicodedata.category(char) not in {"So", "Cs", "Cn"})
    text = " ".join(text.split())
    return text if any(char.isalnum() for char in text) else ""
