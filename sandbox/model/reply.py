"""What the engine hands to the protocol: the content of one assistant message."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ToolUse:
    """One tool the model asks for, with arguments as a JSON-ready dict."""

    name: str
    input: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """One assistant message: text to speak (may be empty), then the tools it calls."""

    text: str
    tools: list[ToolUse] = field(default_factory=list)
