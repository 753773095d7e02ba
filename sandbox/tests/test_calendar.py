"""The simulated calendar over HTTP, as a client of Cal.com meets it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from sandbox import faults, journal
from sandbox.calendar import api, diary

KEY = {"Authorization": "Bearer cal_live_1"}
SLOTS, BOOKINGS = {"cal-api-version": "2024-09-04"}, {"cal-api-version": "2024-08-13"}
EVENT = {"username": "acme", "eventTypeSlug": "30min"}
SAM = {"name": "Sam Carter", "email": "sam@example.com", "timeZone": "Europe/London"}
NOW = datetime(2026, 5, 28, 8, 0, tzinfo=UTC)  # a Thursday, 9:00 in London

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    app.add_routes(api.routes())
    with time_machine.travel(NOW):
        async with TestClient(TestServer(app)) as client:
            yield client
    faults.clear()


async def ask(client: Client, method: str, path: str, **options: Any) -> tuple[int, Any]:
    version = SLOTS if path.startswith("/v2/slots") else BOOKINGS
    headers = KEY | version | options.pop("headers", {})
    async with client.request(method, path, headers=headers, **options) as answer:
        return answer.status, await answer.json()


async def free(client: Client, day: str, zone: str = "Europe/London", slug: str = "30min") -> Any:
    query = {"username": "acme", "eventTypeSlug": slug, "start": day, "end": day, "timeZone": zone}
    _, said = await ask(client, "GET", "/v2/slots", params=query)
    return [one["start"] for one in said["data"].get(day, [])]


async def book(client: Client, start: str, **changes: Any) -> tuple[int, Any]:
    body = EVENT | {"start": start, "attendee": SAM} | changes
    return await ask(client, "POST", "/v2/bookings", json=body)


async def test_a_working_day_is_free_by_the_event_types_length_in_the_zone_asked_for(
    client: Client,
):
    friday = await free(client, "2026-05-29")

    assert (len(friday), friday[0], friday[-1]) == (
        16, "2026-05-29T09:00:00.000+01:00", "2026-05-29T16:30:00.000+01:00"
    )  # fmt: skip
    assert (await free(client, "2026-05-29", "America/New_York"))[0] == (
        "2026-05-29T04:00:00.000-04:00"
    )
    assert len(await free(client, "2026-05-29", slug="60min")) == 8
    assert await free(client, "2026-05-30") == []  # a Saturday
    assert (await free(client, "2026-05-28"))[0] == "2026-05-28T09:30:00.000+01:00"  # 9:00 is now


async def test_a_booking_takes_its_time_and_cannot_be_made_twice(client: Client):
    seen = journal.last()
    status, said = await book(client, "2026-05-29T09:00:00.000Z")
    again, refusal = await book(client, "2026-05-29T09:00:00.000Z")
    overlapping, _ = await book(client, "2026-05-29T09:00:00.000Z", eventTypeSlug="60min")

    assert status == 201
    booking = said["data"]
    assert (booking["status"], booking["start"], booking["end"]) == (
        "accepted", "2026-05-29T09:00:00.000Z", "2026-05-29T09:30:00.000Z"
    )  # fmt: skip
    assert booking["attendees"] == [SAM | {"absent": False}]
    assert (again, overlapping) == (400, 400)
    assert refusal["status"] == "error"
    assert refusal["error"]["code"] == "BadRequestException"
    assert "already has booking" in refusal["error"]["message"]
    assert "2026-05-29T10:00:00.000+01:00" not in await free(client, "2026-05-29")
    [noted] = journal.events(seen, kind="booking_created")
    assert (noted["uid"], noted["attendee_name"]) == (booking["uid"], "Sam Carter")


@pytest.mark.parametrize(
    "start",
    [
        "2026-05-29T07:30:00.000Z",  # before nine
        "2026-05-29T16:00:00.000Z",  # five o'clock
        "2026-05-30T09:00:00.000Z",  # a Saturday
        "2026-05-29T09:10:00.000Z",  # between two slots
        "2026-05-27T09:00:00.000Z",  # yesterday
    ],
)
async def test_what_is_not_a_slot_is_not_booked(client: Client, start: str):
    status, _ = await book(client, start)

    assert status == 400
    assert await ask(client, "GET", "/v2/bookings") == (200, {"status": "success", "data": []})


async def test_a_booking_moves_and_frees_its_old_time_then_is_cancelled_once(client: Client):
    _, made = await book(client, "2026-05-29T09:00:00.000Z")
    old = made["data"]["uid"]

    moved_status, moved = await ask(
        client, "POST", f"/v2/bookings/{old}/reschedule", json={"start": "2026-05-29T13:00:00.000Z"}
    )
    new = moved["data"]["uid"]
    email = {"attendeeEmail": "SAM@example.com", "status": "upcoming"}
    _, upcoming = await ask(client, "GET", "/v2/bookings", params=email)
    cancelled_status, cancelled = await ask(
        client, "POST", f"/v2/bookings/{new}/cancel", json={"cancellationReason": "ill"}
    )
    again, _ = await ask(client, "POST", f"/v2/bookings/{new}/cancel", json={})
    too_late, _ = await ask(
        client, "POST", f"/v2/bookings/{old}/reschedule", json={"start": "2026-05-29T14:00:00.000Z"}
    )

    assert (moved_status, moved["data"]["rescheduledFromUid"]) == (201, old)
    assert [one["uid"] for one in upcoming["data"]] == [new]
    assert (cancelled_status, cancelled["data"]["status"]) == (200, "cancelled")
    assert cancelled["data"]["cancellationReason"] == "ill"
    assert (again, too_late) == (400, 400)
    assert len(await free(client, "2026-05-29")) == 16


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"headers": {"Authorization": "Bearer invalid"}}, 401, "api key is not valid"),
        ({"headers": {"cal-api-version": "2024-06-11"}}, 404, "must be 2024-08-13"),
        ({"json": {"start": "soon"}}, 400, "eventTypeSlug + username"),
        ({"json": EVENT | {"start": "soon", "attendee": SAM}}, 400, "start must be"),
        ({"json": EVENT | {"start": "2026-05-29T09:00Z"}}, 400, "attendee must be"),
        ({"json": EVENT | {"note": "x"}}, 400, "property note should not exist"),
        ({"json": EVENT | {"username": "unknown"}}, 404, "user unknown not found"),
        (
            {"json": EVENT | {"start": "2026-05-29T09:00Z", "attendee": SAM | {"email": "sam"}}},
            400,
            "attendee.email",
        ),
    ],
)
async def test_what_the_real_one_refuses_is_refused(
    client: Client, changes: dict[str, Any], status: int, said: str
):
    answer, body = await ask(client, "POST", "/v2/bookings", **changes)

    assert answer == status
    assert said in body["error"]["message"]


async def test_one_key_does_not_see_anothers_bookings(client: Client):
    _, made = await book(client, "2026-05-29T09:00:00.000Z")
    other = {"Authorization": "Bearer cal_live_2"}

    _, listed = await ask(client, "GET", "/v2/bookings", headers=other)
    status, _ = await ask(client, "GET", f"/v2/bookings/{made['data']['uid']}", headers=other)

    assert listed["data"] == []
    assert status == 404


async def test_it_fails_when_told_to(client: Client):
    faults.put({"calendar": {"refuse": 503, "count": 1}})

    refused, _ = await book(client, "2026-05-29T09:00:00.000Z")
    made, _ = await book(client, "2026-05-29T09:00:00.000Z")

    assert (refused, made) == (503, 201)


def test_an_event_types_name_says_how_long_it_takes():
    minutes = {slug: diary.length(slug).total_seconds() / 60 for slug in ("15min", "check-up")}

    assert minutes == {"15min": 15, "check-up": 30}
