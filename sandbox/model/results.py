"""A tool's result, spoken."""

import json
import re
from typing import Any

from sandbox.model.conversation import ToolResult
from sandbox.model.dialogue import Dialogue
from sandbox.model.values import spoken_date
from sandbox.model.words import capitalised, full_stop, sentences

_TELLING = ("message", "summary", "text", "answer", "result", "description", "detail")
_SILENT = re.compile(
    r"(?:^|_)(?:id|uid|uuid|url|token|sid|timezone|code)$|^(?:ok|success|status_code)$"
)
_MOMENT = re.compile(
    r"\b(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
_MOST_ITEMS = 4


def speak(result: ToolResult, dialogue: Dialogue) -> str:
    """One or two sentences with what a tool answered, and nothing it did not."""
    say = dialogue.say
    try:
        found: Any = json.loads(result.text)
    except ValueError:
        found = result.text
    if result.failed or (
        isinstance(found, dict) and (found.get("error") or found.get("success") is False)
    ):
        reason = found.get("message") or found.get("error") if isinstance(found, dict) else found
        plain = (
            isinstance(reason, str)
            and len(reason.split()) > 2
            and not re.search(r"[{}_<>]|\d{3}\b", reason)
        )
        return " ".join([say("tool_failed"), *([full_stop(_said(reason))] if plain else [])])
    if isinstance(found, str):
        return " ".join(full_stop(_said(s)) for s in sentences(found)[:2]) or say("tool_done")
    if isinstance(found, list):
        return _list(found, dialogue)
    return _object(found, dialogue) if isinstance(found, dict) else full_stop(_said(found))


def _object(found: dict[str, Any], dialogue: Dialogue) -> str:
    say = dialogue.say
    for key in _TELLING:
        if isinstance(found.get(key), str) and found[key].strip():
            return " ".join(full_stop(_said(s)) for s in sentences(found[key])[:2])
    lists = [value for value in found.values() if isinstance(value, list)]
    if lists:
        return _list(lists[0], dialogue)
    if isinstance(found.get("available"), bool):
        return say("yes_available" if found["available"] else "not_available")
    told = [
        f"the {key.replace('_', ' ')} is {_said(value)}"
        for key, value in found.items()
        if isinstance(value, (str, int, float))
        and not isinstance(value, bool)
        and not _SILENT.search(key)
    ]
    nested = [value for value in found.values() if isinstance(value, dict)]
    if not told and nested:
        return _object(nested[0], dialogue)
    return full_stop(capitalised(", ".join(told[:_MOST_ITEMS]))) if told else say("tool_done")


def _list(items: list[Any], dialogue: Dialogue) -> str:
    say = dialogue.say
    if not items:
        return say("tool_nothing")
    spoken = [_item(item) for item in items[:_MOST_ITEMS]]
    joined = " and ".join(part for part in (", ".join(spoken[:-1]), spoken[-1]) if part)
    return f"{say('tool_found', items=joined)} {say('which_one')}"


def _item(item: Any) -> str:
    if isinstance(item, dict):
        shown = [value for key, value in item.items() if not _SILENT.search(key)]
        return " ".join(
            _said(value) for value in shown[:2] if not isinstance(value, (dict, list, bool))
        )
    return _said(item)


def _said(value: Any) -> str:
    """A scalar as it is spoken; a moment in ISO becomes a day and a time."""

    def moment(match: re.Match[str]) -> str:
        try:
            day = spoken_date(match[1])
        except ValueError:
            return match.group()
        return f"{day} at {match[2]}" if match[2] else day

    return _MOMENT.sub(moment, str(value)).strip()
