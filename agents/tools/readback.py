"""The engine's own question before a calendar is written to, in the call's language (spec 6.9)."""

import re
import tomllib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

_NOT_WORD = re.compile(r"[^\w'’@.-]+")


@dataclass(frozen=True, slots=True)
class _Language:
    create: str
    reschedule: str
    cancel: str
    say: str
    write: str
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
    when = ""
    if start is not None:
        when = own.when.format(
            weekday=own.weekdays[start.weekday()],
            day=start.day,
            month=own.months[start.month - 1],
            time=f"{start:%H:%M}",
        )
    template: str = getattr(own, action)
    ask = own.write if by_text else own.say
    return template.format(name=name, email=email, when=when, ask=ask)


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
