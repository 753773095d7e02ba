"""The questions a call has to ask, which of them were asked, and what was answered."""

import re

from sandbox.model import moves, values
from sandbox.model.conversation import Turn
from sandbox.model.facts import is_question
from sandbox.model.grammar import Kind, Slot, clauses, task_from
from sandbox.model.phrasing import norm
from sandbox.model.prompt import Prompt
from sandbox.model.words import content_stems, sentences, topic_stems

_MOST_TIMES_ASKED = 2


class Agenda:
    """Slots in order, filled by replaying the conversation.

    An outbound call asks what its purpose names. On any other conversation the prompt's own
    questions apply once the caller wants something, and conditional ones once their condition
    was said.
    """

    def __init__(self, prompt: Prompt, turns: list[Turn]) -> None:
        self.filled: dict[str, str] = {}
        self._asked: dict[str, int] = {}
        self.asked_last: Slot | None = None
        caller = [turn.text for turn in turns if turn.speaker == "caller" and turn.text]
        self._slots = self._collect(prompt, caller)
        for index, turn in enumerate(turns):
            if turn.speaker == "agent":
                asked = next((s for s in self._slots if self._asks(turn.text, s)), None)
                # A turn that asks nothing ("One moment.") leaves the question before it standing.
                self.asked_last = asked if asked or "?" in turn.text else self.asked_last
                if asked and self.asked_last:
                    label = self.asked_last.label
                    self._asked[label] = self._asked.get(label, 0) + 1
            elif turn.text:
                self._hear(turn.text, self.asked_last if index else None)

    @staticmethod
    def _collect(prompt: Prompt, caller: list[str]) -> list[Slot]:
        slots = [
            slot
            for index, task in enumerate(prompt.tasks)
            if index or task.verb not in ("confirm", "verify")
            for slot in task.slots
        ]
        if not prompt.tasks and not prompt.purpose and any(not is_question(t) for t in caller):
            wanted = {s for text in caller for s in content_stems(text) | topic_stems(text)}
            for rule in prompt.rules:
                if rule.on_refusal or not rule.stems & wanted:
                    continue
                made = [task_from(clause) for clause in clauses(rule.then)]
                slots += [slot for task in made if task for slot in task.slots]
            real = [
                t for t in caller if not moves.GREETING.match(t) and not moves.GOODBYE.search(t)
            ]
            if any(not is_question(s) for t in real for s in sentences(t)):
                slots += prompt.asks
        unique: dict[str, Slot] = {}
        for slot in slots:
            unique.setdefault(slot.label, slot)
        return list(unique.values())

    @staticmethod
    def _asks(text: str, slot: Slot) -> bool:
        return norm(slot.question) in norm(text)

    def _hear(self, text: str, asked: Slot | None) -> None:
        for slot in self._slots:
            if slot.label in self.filled and slot is not asked:
                continue
            value = _typed(slot.kind, text, slot is asked)
            if value:
                self.filled[slot.label] = value

    def was_asked(self, slot: Slot) -> bool:
        """Whether the agent asked it before."""
        return slot.label in self._asked

    def next(self) -> Slot | None:
        """The first question that has no answer and was not asked too often."""
        for slot in self._slots:
            if slot.label not in self.filled and self._asked.get(slot.label, 0) < _MOST_TIMES_ASKED:
                return slot
        return None

    def open(self) -> bool:
        """Whether a question is left to ask."""
        return self.next() is not None

    def wants(self, text: str) -> bool:
        """Whether an utterance, though put as a question, only asks for what the agenda does."""
        return self.open() and bool(re.search(r"\b(?:i|we)\b", text, re.I))

    def to_read_back(self) -> list[tuple[str, str]]:
        """Label and value of short answers, when there are at least two to confirm."""
        items = [
            (slot.label, self.filled[slot.label])
            for slot in self._slots
            if slot.label in self.filled and slot.kind != "open"
        ]
        return items if len(items) > 1 else []


def _typed(kind: Kind, text: str, was_asked: bool) -> str | None:
    """A slot's value in the caller's own words; loose readings only where it was asked for."""
    plain = values.bare(text)
    if kind == "name":
        given = values.name(text)
        if given or not was_asked:
            return given
        short = len(plain.split()) <= 4 and not is_question(text) and not moves.NO.match(text)
        return plain if short else None
    if kind in ("day", "time", "email", "phone"):
        if kind == "day" or kind == "time":
            value = values.day(text) if kind == "day" else values.clock(text)
        else:
            value = values.email(text) if kind == "email" else values.phone(text)
        if value or not was_asked or is_question(text):
            return value
        return (
            plain
            if kind in ("day", "time") and len(plain.split()) > 1 and not moves.NO.match(text)
            else None
        )
    if not was_asked or is_question(text):
        return None
    return plain or None
