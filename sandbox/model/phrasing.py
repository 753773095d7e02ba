"""Choosing among the variants of a courtesy, so that nothing is said twice in a row."""

import re

from sandbox.model.phrases import variants
from sandbox.model.words import capitalised, sentences


def norm(text: str) -> str:
    """A text without case, punctuation and spacing, for comparing what was said."""
    return " ".join(re.findall(r"\w+", text.lower()))


class Phrasing:
    """``say("thanks")`` gives the first variant that the agent did not just use."""

    def __init__(self, language: str, agent_said: list[str]) -> None:
        self._language = language
        self._said = agent_said

    def __call__(self, key: str, **fills: str) -> str:
        """A courtesy with its blanks filled; used variants come back only when all were used."""
        options = [option.format(**fills) for option in variants(key, self._language)]
        used = [norm(text) for text in self._said]
        return min(options, key=lambda option: sum(norm(option) in text for text in used))

    def plain(self, key: str, **fills: str) -> str:
        """A courtesy's first variant: for questions that are recognised again in the history."""
        return variants(key, self._language)[0].format(**fills)

    def was_just_said(self, key: str) -> bool:
        """Whether the agent's last turn contains this courtesy."""
        return bool(self._said) and self.is_one_of(key, self._said[-1])

    def was_ever_said(self, key: str) -> bool:
        """Whether any agent turn contains this courtesy."""
        return any(self.is_one_of(key, text) for text in self._said)

    def is_one_of(self, key: str, text: str) -> bool:
        """Whether a text contains a variant of this courtesy, whatever its blanks hold."""
        for option in variants(key, self._language):
            fixed = [norm(part) for part in re.split(r"\{\w+\}", option)]
            if all(part in norm(text) for part in fixed if part):
                return True
        return False

    def fresh(self, text: str) -> str:
        """The text without sentences of the agent's last turn, or marked as said before."""
        if not self._said or not text:
            return text
        before = {norm(sentence) for sentence in sentences(self._said[-1])}
        kept = [sentence for sentence in sentences(text) if norm(sentence) not in before]
        if kept:
            return " ".join(kept)
        for key in ("as_i_said", "again"):
            for option in variants(key, self._language):
                marked = option.format(text=text)
                if norm(marked) != norm(self._said[-1]):
                    return marked
        return capitalised(text)
