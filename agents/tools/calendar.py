"""Bookings in a number's Cal.com calendar: five tools over its HTTP API, version 2 (spec 6.9).

Times that the model sees and gives are those of the calendar's time zone.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from agents.tools.base import Outcome, Tool
from agents.tools.models import Calendar
from agents.tools.readback import question

TIMEOUT_S = 8.0
WINDOW_DAYS = 10
MOST_SLOTS_A_DAY = 32  # a day of quarter hours: a time left out would count as taken
SLOTS_VERSION, BOOKINGS_VERSION = "2024-09-04", "2024-08-13"

_UNKNOWN = (
    "No answer came, so it is not known whether anything was written. Do not claim it and do not "
    "repeat it: use find_booking to see."
)
_START = {"type": "string", "description": "Date and time as 2026-05-29T10:00."}
_EMAIL = {"type": "string", "description": "Their email address."}
_UID = {"type": "string", "description": "booking_uid of find_booking."}
_BEFORE = "Only once the caller has confirmed the details in this call."


class _Refused(Exception):
    """Cal.com said no; ``str`` is its reason."""


class _NoAnswer(Exception):
    """Nobody knows what became of the request."""


class _Unusable(ValueError):
    """An argument that cannot be used; ``str`` says so to the model."""


def calendar_tools(
    calendar: Calendar, *, language: str, confirm: bool, by_text: bool = False
) -> tuple[Tool, ...]:
    """Return the five tools; with ``confirm``, writes are read back in ``language`` first, for an
    answer by voice or ``by_text``."""
    cal = _CalCom(
        api_key=calendar.api_key,
        username=calendar.username,
        event_slug=calendar.event_slug,
        zone=ZoneInfo(calendar.default_timezone),
    )

    def tool(
        name: str,
        description: str,
        properties: Mapping[str, Any],
        work: Callable[[Mapping[str, Any]], Awaitable[Outcome]],
        action: str = "",
    ) -> Tool:
        def read_back(arguments: Mapping[str, Any]) -> str:
            start = cal.local(arguments["start"]) if "start" in properties else None
            who = {key: str(arguments.get(key, "")) for key in ("name", "email")}
            return question(language, action, start=start, by_text=by_text, **who)

        return Tool(
            name=name,
            description=description,
            input_schema={
                "type": "object",
                "properties": dict(properties),
                "required": [*properties],
            },
            use=_answering(work),
            timeout_ms=round(TIMEOUT_S * 1000) + 1_000,
            read_back=read_back if action and confirm else None,
        )

    day = {"type": "string", "description": "First day of interest, as 2026-05-29."}
    name = {"type": "string", "description": "Their full name."}
    return (
        tool(
            "check_availability",
            "See which times are free to book, from a day on.",
            {"date": day},
            cal.check,
        ),
        tool(
            "book_appointment",
            f"Book a free time. {_BEFORE}",
            {"start": _START, "name": name, "email": _EMAIL},
            cal.book,
            "create",
        ),
        tool("find_booking", "Find their booking by email.", {"email": _EMAIL}, cal.find),
        tool(
            "reschedule_booking",
            f"Move a booking to another free time. {_BEFORE}",
            {"booking_uid": _UID, "start": _START},
            cal.reschedule,
            "reschedule",
        ),
        tool(
            "cancel_booking", f"Cancel a booking. {_BEFORE}", {"booking_uid": _UID}, cal.cancel,
            "cancel",
        ),
    )  # fmt: skip


def _answering(
    work: Callable[[Mapping[str, Any]], Awaitable[Outcome]],
) -> Callable[[Mapping[str, Any], str], Awaitable[Outcome]]:
    async def use(arguments: Mapping[str, Any], said: str) -> Outcome:
        try:
            return await work(arguments)
        except _Unusable as problem:
            return Outcome(f"Nothing was done: {problem}", failed=True)
        except _Refused as refusal:
            return Outcome(f"Nothing was done. The calendar says: {refusal}", failed=True)
        except _NoAnswer:
            return Outcome(_UNKNOWN, failed=True)

    return use


@dataclass
class _CalCom:
    """One calendar in one call. The same write twice in a call is made once."""

    api_key: str
    username: str
    event_slug: str
    zone: ZoneInfo
    _written: dict[str, Outcome] = field(default_factory=dict)

    def local(self, text: Any) -> datetime:
        """Read a time of the model's, in the calendar's zone unless it says another."""
        try:
            start = datetime.fromisoformat(str(text))
        except ValueError as error:
            raise _Unusable("start must be a date and time as 2026-05-29T10:00.") from error
        return start.astimezone(self.zone) if start.tzinfo else start.replace(tzinfo=self.zone)

    async def check(self, arguments: Mapping[str, Any]) -> Outcome:
        try:
            first = datetime.fromisoformat(str(arguments["date"])).date()
        except ValueError as error:
            raise _Unusable("date must be a day as 2026-05-29.") from error
        query = {
            "eventTypeSlug": self.event_slug,
            "username": self.username,
            "start": first.isoformat(),
            "end": (first + timedelta(days=WINDOW_DAYS)).isoformat(),
            "timeZone": self.zone.key,
        }
        days = await self._ask("GET", "/v2/slots", SLOTS_VERSION, query=query)
        free = {}
        for day, slots in sorted(days.items()) if isinstance(days, dict) else ():
            times = [f"{self.local(slot['start']):%H:%M}" for slot in slots[:MOST_SLOTS_A_DAY]]
            if times:
                free[f"{datetime.fromisoformat(day):%A} {day}"] = times
        if not free:
            return Outcome(f"Nothing is free in the {WINDOW_DAYS} days from {first}.")
        return Outcome(json.dumps({"free": free, "time_zone": self.zone.key}))

    async def book(self, arguments: Mapping[str, Any]) -> Outcome:
        start, email = self.local(arguments["start"]), _email(arguments["email"])
        name = str(arguments["name"]).strip()
        if not name:
            raise _Unusable("the name is missing.")
        body = {
            "start": _utc(start),
            "eventTypeSlug": self.event_slug,
            "username": self.username,
            "attendee": {"name": name, "email": email, "timeZone": self.zone.key},
        }
        return await self._write(
            "created", "/v2/bookings", body, name=name, email=email, start=start
        )

    async def find(self, arguments: Mapping[str, Any]) -> Outcome:
        query = {"attendeeEmail": _email(arguments["email"]), "status": "upcoming"}
        found = await self._ask("GET", "/v2/bookings", BOOKINGS_VERSION, query=query)
        bookings = [
            {
                "booking_uid": one["uid"],
                "start": f"{self.local(one['start']):%A %Y-%m-%dT%H:%M}",
                "title": one.get("title", ""),
            }
            for one in (found if isinstance(found, list) else [])
            if one.get("uid") and one.get("start")
        ]
        if not bookings:
            return Outcome("There is no upcoming booking with this email.")
        return Outcome(json.dumps({"bookings": bookings[:10], "time_zone": self.zone.key}))

    async def reschedule(self, arguments: Mapping[str, Any]) -> Outcome:
        start = self.local(arguments["start"])
        path = f"/v2/bookings/{_uid(arguments)}/reschedule"
        return await self._write("rescheduled", path, {"start": _utc(start)}, start=start)

    async def cancel(self, arguments: Mapping[str, Any]) -> Outcome:
        uid = _uid(arguments)
        body = {"cancellationReason": "Cancelled by telephone."}
        return await self._write("cancelled", f"/v2/bookings/{uid}/cancel", body)

    async def _write(
        self,
        action: str,
        path: str,
        body: Mapping[str, Any],
        *,
        name: str = "",
        email: str = "",
        start: datetime | None = None,
    ) -> Outcome:
        same = json.dumps([path, body], sort_keys=True)
        if same in self._written:
            return self._written[same]
        made = await self._ask("POST", path, BOOKINGS_VERSION, body=body)
        made = made if isinstance(made, dict) else {}
        attendee: dict[str, Any] = next(iter(made.get("attendees") or []), {})
        booking: dict[str, Any] = {"action": action, "booking_uid": str(made.get("uid", ""))}
        if start is not None:
            booking["start"] = _utc(start)
        booking |= {
            "attendee_name": name or str(attendee.get("name", "")),
            "attendee_email": email or str(attendee.get("email", "")),
            "service": self.event_slug,
            "timezone": self.zone.key,
        }
        told = {"done": action, "booking_uid": booking["booking_uid"]}
        if start is not None:
            told["start"] = f"{start:%A %Y-%m-%dT%H:%M}"
        # What was written is told only the first time: news of it must not be doubled.
        self._written[same] = Outcome(json.dumps(told))
        return Outcome(json.dumps(told), booking=booking)

    async def _ask(
        self,
        method: str,
        path: str,
        version: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.api_key}", "cal-api-version": version}
        try:
            async with httpx.AsyncClient(
                base_url=settings.CALCOM_API_URL, timeout=TIMEOUT_S, trust_env=False
            ) as client:
                answer = await client.request(
                    method, path, params=query, json=body, headers=headers
                )
            read = answer.json()
        except httpx.ConnectError as error:
            raise _Refused("it cannot be reached at the moment") from error
        except (httpx.HTTPError, ValueError) as error:
            raise _NoAnswer from error
        if answer.status_code >= 500:
            raise _NoAnswer
        if not isinstance(read, dict) or answer.status_code >= 400:
            problem = read.get("error") if isinstance(read, dict) else None
            reason = problem.get("message") if isinstance(problem, dict) else None
            raise _Refused(str(reason or f"status {answer.status_code}")[:300])
        return read.get("data")


def _utc(start: datetime) -> str:
    return f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def _email(text: Any) -> str:
    email = str(text).strip()
    try:
        validate_email(email)
    except ValidationError as error:
        raise _Unusable("that is no email address; ask for it again, letter by letter.") from error
    return email


def _uid(arguments: Mapping[str, Any]) -> str:
    uid = str(arguments["booking_uid"])
    if not uid.isascii() or not uid.replace("-", "").replace("_", "").isalnum():
        raise _Unusable("booking_uid must be one that find_booking or book_appointment gave.")
    return uid
