from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpResponse

from accounts.factories import api_client
from agents.factories import CallerFactory, PhoneNumberFactory
from agents.models import Agent, Caller, PhoneNumber
from agents.tests.customer_server import CustomerServer, running_customer_server
from agents.tests.twilio_side import knock
from calls import gate, live, openings, tickets
from calls.factories import new_sid
from calls.models import Call
from calls.tests.test_webhooks import verbs

pytestmark = pytest.mark.django_db

SAM = "+447386172392"


@pytest.fixture
def customer(settings: Any) -> Iterator[CustomerServer]:
    settings.OUTBOUND_ALLOW_PRIVATE = True
    with running_customer_server() as server:
        yield server


@pytest.fixture
def number(customer: CustomerServer) -> PhoneNumber:
    return PhoneNumberFactory.create(precall_webhook_url=customer.url)


def rings(number: PhoneNumber, sid: str = "") -> HttpResponse:
    return knock(
        "voice", number, CallSid=sid or new_sid(), From=SAM, To=number.phone_number,
        CallStatus="ringing", Direction="inbound",
    )  # fmt: skip


def opened(call: Call) -> live.LiveCall:
    return live.open_media(tickets.issue(call), call.carrier_sid)


def test_the_gate_is_asked_once_before_the_call_is_answered(
    number: PhoneNumber, customer: CustomerServer
):
    customer.answer = (200, {"action": "accept"})
    sid = new_sid()

    assert verbs(rings(number, sid)) == ["Pause", "Connect", "Redirect"]
    rings(number, sid)

    call = Call.objects.get()
    assert [one.json for one in customer.got] == [
        {
            "event": "call.inbound",
            "from": SAM,
            "to": number.phone_number,
            "call_id": call.call_id,
        }
    ]


def test_a_call_the_gate_turns_away_is_busy_and_leaves_no_row(
    number: PhoneNumber, customer: CustomerServer
):
    customer.answer = (200, {"action": "reject", "reason": "no_credit"})

    assert verbs(rings(number)) == ["Reject"]
    assert not Call.objects.exists()


def test_an_opening_is_prepared_for_those_whom_the_gate_lets_in(
    number: PhoneNumber, customer: CustomerServer
):
    openings._valkey().delete(openings.WANTED)
    customer.answer = (200, {"action": "reject"})
    rings(number)
    assert not openings._valkey().exists(openings.WANTED)

    customer.answer = (200, {"action": "accept"})
    rings(number)

    call = Call.objects.get()
    assert openings._valkey().lpop(openings.WANTED) == str(call.pk).encode()


def test_no_opening_is_prepared_where_nobody_hears_it_ring(
    number: PhoneNumber, customer: CustomerServer
):
    openings._valkey().delete(openings.WANTED)
    Agent.objects.update(pickup_delay=0)

    assert verbs(rings(number)) == ["Connect", "Redirect"]

    assert not openings._valkey().exists(openings.WANTED)


@pytest.mark.parametrize(
    ("status", "said"),
    [(500, {"action": "reject"}), (302, {}), (200, ["reject"]), (200, b"no"), (200, {})],
)
def test_a_broken_gate_is_open(
    number: PhoneNumber, customer: CustomerServer, status: int, said: Any
):
    customer.answer = (status, said)

    assert "Connect" in verbs(rings(number))
    assert Call.objects.get().status == "ringing"


def test_a_gate_that_cannot_be_reached_or_must_not_be_is_open(settings: Any):
    settings.OUTBOUND_ALLOW_PRIVATE = False
    number = PhoneNumberFactory.create(precall_webhook_url="https://169.254.169.254/latest")

    assert "Connect" in verbs(rings(number))


def test_the_numbers_gate_wins_over_the_agents(customer: CustomerServer, settings: Any):
    number = PhoneNumberFactory.create(
        precall_webhook_url=customer.url, agent__precall_webhook_url="http://127.0.0.1:1/never"
    )
    rings(number)
    assert len(customer.got) == 1

    Agent.objects.update(precall_webhook_url=customer.url)
    PhoneNumber.objects.update(precall_webhook_url=None)
    rings(number)
    assert len(customer.got) == 2


def test_what_the_gate_tells_of_the_caller_holds_for_this_call_alone(
    number: PhoneNumber, customer: CustomerServer
):
    CallerFactory.create(number=number, location="Leeds", caller_number=SAM)
    told = {
        "name": "Sam Carter", "email": "not an address", "reference_id": "x" * 65,
        "shoe_size": "44", "preference": "prefers morning appointments",
    }  # fmt: skip
    customer.answer = (200, {"action": "accept", "caller": told})

    assert "Connect" in verbs(rings(number))
    first = opened(Call.objects.get())

    assert first.opening == "Hello Sam! How can I help you today?"
    assert (
        "Name: Sam Carter\nLocation: Leeds\nPreference: prefers morning appointments"
        in first.system_call
    )
    assert Caller.objects.get().name == "Sarah Johnson"
    cache.clear()  # an hour later
    assert "Name: Sarah Johnson\nLocation: Leeds" in opened(Call.objects.get()).system_call


def test_a_gate_that_tells_nothing_leaves_what_is_on_file(
    number: PhoneNumber, customer: CustomerServer
):
    customer.answer = (200, {"action": "accept", "caller": "Sam"})
    rings(number)

    assert gate.told_of(Call.objects.get()) == {}


def test_a_gate_is_set_shown_and_removed(number: PhoneNumber, settings: Any):
    settings.OUTBOUND_ALLOW_PRIVATE = False
    client = api_client(number.account)
    agent: Any = number.agent
    for address, named in (
        (f"/v1/integrations/precall/number/{number.phone_number}",
         {"phone_number": number.phone_number}),
        (f"/v1/integrations/precall/agent/{agent.agent_id}", {"agent_id": agent.agent_id}),
    ):  # fmt: skip
        put = client.put(
            address, {"url": "https://acme.example/gate"}, content_type="application/json"
        )
        shown = {**named, "precall_webhook_url": "https://acme.example/gate", "is_set": True}
        assert put.json() == {"ok": True, **shown}
        assert client.get(address).json() == shown

        bad = client.put(address, {"url": "http://10.0.0.1/"}, content_type="application/json")
        assert (bad.status_code, bad.json()["error"]["code"]) == (400, "invalid_url")

        assert client.delete(address).json() == {"ok": True, "deleted": True, **named}
        assert client.get(address).json() == {
            **named, "precall_webhook_url": None, "is_set": False,
        }  # fmt: skip
