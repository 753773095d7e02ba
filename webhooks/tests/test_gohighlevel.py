"""A finished call becomes a note on the person's contact."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from accounts.tests.loopback import Handler, serving
from webhooks import outbox
from webhooks.delivery import deliver_due
from webhooks.factories import EndpointFactory
from webhooks.gohighlevel import Crm, body_for
from webhooks.models import Attempt, Delivery, Endpoint

pytestmark = pytest.mark.django_db

CALL: dict[str, Any] = {
    "event": "call.completed", "call_id": "call_1", "direction": "outbound",
    "from": "+447446466847", "to": "+447386172392", "ended_reason": "completed",
    "started_at": "2026-11-22T12:00:00.000Z", "summary": "Amir booked Tuesday.",
    "successful": True, "extracted": {"caller_name": "Amir", "budget": None}, "recording_url": None,
}  # fmt: skip
NOTE = (
    "Outbound call, 2026-11-22T12:00:00.000Z\nOutcome: successful (completed)\n"
    "Amir booked Tuesday.\ncaller_name: Amir\nCall call_1"
)


class Location:
    """GoHighLevel's API on loopback; ``answers`` overrides the status of a path's last part."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: dict[str, int] = {}
        self.contact: Any = {"id": "ct/1"}


@pytest.fixture
def location(settings) -> Iterator[Location]:
    location = Location()

    class Contacts(Handler):
        def do_POST(self) -> None:
            location.asked.append((self.path, json.loads(self.body())))
            location.headers.append(self.sent_headers())
            status = location.answers.get(self.path.rpartition("/")[2], 201)
            self.say_json(status, {"new": True, "contact": location.contact})

    with serving(Contacts) as port:
        settings.OUTBOUND_ALLOW_PRIVATE = True
        settings.GOHIGHLEVEL_API_URL = f"http://127.0.0.1:{port}"
        yield location


def told(tags: tuple[str, ...] = ("called",)) -> Delivery:
    endpoint = EndpointFactory.create(
        owner=Endpoint.Owner.NUMBER, phone_number="+447446466847",
        kind=Endpoint.Kind.GOHIGHLEVEL, credentials=Crm("pit-1", "loc-1", tags).stored(),
    )  # fmt: skip
    event = outbox.emit(endpoint.account, "call.completed", CALL, phone_number="+447446466847")
    assert event is not None
    deliver_due()
    return Delivery.objects.get(event=event)


def test_the_contact_is_found_by_phone_tagged_and_gets_the_note(location: Location):
    delivery = told()

    assert delivery.status == "delivered"
    assert location.asked == [
        ("/contacts/upsert", {"locationId": "loc-1", "phone": "+447386172392"}),
        ("/contacts/ct%2F1/tags", {"tags": ["called"]}),
        ("/contacts/ct%2F1/notes", {"body": NOTE}),
    ]
    assert {headers["authorization"] for headers in location.headers} == {"Bearer pit-1"}
    assert {headers["version"] for headers in location.headers} == {"2021-07-28"}


def test_the_token_is_in_no_log_of_attempts(location: Location):
    told()

    assert "pit-1" not in json.dumps(Attempt.objects.get().headers)


def test_a_token_that_is_refused_is_final_and_nothing_is_written(location: Location):
    location.answers = {"upsert": 401}

    delivery = told()

    assert (delivery.status, delivery.error) == ("failed", "HTTP 401")
    assert [path for path, _ in location.asked] == ["/contacts/upsert"]


def test_a_note_that_failed_is_tried_again_and_written_once(location: Location):
    location.answers = {"notes": 503}
    delivery = told(tags=())
    assert delivery.status == "pending"

    location.answers = {}
    Delivery.objects.filter(pk=delivery.pk).update(due_at=timezone.now())
    Endpoint.objects.update(rests_until=None)
    deliver_due()

    delivery.refresh_from_db()
    assert delivery.status == "delivered"
    assert [path for path, _ in location.asked][2:] == [
        "/contacts/upsert",
        "/contacts/ct%2F1/notes",
    ]


def test_an_answer_without_a_contact_is_a_failure_that_is_tried_again(location: Location):
    location.contact = None

    delivery = told()

    assert (delivery.status, delivery.error) == ("pending", "no contact in the answer")


def test_an_inbound_call_is_noted_on_who_called():
    body = body_for(CALL | {"direction": "inbound", "successful": None, "extracted": None})

    assert body["phone"] == "+447446466847"
    assert "Outcome: not judged (completed)" in body["note"]
