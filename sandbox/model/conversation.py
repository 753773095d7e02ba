"""The messages of a request, as turns of a conversation."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.model.reply import ToolUse

_NOTE = re.compile(r"\[[^\]]*\]|<(note|system)>.*?</\1>", re.DOTALL)
_TAG = re.compile(r"\[[A-Z_]{3,}(?:\s*:[^\]]*)?\]")


@dataclass(frozen=True)
class ToolResult:
    """What one tool answered: its call, its text, and whether it failed."""

    call: ToolUse
    text: str
    failed: bool


@dataclass(frozen=True)
class Turn:
    """One side's words. ``note`` is what a harness said in brackets, never what a caller said."""

    speaker: Literal["caller", "agent"]
    text: str
    note: str = ""
    calls: list[ToolUse] = field(default_factory=list)
    results: list[ToolResult] = field(default_factory=list)
    raw: str = ""

    @property
    def text_lines(self) -> list[str]:
        """The message as it was sent, line by line, notes included."""
        return self.raw.splitlines()


def block_text(content: Any) -> str:
    """The text of a content field: a string, or the text blocks of a list joined by lines."""
    if isinstance(content, str):
        return content
    return "\n".join(
        str(block.get("text", ""))
        for block in content or []
        if isinstance(block, dict) and block.get("type") == "text"
    )


def read_turns(messages: list[dict[str, Any]]) -> list[Turn]:
    """Turns in order; consecutive messages of one role are combined, as the service does."""
    turns: list[Turn] = []
    calls: dict[str, ToolUse] = {}
    for message in messages:
        if message["role"] == "system":
            continue
        speaker: Literal["caller", "agent"] = (
            "agent" if message["role"] == "assistant" else "caller"
        )
        raw = text = block_text(message["content"])
        note = ""
        blocks = message["content"] if isinstance(message["content"], list) else []
        used: list[ToolUse] = []
        results: list[ToolResult] = []
        for block in blocks:
            if block["type"] == "tool_use":
                calls[block["id"]] = ToolUse(block["name"], block["input"])
                used.append(calls[block["id"]])
            elif block["type"] == "tool_result":
                answer = block.get("content", "")
                said = answer if isinstance(answer, str) else block_text(answer)
                results.append(
                    ToolResult(calls[block["tool_use_id"]], said, bool(block.get("is_error")))
                )
        if speaker == "caller":
            note = " ".join(match.group()[1:-1] for match in _NOTE.finditer(text))
            pressed = re.search(r"keypad\W+([\d*#]+)", note)
            text = f"{_NOTE.sub(' ', text)} {pressed[1] if pressed else ''}"
        else:
            text = _TAG.sub(" ", text)
        turn = Turn(speaker, " ".join(text.split()), note, used, results, raw)
        if turns and turns[-1].speaker == speaker:
            before = turns.pop()
            turn = Turn(
                speaker,
                f"{before.text} {turn.text}".strip(),
                f"{before.note} {turn.note}".strip(),
                before.calls + used,
                before.results + results,
                f"{before.raw}\n{raw}",
            )
        turns.append(turn)
    return turns


def instructions(body: dict[str, Any]) -> str:
    """All system text of a request, including system messages in mid-conversation."""
    parts = [block_text(body.get("system") or "")]
    parts += [block_text(m["content"]) for m in body["messages"] if m["role"] == "system"]
    return "\n\n".join(part for part in parts if part)


def same_call(one: ToolUse, other: ToolUse) -> bool:
    """Whether two tool calls are identical in name and arguments."""
    return one.name == other.name and json.dumps(one.input, sort_keys=True) == json.dumps(
        other.input, sort_keys=True
    )
