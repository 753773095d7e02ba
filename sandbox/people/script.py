"""What a person knows of their own life, and how they answer what they hear.

A script knows nothing of the agent that calls: it looks for the kind of question in what was
recognised, and falls back on the small words people use. Nothing is said more than twice, and
after a dozen answers everybody has had enough.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

MOST_ANSWERS = 12

_GOODBYE = re.compile(
    r"\b(good ?bye?|bye( bye)?|take care|talk to you (soon|later|then)"
    r"|see you (then|soon|on|at|tomorrow)"
    r"|have a (\w+ )?(\w+ )?(day|one|evening|afternoon|morning|weekend|night|rest))\b"
)


@dataclass(frozen=True)
class Life:
    """What somebody can tell about themselves."""

    first: str
    last: str
    day: str = "Tuesday"
    time: str = "two in the afternoon"
    wish: str = "I'd like to make an appointment, please."

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


@dataclass(frozen=True)
class Rule:
    """A kind of question and its answers, used one after the other, each once."""

    pattern: re.Pattern[str]
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Reply:
    """What to say; ``ends`` when it is a farewell."""

    text: str
    ends: bool = False


def _rule(pattern: str, *answers: str) -> Rule:
    return Rule(re.compile(rf"\b(?:{pattern})\b"), answers)


def rules_of(life: Life) -> tuple[Rule, ...]:
    """The questions everybody can answer, the most particular first."""
    first, name = life.first, life.name
    when = f"{life.day} at {life.time}"
    return (
        _rule(
            r"speaking (with|to)"
            r"|is this (?!a |the |your |for |going |about |correct|right|still|ok)\w+",
            f"Yes, this is {first}.",
            f"Yes, {first} speaking.",
        ),
        _rule(r"say yes|confirm shall i", "Yes, please.", "Yes."),
        _rule(r"e ?mails?( address)?", f"It's {first} dot {life.last} at example dot com."),
        _rule(
            r"(phone|telephone|mobile|cell|call ?back|best|contact) number"
            r"|number to (reach|call)",
            "You can reach me on the number you called.",
        ),
        _rule(
            r"(your|full|first|last|family) names?|who am i|who is (this|calling)",
            f"My name is {name}.",
            f"It's {name}.",
        ),
        _rule(
            r"anything else|any (other |more )?questions|something else|is that all",
            "No, that's all, thank you.",
            "No, nothing else. Thanks.",
        ),
        _rule(
            r"(what|which|another|other|best|preferred|good|convenient|specific) (day|date|time)s?"
            r"|(day|date|time)s? (works?|suits?|would|is|are|do you)"
            r"|when (would|can|could|are|is|do|should)|how soon|your availability",
            f"{when} would be best for me.",
            f"{life.day} would be fine, at {life.time}.",
        ),
        _rule(
            r"how (can|may|could) (i|we) (help|assist)|what can (i|we) (do|help)"
            r"|what brings you|(reason|what) (for|is|are) (your|you) call(ing)?"
            r"|help you (with|today)",
            life.wish,
        ),
        _rule(
            r"(sorry|pardon) .*(again|repeat|catch|hear)|(say|repeat) that( again)?"
            r"|(did not|didn't) (catch|hear|get)",
            "",  # the last thing again
        ),
        _rule(r"how are you|how('s| is) (your day|it going)", "I'm fine, thank you."),
        _rule(
            r"are you (still )?there|can you hear me|hello$",
            "Yes, I'm here.",
            "Yes, I can hear you.",
        ),
        _rule(r"hold (on|the line)|one moment|(a|one) (second|sec|minute)|let me check", "Sure."),
        _rule(
            r"(does|would|will|is) (that|it|this) (work|sound|suit|be|ok|okay|fine|right|correct"
            r"|all right|alright|good|a good|still)|good time"
            r"|(can|could|will|are) you (confirm|make|able|coming|attend|still|be|available"
            r"|interested|happy)|would you (like|mind|prefer|be)"
            r"|do you (want|still|have|need|agree)|(shall|should|may|can|could) (i|we)"
            r"|have you|did you|right|correct|okay|ok",
            "Yes, that's fine.",
            "Yes, please.",
            "Yes, that works for me.",
            "Yes.",
        ),
    )


_SMALL_WORDS = ("Okay.", "I see.", "All right.", "That sounds good.")
_FAREWELL = "Okay, thank you. That's all from me. Goodbye."


@dataclass
class Script:
    """One conversation's answers. ``opening`` lines come before anything else, one at a time."""

    life: Life
    opening: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rules = rules_of(self.life)
        self._used: Counter[str] = Counter()
        self._answers = 0
        self._last = ""

    def reply(self, heard: str) -> Reply:
        """Return the answer to what was heard; a farewell is answered with a farewell."""
        text = _plain(heard)
        question = _question(heard)
        self._answers += 1
        if self.opening:
            return self._say(self.opening.pop(0))
        if _GOODBYE.search(text) and not question:
            return Reply("Thank you. Goodbye.", ends=True)
        if self._answers > MOST_ANSWERS:
            return Reply(_FAREWELL, ends=True)
        for rule in self._rules:
            if rule.pattern.search(question or text):
                for answer in rule.answers:
                    answer = answer or self._last
                    if answer and self._used[answer] < (2 if len(rule.answers) == 1 else 1):
                        return self._say(answer)
        if question:
            for answer in ("Yes, that's fine.", "I'm not sure.", "I don't know, sorry."):
                if not self._used[answer]:
                    return self._say(answer)
        for word in _SMALL_WORDS:
            if not self._used[word]:
                return self._say(word)
        return Reply(_FAREWELL, ends=True)

    def _say(self, text: str) -> Reply:
        self._used[text] += 1
        self._last = text
        return Reply(text)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w' ]+", " ", text.lower().replace("’", "'")).split())


def _question(heard: str) -> str:
    """The last sentence of ``heard`` that asks something, in plain words; "" without one."""
    asked = re.findall(r"[^.?!]+\?", heard)
    return _plain(asked[-1]) if asked else ""
