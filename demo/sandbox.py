"""What the sandbox saw, and how its people are told what to do (sandbox/README.md)."""

from datetime import datetime
from typing import Any

import httpx

from demo.api import ask

Event = dict[str, Any]


class SandboxView:
    """Reads the sandbox's journal once, in order, and remembers what it read."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10.0)
        self._seen = int(ask(self._http, "GET", "/_sandbox/journal").json()["last"])
        self._read: list[Event] = []

    def news(self) -> list[Event]:
        """Return what happened since the last time."""
        answer = ask(self._http, "GET", "/_sandbox/journal", params={"after": self._seen}).json()
        events: list[Event] = answer["events"]
        if events:
            self._seen = int(events[-1]["n"])
        self._read += events
        return events

    def find(self, kind: str, **fields: Any) -> list[Event]:
        """Return what was read so far of one kind whose fields are these."""
        return [
            event
            for event in self._read
            if event["kind"] == kind
            and all(event.get(name) == value for name, value in fields.items())
        ]

    def instruct(self, number: str, **what: Any) -> str:
        """Have the person at ``number`` say a sentence, or be muted; return their first name."""
        answer = ask(self._http, "PUT", f"/_sandbox/people/{number}", json=what).raise_for_status()
        return str(answer.json()["name"]).split()[0]

    def text(self, sender: str, to_number: str, body: str) -> None:
        """Have the person at ``sender`` text one of our numbers."""
        message = {"from": sender, "to": to_number, "body": body}
        ask(self._http, "POST", "/_sandbox/messages", json=message).raise_for_status()


def ms_between(first: Event, second: Event) -> int:
    """Return how long after ``first`` ``second`` happened, by the sandbox's clock."""
    began, ended = (datetime.fromisoformat(event["at"]) for event in (first, second))
    return round((ended - began).total_seconds() * 1000)
