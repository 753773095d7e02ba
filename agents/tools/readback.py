"""What the engine itself says of bookings, in the call's language: the question before a calendar
is written to, and the text that tells what was done (spec 6.7.2, 6.9).
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

_NOT_WORD = re.compile(r"[^\w'’@.-]+")


@dataclass(frozen=True, slots=True)
class _Language:
    create: str
    reschedule: str
    cancel: str
    say: str
    write: str
    booked: str
    rescheduled: str
    cancelled: str
    when: str
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    yes: frozenset[str]


@cache
def _languages() -> dict[str, _Language]:
    read = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    for one in read.values():
        one["weekdays"], one["months"] = tuple(one["weekdays"]), tuple(one["months"])
        one["yes"] = frozenset(_plain(words) for words in one["yes"])
    return {code: _Language(**one) for code, one in read.items()}


def _of(language: str) -> _Language:
    return _languages().get(language.split("-")[0].lower(), _languages()["en"])


def _plain(text: str) -> str:
    words = _NOT_WORD.sub(" ", text.replace("’", "'")).split()
    return " ".join(word.strip(".-'") for word in words).casefold().strip()


def question(
    language: str,
    action: str,
    *,
    start: datetime | None = None,
    name: str = "",
    email: str = "",
    by_text: bool = False,
) -> str:
    """Return what to ask before ``action`` (``create``, ``reschedule``, ``cancel``), aloud or
    ``by_text``.

    ``start`` is in the calendar's time zone. English where the language has no words of its own.
    """
    own = _of(language)
    template: str = getattr(own, action)
    when = _when(own, start) if start else ""
    ask = own.write if by_text else own.say
    return template.format(name=name, email=email, when=when, ask=ask)


def text_of(language: str, booking: Mapping[str, Any]) -> str:
    """Return the text that tells a person of a booking as in ``Call.bookings``; "" if it does not
    say enough.
    """
    own = _of(language)
    if booking.get("action") == "cancelled":
        return own.cancelled
    template = {"created": own.booked, "rescheduled": own.rescheduled}.get(
        str(booking.get("action"))
    )
    if template is None or not booking.get("start"):
        return ""
    start = datetime.fromisoformat(str(booking["start"]))
    zone = ZoneInfo(str(booking.get("timezone") or "UTC"))
    return template.format(when=_when(own, start.astimezone(zone)))


def _when(own: _Language, start: datetime) -> str:
    return own.when.format(
        weekday=own.weekdays[start.weekday()],
        day=start.day,
        month=own.months[start.month - 1],
        time=f"{start:%H:%M}",
    )


def is_yes(language: str, text: str) -> bool:
    """Whether the whole reply is an affirmative, or several: "yes, correct", not "yes, but …".

    English counts in every language: recognisers mix them.
    """
    entries = _of(language).yes | _languages()["en"].yes
    words = _plain(text).split()
    place = 0
    while place < len(words):
        size = next((n for n in (4, 3, 2, 1) if " ".join(words[place : place + n]) in entries), 0)
        if not size:
            return False
        place += size
    return bool(words)
