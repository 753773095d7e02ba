"""One simulated call, placed through the public API and told as it happens.

What each side *heard* is recognised from audio: the person's ear listens to the agent's voice off
the line, and the agent's transcript is what the speech service made of the person's voice.
"""

import time
from collections.abc import Iterator
from typing import Any

import httpx

from calls.models import Call, Turn
from demo.console import Console
from sandbox.speech.wer import wer

LONGEST_CALL_S = 240.0
PERSON_SAID, PERSON_HEARD = "person_said", "person_heard"


class SandboxView:
    """What the sandbox saw, and how its people are told what to do (sandbox/README.md)."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10.0)
        self._seen = int(self._http.get("/_sandbox/journal").json()["last"])

    def news(self) -> Iterator[dict[str, Any]]:
        answer = self._http.get("/_sandbox/journal", params={"after": self._seen}).json()
        for event in answer["events"]:
            self._seen = max(self._seen, event["n"])
            yield event

    def instruct(self, number: str, **what: Any) -> str:
        """Have the person at ``number`` say a sentence, or be muted; return their first name."""
        answer = self._http.put(f"/_sandbox/people/{number}", json=what).raise_for_status()
        return str(answer.json()["name"]).split()[0]


class Follower:
    """Prints one call until it is over."""

    def __init__(self, console: Console, sandbox: SandboxView, *, agent: str, person: str) -> None:
        self.console = console
        self.sandbox = sandbox
        self.agent = agent
        self.person = person
        self._told_turns = 0
        self._told_status = ""
        self._said: list[str] = []  # by the person, since the agent's last transcript of them
        self.rates: list[float] = []

    def follow(self, call_id: str) -> Call:
        """Return the call once it is over; raises ``TimeoutError`` after four minutes."""
        deadline = time.monotonic() + LONGEST_CALL_S
        while time.monotonic() < deadline:
            call = Call.objects.get(call_id=call_id)
            self._tell_status(call)
            for event in self.sandbox.news():
                self._tell_event(event)
            for turn in call.turns.filter(sequence__gte=self._told_turns):
                self._tell_turn(turn)
            if call.is_over:
                return call
            time.sleep(0.1)
        raise TimeoutError("the call did not end within four minutes")

    def _tell_status(self, call: Call) -> None:
        if call.status != self._told_status and not call.is_over:
            self.console.moment(call.status)
        self._told_status = call.status

    def _tell_event(self, event: dict[str, Any]) -> None:
        if event["kind"] == PERSON_SAID:
            self._said.append(event["text"])
            self.console.says(self.person, event["text"])
        elif event["kind"] == PERSON_HEARD:
            self.console.heard(self.person, event["text"])

    def _tell_turn(self, turn: Turn) -> None:
        self._told_turns = turn.sequence + 1
        if turn.role == Turn.Role.AGENT:
            note = f"answered in {turn.latency_ms} ms" if turn.latency_ms is not None else ""
            if turn.interrupted:
                note = f"{note}, interrupted".strip(", ")
            self.console.says(self.agent, turn.text, note)
            return
        said = " ".join(self._said)
        self._said.clear()
        rate = wer(said, turn.text)
        self.rates.append(rate)
        self.console.heard(self.agent, turn.text, f"(word error rate {rate:.0%})")
