"""What a tool is to the model and to the engine.

A tool never raises: whatever becomes of it is an ``Outcome`` that the model can read.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Longer answers cost the caller's time, and the model no better knowledge.
LONGEST_ANSWER = 6_000  # characters


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model asks for; ``id`` is the provider's, ``arguments`` a JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool answered. ``content`` is for the model; ``booking`` as in ``Call.bookings``."""

    content: str
    failed: bool = False
    booking: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """One tool call and what came of it."""

    call: ToolCall
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as one call or thread has it.

    ``use`` takes the model's arguments and what the person said so far (one turn a line).
    """

    name: str
    description: str
    input_schema: Mapping[str, Any]
    use: Callable[[Mapping[str, Any], str], Awaitable[Outcome]]
    timeout_ms: int = 5_000
    speak_during: str = ""  # what the agent says while it waits
    # What the engine asks the caller before these arguments are acted upon; None: nothing.
    read_back: Callable[[Mapping[str, Any]], str] | None = None

    @property
    def definition(self) -> dict[str, Any]:
        """As the model's provider takes it."""
        return {
            "name": self.name,
            "description": self.description,
            "input_schema": dict(self.input_schema),
        }


def shortened(text: str) -> str:
    """Return ``text`` as a model gets it: whole, or its beginning and a word that it was cut."""
    if len(text) <= LONGEST_ANSWER:
        return text
    return f"{text[:LONGEST_ANSWER]} … (the rest was cut off)"
