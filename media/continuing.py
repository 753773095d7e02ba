"""A reply whose model failed behind its first words is gone on with by the second one.

The caller has heard those words, so they stand: the second model is shown them as its own and asked
for the very next ones (today's models refuse to continue a message of their own, so it is asked in
words). Whether it obeys is not left to it: what it says again is left out here.

A broken stream lacks its end, so a reply of whole sentences is gone on with as well: more often
than not there was more to come, a tool perhaps. Not behind a question, nor a goodbye: then it is
the caller's turn. A model that refused to go on is not overruled by another.
"""

from collections.abc import Collection, Sequence

from media.clauses import Clause, ClauseSplitter, Tag, ends_sentence
from media.reply import Reply

REFUSED = "refusal"
LEAST_RUN_UP = 3  # so many first words of the unfinished sentence begin it anew
LONGEST_OPENER = 4  # words of a first sentence that only leads to a repetition
_LEADING = " ,;:.…–—-"

_GO_ON = (
    "[You were cut off in mid-reply and the caller did not notice: they have heard exactly your "
    "last message, which ends in “{last}”. Write {what}. Repeat nothing, do not begin anew, do not "
    "mention the break{tools}.]"
)
_NEXT_WORD = "the words that follow it, beginning in the middle of that sentence"
_NEXT_SENTENCE = "the sentence that follows it, or nothing if all was said"
_TOOLS = ", and do not use a tool again whose result you have"


def may_go_on(reply: Reply, error: str) -> bool:
    """Whether a reply that broke off with ``error`` is to be written on."""
    if not reply.said_since:
        return True
    if error == REFUSED:
        return False
    if breaks_off(reply):
        return True
    return not (reply.takes_leave or reply.may_be_silent or reply.written[-1].endswith(("?", "？")))


def breaks_off(reply: Reply) -> bool:
    """Whether the last words so far are half a sentence."""
    last = reply.said_since[-1:]
    return bool(last) and not _is_keys(last[0]) and not ends_sentence(last[0])


def request(reply: Reply) -> str:
    """The engine's word to the model that goes on with ``reply``."""
    last = " ".join(" ".join(reply.said_since).split()[-8:])
    what = _NEXT_WORD if breaks_off(reply) else _NEXT_SENTENCE
    return _GO_ON.format(last=last, what=what, tools=_TOOLS if reply.rounds else "")


class Continuation(ClauseSplitter):
    """The second model's text, cut as any other, without what the first one has said already.

    Left out are: the last words of what was said, at its beginning (all of them, or a part); whole
    sentences that were said; and a sentence that begins as the unfinished one did, up to its end,
    for half a sentence is never said twice; with a "Sure!" before any of these. Any other sentence
    is said as it is. Of the actions
    ``done`` none is asked for again. Clauses wait here only while they are words that were said.
    """

    def __init__(self, said: Sequence[str], done: Collection[str]) -> None:
        """``said``: the clauses so far; ``done``: names of tags that were obeyed."""
        super().__init__()
        self.left_out = 0  # words
        self._done = frozenset(done)
        self._said: list[str] = []
        self._sentences: list[list[str]] = []
        self._unfinished: list[str] = []
        for clause in said:
            if not _is_keys(clause):
                self._said += _words(clause)
                self._unfinished += _words(clause)
            if ends_sentence(clause):
                self._sentences.append(self._unfinished)
                self._unfinished = []
        self._waiting: list[Clause | Tag] = []
        self._joined = False  # what comes now is new

    def feed(self, delta: str) -> list[Clause | Tag]:
        return self._only_new(super().feed(delta), last=False)

    def finish(self) -> list[Clause | Tag]:
        return self._only_new(super().finish(), last=True)

    def _only_new(self, pieces: list[Clause | Tag], *, last: bool) -> list[Clause | Tag]:
        new = [p for p in pieces if not (isinstance(p, Tag) and p.name in self._done)]
        if self._joined:
            return new
        self._waiting += new
        while (new_from_here := self._looked_at(last=last)) is None:
            pass
        self._joined = new_from_here
        if not self._joined and not last:
            return []
        new, self._waiting = self._waiting, []
        if new and isinstance(new[0], Clause):
            new[0] = Clause(new[0].text.lstrip(_LEADING))
        return new

    def _looked_at(self, *, last: bool) -> bool | None:
        """Whether what waits is new; None if some of it was not and is left out now."""
        clauses = [piece.text for piece in self._waiting if isinstance(piece, Clause)]
        words = [word for text in clauses for word in _words(text)]
        if not words or (not last and _goes_on_within(self._said, words)):
            return False
        if overlap := _overlap(self._said, words):
            self._leave_out(overlap)
            return True
        if _goes_on_within(self._said, words):  # it said nothing else
            self._leave_out(len(words))
            return False
        sentence, whole = self._first_sentence(clauses, last=last)
        behind = words[len(sentence) :]
        opens = whole and len(sentence) <= LONGEST_OPENER  # "Sure!"
        if opens and not last and _goes_on_within(self._said, behind):
            return False
        if self._begins_anew(sentence) or (opens and self._was_said(behind)):
            if not whole:
                return False
            self._leave_out(len(sentence))
            return None
        return True

    def _first_sentence(self, clauses: Sequence[str], *, last: bool) -> tuple[list[str], bool]:
        """Its words so far, and whether there are no more."""
        words: list[str] = []
        for text in clauses:
            words += _words(text)
            if ends_sentence(text):
                return words, True
        return words, last

    def _begins_anew(self, sentence: list[str]) -> bool:
        run_up = _alike(sentence, self._unfinished) >= LEAST_RUN_UP
        return run_up or sentence in self._sentences

    def _was_said(self, words: list[str]) -> bool:
        return _overlap(self._said, words) > 0 or self._begins_anew(words)

    def _leave_out(self, words: int) -> None:
        """Drop the first ``words`` words of what waits; of a clause that loses some the rest."""
        self.left_out += words
        kept: list[Clause | Tag] = []
        for piece in self._waiting:
            if isinstance(piece, Tag) or not words:
                kept.append(piece)
                continue
            tokens = piece.text.split()
            while tokens and (words or not _words(tokens[0])):
                words -= len(_words(tokens.pop(0)))
            if tokens:
                kept.append(Clause(" ".join(tokens)))
        self._waiting = kept


def _words(text: str) -> list[str]:
    """As they are compared: without capitals and the punctuation around them."""
    bare = ("".join(c for c in token if c.isalnum()).casefold() for token in text.split())
    return [word for word in bare if word]


def _overlap(said: list[str], words: list[str]) -> int:
    """How many of the first words are the last ones that were said."""
    longest = min(len(said), len(words))
    return next((n for n in range(longest, 0, -1) if said[-n:] == words[:n]), 0)


def _goes_on_within(said: list[str], words: list[str]) -> bool:
    """Whether these words were said, with others behind them."""
    ends = range(len(words), len(said))
    return any(said[end - len(words) : end] == words for end in ends)


def _alike(one: list[str], other: list[str]) -> int:
    """How many first words are the same."""
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def _is_keys(clause: str) -> bool:
    return clause.startswith("[PRESS:")
