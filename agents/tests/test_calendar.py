import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.factories import api_client
from agents.factories import CalendarFactory, PhoneNumberFactory
from agents.models import Calendar
from agents.tests.customer_server import CustomerServer, running_customer_server
from agents.tests.outside import running_sandbox
from agents.tools.base import Outcome, Tool, ToolCall
from agents.tools.calendar import calendar_tools
from agents.tools.readback import _languages, is_yes, question, text_of
from agents.tools.using import use

pytestmark = pytest.mark.django_db

BOOK = {"start": "2026-05-29T10:00", "name": "Sam Carter", "email": "sam.carter@example.com"}


@pytest.fixture
def calcom(settings: Any) -> Iterator[CustomerServer]:
    with running_customer_server() as server:
        settings.CALCOM_API_URL = server.url.removesuffix("/hook")
        yield server


def tools(**fields: Any) -> dict[str, Tool]:
    made = calendar_tools(CalendarFactory.build(**fields), language="en", confirm=False)
    return {tool.name: tool for tool in made}


def ask(own: dict[str, Tool], name: str, /, **arguments: Any) -> Outcome:
    return asyncio.run(use([*own.values()], ToolCall("toolu_1", name, arguments), ""))


def test_free_times_are_told_by_day_in_the_calendars_time_zone(calcom: CustomerServer):
    calcom.answer = (
        200,
        {"status": "success", "data": {
            "2026-05-29": [{"start": "2026-05-29T09:00:00.000Z"},
                           {"start": "2026-05-29T10:30:00.000+01:00"}],
            "2026-05-30": [],
        }},
    )  # fmt: skip

    outcome = ask(tools(), "check_availability", date="2026-05-28")

    [asked] = calcom.got
    assert (asked.method, asked.path) == (
        "GET",
        "/v2/slots?eventTypeSlug=30min&username=acme&start=2026-05-28&end=2026-06-07"
        "&timeZone=Europe%2FLondon",
    )
    assert asked.headers["authorization"] == "Bearer cal_live_s3cret"
    assert asked.headers["cal-api-version"] == "2024-09-04"
    assert outcome.content == (
        '{"free": {"Friday 2026-05-29": ["10:00", "10:30"]}, "time_zone": "Europe/London"}'
    )


def test_a_booking_is_sent_in_utc_and_reported_as_documented(calcom: CustomerServer):
    calcom.answer = (201, {"status": "success", "data": {"uid": "scf821a4", "title": "Visit"}})

    outcome = ask(tools(), "book_appointment", **BOOK)

    [asked] = calcom.got
    assert (asked.method, asked.path) == ("POST", "/v2/bookings")
    assert asked.headers["cal-api-version"] == "2024-08-13"
    assert asked.json == {
        "start": "2026-05-29T09:00:00.000Z",
        "eventTypeSlug": "30min",
        "username": "acme",
        "attendee": {
            "name": "Sam Carter",
            "email": "sam.carter@example.com",
            "timeZone": "Europe/London",
        },
    }
    assert outcome.booking == {
        "action": "created",
        "booking_uid": "scf821a4",
        "start": "2026-05-29T09:00:00.000Z",
        "attendee_name": "Sam Carter",
        "attendee_email": "sam.carter@example.com",
        "service": "30min",
        "timezone": "Europe/London",
    }
    assert '"done": "created"' in outcome.content


def test_the_same_booking_twice_in_a_call_is_made_and_told_once(calcom: CustomerServer):
    calcom.answer = (201, {"data": {"uid": "scf821a4"}})
    own = tools()

    first, second = ask(own, "book_appointment", **BOOK), ask(own, "book_appointment", **BOOK)

    assert len(calcom.got) == 1
    assert (first.content, first.failed) == (second.content, second.failed)
    assert (first.booking is None, second.booking is None) == (False, True)


def test_a_booking_is_found_moved_and_cancelled(calcom: CustomerServer):
    own = tools()
    calcom.answer = (200, {"data": [
        {"uid": "b1", "start": "2026-05-29T09:00:00.000Z", "title": "Visit"},
    ]})  # fmt: skip
    found = ask(own, "find_booking", email="sam.carter@example.com")
    attendees = [{"name": "Sam Carter", "email": "sam.carter@example.com"}]
    calcom.answer = (200, {"data": {"uid": "b2", "attendees": attendees}})
    moved = ask(own, "reschedule_booking", booking_uid="b1", start="2026-06-01T15:30")
    cancelled = ask(own, "cancel_booking", booking_uid="b2")

    assert '"booking_uid": "b1", "start": "Friday 2026-05-29T10:00"' in found.content
    assert [asked.path for asked in calcom.got] == [
        "/v2/bookings?attendeeEmail=sam.carter%40example.com&status=upcoming",
        "/v2/bookings/b1/reschedule",
        "/v2/bookings/b2/cancel",
    ]
    assert calcom.got[1].json == {"start": "2026-06-01T14:30:00.000Z"}
    assert moved.booking is not None
    assert (moved.booking["action"], moved.booking["booking_uid"]) == ("rescheduled", "b2")
    assert cancelled.booking is not None
    assert cancelled.booking["action"] == "cancelled"
    assert "start" not in cancelled.booking
    assert cancelled.booking["attendee_name"] == "Sam Carter"


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("book_appointment", {**BOOK, "start": "Friday at ten"}, "start must be"),
        ("book_appointment", {**BOOK, "email": "sam at example"}, "no email address"),
        ("book_appointment", {**BOOK, "name": " "}, "name is missing"),
        ("book_appointment", {"start": BOOK["start"]}, "name, email missing"),
        ("check_availability", {"date": "soon"}, "date must be"),
        ("cancel_booking", {"booking_uid": "../../me"}, "booking_uid must be"),
    ],
)
def test_what_cannot_be_booked_reaches_no_calendar(
    calcom: CustomerServer, name: str, arguments: dict[str, str], why: str
):
    outcome = ask(tools(), name, **arguments)

    assert outcome.failed
    assert "Nothing was done" in outcome.content
    assert why in outcome.content
    assert calcom.got == []


def test_a_refusal_is_told_with_its_reason_and_an_unclear_answer_as_unknown(
    calcom: CustomerServer,
):
    calcom.answer = (400, {"status": "error", "error": {"message": "User is already booked."}})
    refused = ask(tools(), "book_appointment", **BOOK)
    calcom.answer = (502, b"bad gateway")
    unclear = ask(tools(), "book_appointment", **BOOK)

    assert refused == Outcome(
        "Nothing was done. The calendar says: User is already booked.", failed=True
    )
    assert unclear.failed
    assert "not known whether anything was written" in unclear.content
    assert unclear.booking is None


def test_a_calendar_is_set_shown_without_its_key_and_removed():
    number = PhoneNumberFactory.create()
    client = api_client(number.account)
    address = f"/v1/integrations/calcom/number/{number.phone_number}"
    sent = {"api_key": "cal_live_1", "username": "acme", "event_slug": "30min"}

    put = client.put(address, sent, content_type="application/json")
    shown = client.get(address).json()
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM agents_calendar")
        [stored] = cursor.fetchone()
    deleted = client.delete(address)

    assert shown == {
        "phone_number": number.phone_number,
        "api_key_set": True,
        "is_set": True,
        "username": "acme",
        "event_slug": "30min",
        "default_timezone": "Europe/London",
    }
    assert put.json() == {"ok": True, **shown}
    assert "cal_live_1" not in stored + put.content.decode()
    assert deleted.json()["deleted"] is True
    assert not Calendar.objects.exists()
    for missing in sent:
        refused = client.put(
            address, {**sent, missing: ""}, content_type="application/json"
        ).json()["error"]
        assert (refused["code"], refused["details"]) == ("missing_field", {"field": missing})
    zone = {**sent, "default_timezone": "Mars"}
    refused = client.put(address, zone, content_type="application/json").json()["error"]
    assert refused["code"] == "invalid_timezone"


# --- the read-back --------------------------------------------------------------------------------

MONDAY = datetime(2026, 3, 4 - 2, 10, 0)  # noqa: DTZ001 (in the calendar's zone, which is said)
MADE = {"action": "created", "start": "2026-03-02T10:00:00.000Z", "timezone": "Europe/London"}


def test_the_read_back_says_the_exact_arguments():
    assert question("en-GB", "create", start=MONDAY, name="Sam Carter", email="s@example.com") == (
        "Just to confirm: shall I book an appointment for Sam Carter, using s@example.com, on "
        "Monday 2 March at 10:00? Please say yes to confirm."
    )
    assert "Montag, dem 2. März, um 10:00 Uhr" in question("de", "reschedule", start=MONDAY)
    assert "lunes 2 de marzo a las 10:00" in question("es", "create", start=MONDAY)
    assert question("xx", "cancel").startswith("Just to confirm: shall I cancel")


def test_every_language_can_ask_for_everything_and_take_a_yes():
    for code, own in _languages().items():
        assert (len(own.weekdays), len(own.months), len(own.yes) > 2) == (7, 12, True), code
        asked = question(code, "create", start=MONDAY, name="Sam", email="s@example.com")
        assert "Sam" in asked, code
        assert "s@example.com" in asked, code
        assert "10:00" in asked, code
        assert "{" not in asked, code
        assert all(is_yes(code, f"{word}.") for word in own.yes), code
        texts = [text_of(code, booking) for booking in (MADE, MADE | {"action": "rescheduled"})]
        assert all("10:00" in text and "{" not in text for text in texts), code
        assert text_of(code, {"action": "cancelled"}) == own.cancelled


def test_a_text_of_a_booking_says_its_time_in_the_calendars_zone():
    assert text_of("en", MADE) == "Your appointment is booked for Monday 2 March at 10:00."
    there = MADE | {"timezone": "Asia/Dubai", "action": "rescheduled"}
    assert text_of("de-AT", there) == (
        "Ihr Termin wurde verlegt: Montag, dem 2. März, um 14:00 Uhr."
    )
    assert text_of("en", {"action": "created"}) == ""


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Yes.", True),
        ("en", "“Yes, please!”", True),
        ("en", "Yes, that’s correct.", True),
        ("fr", "Oui, je confirme.", True),
        ("ar", "نعم", True),
        ("zh", "是的。", True),
        ("es", "Yes.", True),
        ("en", "Yes, but make it eleven.", False),
        ("en", "No.", False),
        ("en", "", False),
        ("en", "Yes yes no", False),
        ("en", "I said yes to something else", False),
        ("en", "Oui", False),
    ],
)
def test_only_a_whole_reply_is_a_yes(language: str, text: str, expected: bool):
    assert is_yes(language, text) is expected


# --- beside a calendar that speaks the protocol ---------------------------------------------------


def test_an_appointment_lives_and_dies_in_the_sandboxs_calendar(settings: Any):
    with running_sandbox("calendar") as sandbox:
        settings.CALCOM_API_URL = sandbox.url
        own = tools()
        day = next_weekday()

        free = ask(own, "check_availability", date=day)
        made = ask(own, "book_appointment", **BOOK | {"start": f"{day}T14:00"})
        taken = ask(tools(), "book_appointment", **BOOK | {"start": f"{day}T14:00"})
        assert made.booking is not None
        uid = made.booking["booking_uid"]
        found = ask(own, "find_booking", email=BOOK["email"])
        moved = ask(own, "reschedule_booking", booking_uid=uid, start=f"{day}T15:30")
        assert moved.booking is not None
        gone = ask(own, "cancel_booking", booking_uid=moved.booking["booking_uid"])
        nothing = ask(own, "find_booking", email=BOOK["email"])

    assert f'{day}": ["09:00", "09:30"' in free.content
    assert taken.failed
    assert "already has booking" in taken.content
    assert f'"booking_uid": "{uid}"' in found.content
    assert f"{day}T14:00" in found.content
    assert moved.booking["booking_uid"] != uid
    assert gone.booking is not None
    assert gone.booking["attendee_name"] == "Sam Carter"
    assert nothing.content == "There is no upcoming booking with this email."


def next_weekday() -> str:
    day = datetime.now(UTC).date() + timedelta(days=1)
    while day.weekday() > 4:
        day += timedelta(days=1)
    return day.isoformat()
