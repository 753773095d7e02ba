"""A tool's result, spoken."""

import json
import re
from typing import Any

from sandbox.model.conversation import ToolResult
from sandbox.model.dialogue import Dialogue
from sandbox.model.values import spoken_date, spoken_time
from sandbox.model.words import capitalised, full_stop, sentences

_TELLING = ("message", "summary", "text", "answer", "result", "description", "detail")
_SILENT = re.compile(
    r"(?:^|_)(?:id|uid|uuid|url|token|sid|timezone|code)$|^(?:ok|success|status_code)$"
)
_WEEKDAY = r"(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,? )?"
_MOMENT = re.compile(
    rf"\b{_WEEKDAY}"
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
_MOST_ITEMS = 4
_DONE = {"created": "booked", "rescheduled": "moved", "cancelled": "cancelled"}


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
    if done := _DONE.get(str(found.get("done") or found.get("status"))):
        when = next((_said(found[key]) for key in ("start", "when", "time") if found.get(key)), "")
        key = done if when or done == "cancelled" else "tool_done"
        return f"{say(key, when=when)} {say('anything_else')}"
    for key in _TELLING:
        if isinstance(found.get(key), str) and found[key].strip():
            return " ".join(full_stop(_said(s)) for s in sentences(found[key])[:2])
    if days := free_days(found):
        day, times = next(iter(days.items()))
        return _list(times, dialogue, day)
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


def _list(items: list[Any], dialogue: Dialogue, day: str = "") -> str:
    say = dialogue.say
    if not items:
        return say("tool_nothing")
    spoken = [_item(item) for item in items[:_MOST_ITEMS]]
    joined = " and ".join(part for part in (", ".join(spoken[:-1]), spoken[-1]) if part)
    key = "tool_found_on" if day else "tool_found"
    return f"{say(key, items=joined, day=_said(day))} {say('which_one')}"


def free_days(found: Any) -> dict[str, list[str]]:
    """The free times by day in a tool's answer, ``{"2026-05-29": ["10:00"]}``; else nothing."""
    inner = found.values() if isinstance(found, dict) else ()
    for days in inner:
        if isinstance(days, dict) and days and all(isinstance(one, list) for one in days.values()):
            dates = {_MOMENT.search(str(day)): times for day, times in days.items()}
            if all(dates):
                return {date[1]: times for date, times in dates.items() if date}
    return {}


def spoken_moment(date: str, time: str) -> str:
    """``2026-05-29`` and ``10:00`` as they are said."""
    return _said(f"{date}T{time}")


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
        return f"{day} at {spoken_time(match[2])}" if match[2] else day

    text = _MOMENT.sub(moment, str(value)).strip()
    return spoken_time(text) if re.fullmatch(r"\d{2}:\d{2}", text) else text
