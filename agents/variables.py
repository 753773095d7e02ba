"""Placeholders in prompts (spec 6.8): ``{{name}}``, and ``{name}`` for names that have a value."""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{([A-Za-z0-9_]+)\}\}|\{([A-Za-z0-9_]+)\}")


def substitute(text: str, values: Mapping[str, Any]) -> str:
    """Replace each placeholder that has a value; others stay as they are, and case matters.

    One pass: what a value itself contains is never taken for a placeholder.
    """

    def fill(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return as_text(values[name]) if name in values else match[0]

    return _PLACEHOLDER.sub(fill, text)


def as_text(value: Any) -> str:
    """Return a JSON value as a prompt shows it: true and false in words, null as nothing."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def engine_variables(
    *,
    now: datetime,
    timezone: str,
    caller_phone: str,
    business_phone: str,
    direction: str,
    call_id: str,
    agent_id: str,
    caller_history: str = "",
) -> dict[str, str]:
    """Return what the engine itself knows at the start of a call. ``now`` is in ``timezone``."""
    tomorrow = now + timedelta(days=1)
    return {
        "current_date": long_date(now),
        "current_time": f"{now:%H:%M}",
        "current_day_of_week": f"{now:%A}",
        "tomorrow_date": long_date(tomorrow),
        "upcoming_days": upcoming_days(now),
        "current_timezone": timezone,
        "current_iso_date": f"{now:%Y-%m-%d}",
        "current_iso_time": f"{now:%H:%M:%S}",
        "tomorrow_iso_date": f"{tomorrow:%Y-%m-%d}",
        "caller_phone": caller_phone,
        "business_phone": business_phone,
        "call_direction": direction,
        "call_id": call_id,
        "agent_id": agent_id,
        "caller_history": caller_history,
    }


def long_date(day: datetime) -> str:
    """``Monday, May 25, 2026``"""
    return f"{day:%A, %B} {day.day}, {day.year}"


def upcoming_days(now: datetime) -> str:
    """``Next 7 days: Monday 14 September (2026-09-14), …``, from tomorrow."""
    days = (now + timedelta(days=ahead) for ahead in range(1, 8))
    return "Next 7 days: " + ", ".join(f"{d:%A} {d.day} {d:%B} ({d:%Y-%m-%d})" for d in days)
