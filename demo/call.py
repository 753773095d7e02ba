"""Simulated calls, placed through the public API and told as they happen.

What each side *heard* is recognised from audio: the person's ear listens to the agent's voice off
the line, and the agent's transcript is what the speech service made of the person's voice.
"""

import time
from collections.abc import Callable

from calls.models import Call, Turn
from demo.console import Console
from demo.sandbox import Event, SandboxView
from sandbox.speech.wer import wer
from sandbox.speech.wer import words as words_of

LONGEST_CALL_S = 240.0
LOOKS_EVERY_S = 0.1


class Follower:
    """Tells one call until it is over.

    ``on_talk`` is called once, before its first turn. ``interrupts`` is what the person breaks in
    with: it is told after what it broke into, which is on record only when it is over.
    """

    def __init__(
        self,
        console: Console,
        call_id: str,
        *,
        agent: str,
        person: str,
        on_talk: Callable[[Call], None] | None = None,
        interrupts: str = "",
    ) -> None:
        self.console = console
        self.call = Call.objects.get(call_id=call_id)
        self.agent = agent
        self.person = person
        self._on_talk = on_talk
        self._interrupts = interrupts
        self._told_turns = 0
        self._told_status = ""
        self._said: list[str] = []  # by the person, in this call
        self._understood: list[str] = []

    def tell(self, events: list[Event]) -> bool:
        """Print what is new; return whether the call is over."""
        self.call.refresh_from_db()
        self.tell_status()
        for event in events:
            if event.get("number") == self.call.to_number:
                self.tell_event(event)
        for turn in self.call.turns.filter(sequence__gte=self._told_turns):
            self._told_turns = turn.sequence + 1
            if self._on_talk is not None:
                self._on_talk(self.call)
                self._on_talk = None
            self.tell_turn(turn)
        return self.call.is_over

    def tell_status(self) -> None:
        shown = {"ringing": f"{self.person}'s telephone rings", "in-progress": "answered"}
        status = str(self.call.status)
        if status != self._told_status and status in shown:
            self.console.moment(shown[status])
        self._told_status = status

    def tell_event(self, event: Event) -> None:
        if event["kind"] == "person_said":
            self._said.append(event["text"])
            if event["text"] != self._interrupts:
                self.console.says(self.person, event["text"])

    def tell_turn(self, turn: Turn) -> None:
        if turn.role == Turn.Role.AGENT:
            note = f"answered in {turn.latency_ms} ms" if turn.latency_ms is not None else ""
            self.says_the_agent(turn, note)
            if turn.interrupted and self._interrupts in self._said:
                self.console.says(self.person, f"(talks over her) {self._interrupts}")
            return
        self._understood.append(turn.text)
        if not set(words_of(turn.text)) <= set(words_of(" ".join(self._said))):
            self.console.heard(self.agent, turn.text)

    def says_the_agent(self, turn: Turn, note: str = "") -> None:
        """Tell what was heard of the agent; it is on record only when she is through."""
        heard = turn.text + (" …" if turn.interrupted else "")
        self.console.says(self.agent, heard, note, lasted_ms=turn.ended_ms - turn.started_ms)

    def summary(self) -> str:
        """One line on how the call went."""
        answers = [turn.latency_ms for turn in self.call.turns.all() if turn.latency_ms is not None]
        parts = [f"{self.call.duration_ms / 1000:.0f} s"]
        if answers:
            parts.append(f"{len(answers)} answers, {sum(answers) // len(answers)} ms on average")
        if self._understood:
            rate = wer(" ".join(self._said), " ".join(self._understood))
            parts.append(f"{rate:.0%} of {self.person}'s words misheard")
        elif self.call.duration_ms:
            parts.append(f"nothing was heard of {self.person}")
        return " · ".join(parts)


def follow(sandbox: SandboxView, *followers: Follower) -> None:
    """Return once all these calls are over; raises ``TimeoutError`` after four minutes."""
    deadline = time.monotonic() + LONGEST_CALL_S
    while time.monotonic() < deadline:
        events = sandbox.news()
        over = [follower.tell(events) for follower in followers]
        if all(over):
            return
        time.sleep(LOOKS_EVERY_S)
    raise TimeoutError("The call did not end within four minutes: see it in the dashboard.")
