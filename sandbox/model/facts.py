"""Which sentences of the prompt answer a question."""

import re
from collections.abc import Sequence

from sandbox.model.words import TOPICS, content_stems, stem, tokens, topic_stems

_GENERIC = {
    stem(w)
    for w in [
        "take",
        "make",
        "offer",
        "work",
        "go",
        "come",
        "time",
        "day",
        "today",
        "use",
        "find",
        "give",
        "do",
        "have",
    ]
}
_WEEKDAYS = {
    stem(w)
    for w in [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "weekend",
        "weekdays",
    ]
}
_ALL_TOPICS = {stem(word) for group in TOPICS for word in group}
_PRICE = re.compile(r"\bhow much\b|\b(?:costs?|prices?|fees?|charges?|expensive)\b", re.I)
_LASTING = re.compile(r"\bhow long\b", re.I)
_WHEN = re.compile(r"\bwhen\b|\bwhat (?:time|day|hours)\b|\bopen|\bclose", re.I)
_QUESTION = re.compile(
    r"^(?:(?:and|but|so|oh|ok|okay|well|um|uh|yes|no|sorry|hi|hello|great|thanks)[,.]?\s+)*(?:what|when|where|"
    r"which|who|whose|why|how|is|are|do|does|did|can|could|will|would|should|have|has|may|"
    r"tell me|i'd like to know|i want to know|i was wondering|i wanted to ask|"
    r"quel|quelle|quand|où|comment|combien|est-ce|qué|cuándo|dónde|cómo|cuánto|was|wann|wo|wie)\b",
    re.I,
)


def is_question(sentence: str) -> bool:
    """Whether somebody asks; a recogniser does not always write the question mark."""
    polite = re.match(
        r"(?:would|could|can|will) (?:that|it) be\b|(?:how|what) about\b", sentence, re.I
    )
    return sentence.rstrip().endswith("?") or (bool(_QUESTION.match(sentence)) and not polite)


def best_facts(question: str, facts: Sequence[str], context: str = "", limit: int = 1) -> list[str]:
    """The facts that answer a question, best first; empty when none does.

    A price is only ever given for the thing that was asked for. ``context`` is what was said
    before: it decides between facts, but is never enough alone.
    """
    own = content_stems(question)
    related = topic_stems(question)
    priced, lasting = bool(_PRICE.search(question)), bool(_LASTING.search(question))
    if priced:
        related |= topic_stems("price")
    if lasting:
        related |= topic_stems("duration")
    specific = own - _ALL_TOPICS - _WEEKDAYS - _GENERIC
    stems_of = [content_stems(fact) | ({"$"} & set(tokens(fact))) for fact in facts]
    before = content_stems(context)
    scored: list[tuple[float, int]] = []
    for index, stems in enumerate(stems_of):
        score = 0.0
        for one in stems & (own | related):
            common = sum(one in other for other in stems_of)
            weight = (1.0 if one in own else 0.7) / (1 + 0.2 * (common - 1))
            score += weight * (0.3 if one in _GENERIC else 1.0)
        if (priced or lasting) and specific and not specific & stems:
            continue
        if priced and re.search(
            r"[$£€]\s?\d|\d\s*(?:dollars|euros?|pounds|pence|usd|gbp|eur)|\bfree\b",
            facts[index],
            re.I,
        ):
            score += 0.8
        elif priced and not re.search(r"\d", facts[index]):
            score *= 0.5
        if _WHEN.search(question) and re.search(r"\d|day\b", facts[index]):
            score += 0.4 if score else 0.0
        if own & _WEEKDAYS and (own & _WEEKDAYS) & stems:
            score += 0.5
        if score >= 0.6:
            scored.append((score + 0.2 * len(stems & before), -index))
    scored.sort(reverse=True)
    return [facts[-index] for _, index in scored[:limit]]


def overlap(one: str, other: str) -> int:
    """How many content words two texts share."""
    return len(content_stems(one) & content_stems(other))
