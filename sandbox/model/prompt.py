"""A system prompt, read: what it holds, and what can be asked of it."""

import re
from dataclasses import dataclass, field

from sandbox.model.grammar import Slot, Task
from sandbox.model.words import content_stems, sentences

E164 = re.compile(r"\+\d{7,15}")


@dataclass(frozen=True)
class Note:
    """A line about the person from earlier: its date as ISO where it has one, and its words."""

    text: str
    date: str | None

    @property
    def tells(self) -> bool:
        """Whether it is worth telling: what they wrote or what only the agent did is not."""
        return not self.text.startswith(("“", "The agent "))


@dataclass(frozen=True)
class Rule:
    """ "If …, …": the stems of the condition, whether it is a refusal, and what to do then."""

    condition: str
    then: str

    @property
    def stems(self) -> set[str]:
        """What the condition is about."""
        return content_stems(self.condition) - content_stems(
            "caller customer asks wants says take handle make new"
        )

    @property
    def on_refusal(self) -> bool:
        """Whether the condition is that the person declines; not that they cannot be understood."""
        if re.search(r"\b(?:sense|hear|understand|understood|clear)\b", self.condition, re.I):
            return False
        return bool(
            re.search(
                r"\b(?:no|not|n't|cannot|can't|declines?|refuses?|unable|unavailable|busy)\b|n't\b",
                self.condition,
                re.I,
            )
        )


@dataclass
class Prompt:
    """One system prompt, read."""

    text: str
    who: str = ""
    agent: str = ""
    business: str = ""
    caller: str = ""
    purpose: list[str] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    asks: list[Slot] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)

    @property
    def texting(self) -> bool:
        """Whether the prompt says that this is a conversation by text message."""
        return bool(
            re.search(
                r"channel:\s*(?:sms|text)|\b(?:answering|replying|reply|conversation|chat|"
                r"talking|writing)"
                r"\b[^.\n]{0,40}\b(?:by|via|over|through|on)\s+(?:sms|text)|text[- ]message "
                r"(?:conversation|"
                r"agent|assistant|thread)|\bsms (?:conversation|agent|assistant|reply|thread)",
                self.text,
                re.I,
            )
        )

    @property
    def brief(self) -> bool:
        """Whether replies should be one sentence."""
        return bool(
            re.search(
                r"response[_ ]length:?\s*(?:brief|short)|\bone (?:short )?sentence", self.text, re.I
            )
        )

    @property
    def language(self) -> str:
        """The language the prompt is to be spoken in: ``en``, ``fr``, ``es`` or ``de``."""
        found = re.search(
            r"(?:speak|reply|respond|answer|talk|language(?: is)?:?|conversation is in|"
            r"parle\w*|r[ée]pond\w*|habla\w*|"
            r"respond\w*|sprich|sprechen sie|antworte\w*)\s+(?:only\s+)?(?:in\s+|en\s+|auf\s+)?"
            r"(french|spanish|german|fran[cç]ais|espa[nñ]ol|deutsch|fr\b|es\b|"
            r"de\b)", self.text, re.I)  # fmt: skip
        if found:
            return {"fr": "fr", "sp": "es", "es": "es", "ge": "de", "de": "de"}[
                found[1][:2].lower()
            ]
        return spoken_language(self.text) if len(self.text) > 40 else "en"

    def teaches(self, tag: str) -> bool:
        """Whether the prompt mentions an action tag, for instance ``END_CALL``."""
        return f"[{tag}" in self.text

    def transfer_target(self, wish: str, tried: frozenset[str] = frozenset()) -> str | None:
        """Where to put a caller through who said ``wish``, but for the numbers ``tried``; None
        when the prompt gives nothing."""
        best: tuple[int, str] | None = None
        for sentence in sentences(self.text):
            if not re.search(
                r"transfer|put (?:them|the caller) through|connect|forward", sentence, re.I
            ):
                continue
            for number in E164.findall(sentence):
                if number in tried:
                    continue
                score = len(content_stems(sentence) & content_stems(wish))
                if best is None or score > best[0]:
                    best = (score, number)
        if best:
            return best[1]
        default = not tried and re.search(r"\[TRANSFER:\s*default", self.text)
        return "default" if default else None


_LANGUAGE_WORDS = {
    "fr": [
        "le",
        "la",
        "les",
        "des",
        "une",
        "est",
        "vous",
        "je",
        "nous",
        "pour",
        "avec",
        "pas",
        "que",
        "bonjour",
        "votre",
        "au",
        "du",
        "et",
    ],
    "es": [
        "el",
        "los",
        "las",
        "una",
        "es",
        "usted",
        "yo",
        "para",
        "con",
        "que",
        "por",
        "hola",
        "su",
        "del",
        "y",
        "se",
        "no",
        "gracias",
    ],
    "de": [
        "der",
        "die",
        "das",
        "und",
        "ist",
        "sie",
        "ich",
        "wir",
        "mit",
        "nicht",
        "ein",
        "eine",
        "guten",
        "für",
        "zu",
        "auf",
        "den",
        "ihr",
    ],
    "en": [
        "the",
        "a",
        "is",
        "you",
        "i",
        "we",
        "for",
        "with",
        "not",
        "that",
        "are",
        "and",
        "to",
        "of",
        "your",
        "what",
        "do",
        "can",
        "my",
        "it",
        "on",
    ],
}


def spoken_language(text: str) -> str:
    """The likeliest of en, fr, es, de by the commonest words; ``en`` when in doubt."""
    said = re.findall(r"\w+", text.lower())
    scores = {lang: sum(word in words for word in said) for lang, words in _LANGUAGE_WORDS.items()}
    best = max(scores, key=lambda lang: (scores[lang], lang == "en"))
    return best if scores[best] > scores["en"] + 1 else "en"
