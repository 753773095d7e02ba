"""When may somebody be called? Pure time arithmetic: no database, no clock of its own.

A ``Window`` is wall-clock time on some weekdays. ``Hours`` are several layers of windows (the
campaign's own, the law's): one may be called at an instant that lies in a window of every layer, in
every time zone in which one may be. What decides is always what the clock on the wall shows, so
days on which clocks change need no rule of their own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
# Beyond a week every week is like the last; one more day for clock changes and overnight windows.
HORIZON_DAYS = 9


@dataclass(frozen=True, slots=True)
class Window:
    """``start`` ≤ wall clock < ``end`` in minutes since midnight, on ``days`` (0 is Monday).

    ``end`` < ``start`` goes on past midnight, and belongs to the day on which it begins.
    """

    start: int
    end: int
    days: frozenset[int] = frozenset(range(7))

    def __post_init__(self) -> None:
        if not (0 <= self.start < DAY_MINUTES and 0 <= self.end <= DAY_MINUTES):
            raise ValueError("a window starts at 0-1439 and ends at 0-1440 minutes after midnight")
        if self.start == self.end:
            raise ValueError("a window must not end when it starts")
        if not self.days or not self.days <= frozenset(range(7)):
            raise ValueError("a window needs days")

    def holds(self, weekday: int, minute: int) -> bool:
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        if minute >= self.start:
            return weekday in self.days
        return minute < self.end and (weekday - 1) % 7 in self.days

    def as_json(self) -> dict[str, Any]:
        return {
            "days": [DAYS[day] for day in sorted(self.days)],
            "start_minutes": self.start,
            "end_minutes": self.end,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Window":
        """Read ``as_json``'s shape; no ``days`` means every day. Raises ValueError."""
        days = data.get("days") or DAYS
        return cls(
            int(data["start_minutes"]),
            int(data["end_minutes"]),
            frozenset(DAYS.index(day) for day in days),
        )

    def __str__(self) -> str:
        return f"{_days(self.days)} {_clock(self.start)}-{_clock(self.end)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _days(days: frozenset[int]) -> str:
    if len(days) == 7:
        return "daily"
    if days == frozenset(range(5)):
        return "mon-fri"
    return ",".join(DAYS[day] for day in sorted(days))


Layer = tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Hours:
    """Layers of windows, and the zones in all of which they must be open.

    Without a layer one may be called at any time; a layer without windows never opens.
    """

    layers: tuple[Layer, ...]
    zones: tuple[str, ...]

    def allow(self, at: datetime) -> bool:
        """Say whether one may be called at the aware instant ``at``."""
        return all(_inside(self.layers, at.astimezone(_zone(name))) for name in self.zones)

    def next_opening(self, now: datetime) -> datetime | None:
        """Return the first instant from ``now`` on at which one may be called (UTC), or None if
        there is none in nine days."""
        if self.allow(now):
            return now.astimezone(UTC)
        return next((edge for edge in self._edges(now) if self.allow(edge)), None)

    def closing(self, now: datetime) -> datetime | None:
        """Return when the time in which one may be called at ``now`` ends (UTC); None if it is
        over already, or does not end in nine days."""
        if not self.allow(now):
            return None
        return next((edge for edge in self._edges(now) if not self.allow(edge)), None)

    def _edges(self, now: datetime) -> list[datetime]:
        """All instants after ``now`` at which the answer may change, in order."""
        minutes = {minute for layer in self.layers for w in layer for minute in (w.start, w.end)}
        edges = {
            edge for name in self.zones for edge in _edges_of(_zone(name), now, sorted(minutes))
        }
        return sorted(edge for edge in edges if edge > now)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _inside(layers: Sequence[Layer], wall: datetime) -> bool:
    weekday, minute = wall.weekday(), wall.hour * 60 + wall.minute
    return all(any(window.holds(weekday, minute) for window in layer) for layer in layers)


def _edges_of(zone: ZoneInfo, now: datetime, minutes: Sequence[int]) -> Iterator[datetime]:
    first = now.astimezone(zone).date() - timedelta(days=1)
    for ahead in range(HORIZON_DAYS + 2):
        day = first + timedelta(days=ahead)
        for minute in minutes:
            yield from _instants(zone, day, minute)
        yield from _clock_change(zone, day)


def _instants(zone: ZoneInfo, day: date, minute: int) -> Iterator[datetime]:
    """When the wall clock shows that minute: twice where clocks go back, and in an hour that is
    left out never (``_clock_change`` has the edge then)."""
    wall = datetime.combine(day, time(), zone) + timedelta(minutes=minute)
    for fold in (0, 1):
        yield wall.replace(fold=fold).astimezone(UTC)


def _clock_change(zone: ZoneInfo, day: date) -> Iterator[datetime]:
    """The instant on that day at which the zone's offset changes, if it does."""
    low = datetime.combine(day, time(), UTC)
    high = low + timedelta(days=1)
    before = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == before:
        return
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    yield high.replace(microsecond=0)


def layers_from_json(windows: Iterable[Mapping[str, Any]]) -> tuple[Layer, ...]:
    """Return a campaign's own windows as layers: none at all where it has none."""
    layer = tuple(Window.from_json(window) for window in windows)
    return (layer,) if layer else ()
