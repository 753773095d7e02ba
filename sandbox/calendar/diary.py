"""Hosts, their hours and their bookings. Every moment in here is aware; nothing outlives the
process.
"""

import itertools
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

HOST_ZONE = ZoneInfo("Europe/London")
OPENS, CLOSES = time(9), time(17)
_FRIDAY = 4
_USUAL_MINUTES = 30


@dataclass(frozen=True)
class Person:
    """Who comes. ``zone`` is an IANA name."""

    name: str
    email: str
    zone: str


@dataclass
class Booking:
    """One appointment. ``owner`` is the API key that made it; ``slug`` the event type's."""

    id: int
    uid: str
    owner: str
    host: str
    slug: str
    start: datetime
    attendee: Person
    made_at: datetime
    cancelled_because: str | None = None
    moved_to: str = ""
    moved_from: str = ""

    @property
    def end(self) -> datetime:
        return self.start + length(self.slug)

    @property
    def stands(self) -> bool:
        return self.cancelled_because is None


class Taken(Exception):
    """Nobody can be booked at that time: outside the hours, in the past, or taken."""


def length(slug: str) -> timedelta:
    """How long an event type takes: ``45min`` says so, any other name is half an hour."""
    said = re.fullmatch(r"(\d{1,3})min", slug)
    return timedelta(minutes=int(said[1]) if said and int(said[1]) else _USUAL_MINUTES)


class Diary:
    """Everybody's bookings. A host has one chair: two event types of theirs exclude each other."""

    def __init__(self) -> None:
        self._bookings: dict[str, Booking] = {}
        self._ids = itertools.count(1)

    def free(
        self, host: str, slug: str, first: datetime, until: datetime, now: datetime
    ) -> Iterator[datetime]:
        """Yield the free starts from ``first`` to before ``until``, in order, in UTC."""
        day = first.astimezone(HOST_ZONE).date()
        while datetime.combine(day, time(0), HOST_ZONE) < until:
            for start in _starts(day, length(slug)):
                if first <= start < until and self._is_free(host, slug, start, now):
                    yield start
            day += timedelta(days=1)

    def book(
        self,
        *,
        owner: str,
        host: str,
        slug: str,
        start: datetime,
        attendee: Person,
        now: datetime,
        instead_of: Booking | None = None,
    ) -> Booking:
        """Write an appointment; raises ``Taken``. ``instead_of`` gives way to it."""
        on_grid = start in _starts(start.astimezone(HOST_ZONE).date(), length(slug))
        if not on_grid or not self._is_free(host, slug, start, now, instead_of):
            raise Taken
        booking = Booking(
            next(self._ids), secrets.token_urlsafe(16).replace("-", "x").replace("_", "y"),
            owner, host, slug, start, attendee, now,
        )  # fmt: skip
        if instead_of is not None:
            booking.moved_from, instead_of.moved_to = instead_of.uid, booking.uid
            instead_of.cancelled_because = "rescheduled"
        self._bookings[booking.uid] = booking
        return booking

    def find(self, owner: str, uid: str) -> Booking | None:
        """A booking of this key's, or None."""
        booking = self._bookings.get(uid)
        return booking if booking and booking.owner == owner else None

    def of(self, owner: str) -> list[Booking]:
        """All bookings of a key, by their start."""
        own = [booking for booking in self._bookings.values() if booking.owner == owner]
        return sorted(own, key=lambda booking: (booking.start, booking.id))

    def _is_free(
        self, host: str, slug: str, start: datetime, now: datetime, besides: Booking | None = None
    ) -> bool:
        end = start + length(slug)
        return start > now and not any(
            other.stands
            and other is not besides
            and other.host == host
            and other.start < end
            and start < other.end
            for other in self._bookings.values()
        )


def _starts(day: date, takes: timedelta) -> list[datetime]:
    """The starts of one working day, in UTC."""
    if day.weekday() > _FRIDAY:
        return []
    start = datetime.combine(day, OPENS, HOST_ZONE).astimezone(UTC)
    closes = datetime.combine(day, CLOSES, HOST_ZONE).astimezone(UTC)
    found: list[datetime] = []
    while start + takes <= closes:
        found.append(start)
        start += takes
    return found


def as_json(booking: Booking) -> dict[str, Any]:
    """A booking as the API shows it."""
    event_type = {"id": 1 + sum(booking.slug.encode()), "slug": booking.slug}
    return {
        "id": booking.id,
        "uid": booking.uid,
        "title": f"{booking.slug} between {booking.host} and {booking.attendee.name}",
        "status": "accepted" if booking.stands else "cancelled",
        "start": utc(booking.start),
        "end": utc(booking.end),
        "duration": round(length(booking.slug).total_seconds() / 60),
        "eventTypeId": event_type["id"],
        "eventType": event_type,
        "hosts": [{"username": booking.host, "timeZone": HOST_ZONE.key}],
        "attendees": [
            {
                "name": booking.attendee.name,
                "email": booking.attendee.email,
                "timeZone": booking.attendee.zone,
                "absent": False,
            }
        ],
        "absentHost": False,
        "createdAt": utc(booking.made_at),
        **({"cancellationReason": booking.cancelled_because} if not booking.stands else {}),
        **({"rescheduledToUid": booking.moved_to} if booking.moved_to else {}),
        **({"rescheduledFromUid": booking.moved_from} if booking.moved_from else {}),
    }


def utc(moment: datetime) -> str:
    """As the API writes a moment: UTC with milliseconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"
