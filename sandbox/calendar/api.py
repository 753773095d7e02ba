"""``/v2/slots`` and ``/v2/bookings``: what Cal.com checks is checked, and refused in its shape."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web

from sandbox import faults, journal
from sandbox.calendar.diary import Booking, Diary, Person, Taken, as_json, utc

SLOTS_VERSION, BOOKINGS_VERSION = "2024-09-04", "2024-08-13"
UNKNOWN = "unknown"  # as username or slug: nothing is there
_LONGEST_LOOK = timedelta(days=62)

KEY = web.RequestKey("calendar_key", str)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Refusal(Exception):
    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status, self.name, self.message = status, name, message


def _bad(message: str) -> _Refusal:
    return _Refusal(400, "BadRequestException", message)


def routes() -> list[web.RouteDef]:
    """The calendar's routes; each call makes an empty one."""
    api = _Calendar()
    one = "/v2/bookings/{uid}"
    return [
        web.get("/v2/slots", _guarded(api.slots, SLOTS_VERSION)),
        web.post("/v2/bookings", _guarded(api.book, BOOKINGS_VERSION)),
        web.get("/v2/bookings", _guarded(api.list, BOOKINGS_VERSION)),
        web.get(one, _guarded(api.read, BOOKINGS_VERSION)),
        web.post(f"{one}/reschedule", _guarded(api.reschedule, BOOKINGS_VERSION)),
        web.post(f"{one}/cancel", _guarded(api.cancel, BOOKINGS_VERSION)),
    ]


def _guarded(handler: Handler, version: str) -> Handler:
    """Check key and version, answer refusals as the service does, and strike where asked to."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        fault = faults.take("calendar")
        try:
            if status := fault.get("refuse"):
                raise _Refusal(int(status), "ServiceUnavailable", "Injected by the sandbox.")
            request[KEY] = _key(request)
            if request.headers.get("cal-api-version") != version:
                raise _Refusal(
                    404,
                    "NotFoundException",
                    f"Cannot {request.method} {request.path}: cal-api-version must be {version}",
                )
            answer = await handler(request)
        except _Refusal as refusal:
            answer = _refused(request, refusal)
        if fault.get("lose_answer") and request.transport is not None:
            request.transport.abort()
        answer.headers["x-sandbox-simulation"] = "1"
        return answer

    return guarded


def _key(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip() or key.strip() == "invalid":
        raise _Refusal(401, "UnauthorizedException", "Your api key is not valid")
    return key.strip()


def _refused(request: web.Request, refusal: _Refusal) -> web.Response:
    return web.json_response(
        {
            "status": "error",
            "timestamp": utc(datetime.now(UTC)),
            "path": request.path_qs,
            "error": {"code": refusal.name, "message": refusal.message},
        },
        status=refusal.status,
    )


def _told(data: Any, status: int = 200) -> web.Response:
    return web.json_response({"status": "success", "data": data}, status=status)


class _Calendar:
    """The handlers, which share one diary."""

    def __init__(self) -> None:
        self._diary = Diary()

    async def slots(self, request: web.Request) -> web.StreamResponse:
        """Free starts by day, written in the zone that was asked for."""
        host, slug = _event_type(request.query.get("username"), request.query.get("eventTypeSlug"))
        zone = _zone(request.query.get("timeZone", "UTC"))
        first = _moment(request.query.get("start"), "start", zone)
        until = _moment(request.query.get("end"), "end", zone, end_of_day=True)
        if not first < until <= first + _LONGEST_LOOK:
            raise _bad("end must be after start, and at most 62 days later")
        days: dict[str, list[dict[str, str]]] = {}
        for start in self._diary.free(host, slug, first, until, datetime.now(UTC)):
            local = start.astimezone(zone)
            written = local.isoformat(timespec="milliseconds")
            days.setdefault(f"{local:%Y-%m-%d}", []).append({"start": written})
        return _told(days)

    async def book(self, request: web.Request) -> web.StreamResponse:
        """Write a booking: 201, or 400 where nobody is free then."""
        body = await _body(request, {"start", "attendee", "eventTypeSlug", "username"})
        host, slug = _event_type(body.get("username"), body.get("eventTypeSlug"))
        who = body.get("attendee")
        if not isinstance(who, dict):
            raise _bad("attendee must be an object")
        for name in ("name", "email", "timeZone"):
            if not isinstance(who.get(name), str) or not who[name].strip():
                raise _bad(f"attendee.{name} must be a string")
        if "@" not in who["email"]:
            raise _bad("attendee.email must be an email")
        _zone(who["timeZone"])
        booking = self._write(
            request,
            host=host,
            slug=slug,
            start=_moment(body.get("start"), "start", UTC),
            attendee=Person(who["name"].strip(), who["email"].strip(), who["timeZone"]),
        )
        _note("booking_created", booking)
        return _told(as_json(booking), 201)

    async def list(self, request: web.Request) -> web.StreamResponse:
        """Bookings of this key, filtered by ``attendeeEmail`` and ``status``."""
        email = request.query.get("attendeeEmail", "").lower()
        wanted = set(filter(None, request.query.get("status", "").split(",")))
        if strange := wanted - {"upcoming", "past", "cancelled"}:
            raise _bad(f"status {', '.join(sorted(strange))} is not known here")
        now = datetime.now(UTC)
        found = [
            as_json(booking)
            for booking in self._diary.of(request[KEY])
            if (not email or booking.attendee.email.lower() == email)
            and (not wanted or _status(booking, now) in wanted)
        ]
        return _told(found[:100])

    async def read(self, request: web.Request) -> web.StreamResponse:
        return _told(as_json(self._one(request)))

    async def reschedule(self, request: web.Request) -> web.StreamResponse:
        """Write a booking in another's place: the old one is cancelled and points to it."""
        body = await _body(request, {"start", "reschedulingReason", "rescheduledBy"})
        old = self._standing(request)
        booking = self._write(
            request,
            host=old.host,
            slug=old.slug,
            start=_moment(body.get("start"), "start", UTC),
            attendee=old.attendee,
            instead_of=old,
        )
        _note("booking_rescheduled", booking)
        return _told(as_json(booking), 201)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request, {"cancellationReason"})
        booking = self._standing(request)
        booking.cancelled_because = str(body.get("cancellationReason", ""))
        _note("booking_cancelled", booking)
        return _told(as_json(booking))

    def _write(self, request: web.Request, **fields: Any) -> Booking:
        try:
            return self._diary.book(owner=request[KEY], now=datetime.now(UTC), **fields)
        except Taken:
            raise _bad("User either already has booking at this time or is not available") from None

    def _one(self, request: web.Request) -> Booking:
        uid = request.match_info["uid"]
        booking = self._diary.find(request[KEY], uid)
        if booking is None:
            raise _Refusal(
                404, "NotFoundException", f"Booking with uid={uid} was not found in the database"
            )
        return booking

    def _standing(self, request: web.Request) -> Booking:
        booking = self._one(request)
        if not booking.stands:
            raise _bad(f"Booking with uid={booking.uid} has been cancelled already")
        return booking


def _note(kind: str, booking: Booking) -> None:
    journal.note(
        kind,
        uid=booking.uid,
        start=utc(booking.start),
        attendee_name=booking.attendee.name,
        attendee_email=booking.attendee.email,
        username=booking.host,
        event_slug=booking.slug,
    )


def _status(booking: Booking, now: datetime) -> str:
    if not booking.stands:
        return "cancelled"
    return "upcoming" if booking.end > now else "past"


async def _body(request: web.Request, known: set[str]) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise _bad("the body must be JSON") from None
    if not isinstance(body, dict):
        raise _bad("the body must be an object")
    if strange := body.keys() - known:
        raise _bad(f"property {sorted(strange)[0]} should not exist")
    return body


def _event_type(host: Any, slug: Any) -> tuple[str, str]:
    if not (isinstance(host, str) and isinstance(slug, str) and host.strip() and slug.strip()):
        raise _bad("Either eventTypeId or eventTypeSlug + username must be provided")
    if UNKNOWN in (host, slug):
        raise _Refusal(
            404, "NotFoundException", f"Event type with slug {slug} and user {host} not found"
        )
    return host, slug


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _bad(f"timeZone {name} is not an IANA time zone") from None


def _moment(text: Any, name: str, zone: Any, *, end_of_day: bool = False) -> datetime:
    """A moment in ISO 8601; a bare day is its first moment in ``zone``, or its end."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise _bad(f"{name} must be a valid ISO 8601 date string") from None
    if end_of_day and len(str(text)) == len("2026-05-29"):
        moment += timedelta(days=1)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
