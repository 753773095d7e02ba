"""A transcript as it is handed to a model: labelled lines, JSON, or the messages themselves."""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.model import moves
from sandbox.model.conversation import Turn
from sandbox.model.facts import overlap

_CALLER = "caller|customer|user|human|client|patient|person|contact|recipient|guest|lead"
_AGENT = "agent|assistant|ai|bot|model|representative"
_LINE = re.compile(
    rf"^\W*(?:\d[\d:.\s-]*\W+)?({_CALLER}|"
    rf"{_AGENT})(?:\s*\([^)]*\))?\**\s*(?:\[[^\]]*\])?\s*[:>-]\s*(.+)$",
    re.I,
)
_GOOD = frozenset({
    "great", "thanks", "thank", "perfect", "wonderful", "excellent", "happy", "love", "lovely",
    "good", "glad", "brilliant", "fantastic", "appreciate", "awesome", "pleased", "helpful",
    "amazing", "nice", "satisfied",
})  # fmt: skip
_BAD = frozenset({
    "terrible", "awful", "angry", "upset", "frustrated", "frustrating", "annoyed", "annoying",
    "ridiculous", "unacceptable", "bad", "worst", "disappointed", "disappointing", "useless",
    "hate", "horrible", "complaint", "complain", "unhappy", "waste", "rude", "problem",
    "broken", "sick",
})  # fmt: skip


@dataclass(frozen=True)
class Line:
    """What one side said in one go."""

    speaker: Literal["caller", "agent"]
    text: str


@dataclass(frozen=True)
class Transcript:
    """The lines in order."""

    lines: list[Line]

    @property
    def caller(self) -> str:
        """Everything the caller said."""
        return " ".join(line.text for line in self.lines if line.speaker == "caller")

    def answers(self) -> list[tuple[str, str]]:
        """Pairs of an agent's line and the caller's answer to it."""
        return [
            (one.text, two.text)
            for one, two in zip(self.lines, self.lines[1:], strict=False)
            if one.speaker == "agent" and two.speaker == "caller"
        ]

    def mood(self) -> int:
        """Positive minus negative words of the caller; a refusal of calls counts against."""
        words = re.findall(r"\w+", self.caller.lower())
        negated = len(
            re.findall(r"\bnot (?:happy|good|great|satisfied|helpful)", self.caller, re.I)
        )
        score = sum(word in _GOOD for word in words) - 2 * sum(word in _BAD for word in words)
        return score - 3 * negated - 3 * bool(moves.OPT_OUT.search(self.caller))

    def best(self, about: str) -> str | None:
        """The caller's words that answer best what is described; None when nothing does."""
        scored: list[tuple[int, int, str]] = []
        for index, (asked, answer) in enumerate(self.answers()):
            if score := 2 * overlap(asked, about) + overlap(answer, about):
                scored.append((score, -index, answer))
        for index, line in enumerate(self.lines):
            if line.speaker == "caller" and (score := 2 * overlap(line.text, about)):
                scored.append((score, -index, line.text))
        return max(scored)[2] if scored else None


def read_transcript(turns: list[Turn]) -> Transcript:
    """The transcript inside the last message, or the conversation itself where there is none."""
    for turn in reversed(turns):
        if turn.speaker == "caller" and (lines := _labelled(turn.text_lines) or _json(turn.raw)):
            return Transcript(lines)
    return Transcript([Line(turn.speaker, turn.text) for turn in turns if turn.text])


def _labelled(text: list[str]) -> list[Line]:
    lines: list[Line] = []
    for raw in text:
        if found := _LINE.match(raw.strip()):
            is_caller = bool(re.fullmatch(_CALLER, found[1], re.I))
            lines.append(Line("caller" if is_caller else "agent", found[2].strip()))
    return lines


def _json(text: str) -> list[Line]:
    start, end = text.find("["), text.rfind("]")
    try:
        items: Any = json.loads(text[start : end + 1])
    except ValueError:
        return []
    lines: list[Line] = []
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        who = str(item.get("role") or item.get("speaker") or "")
        said = str(item.get("text") or item.get("content") or "")
        if said:
            is_caller = bool(re.fullmatch(_CALLER, who, re.I))
            lines.append(Line("caller" if is_caller else "agent", said))
    return lines
