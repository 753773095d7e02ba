import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.factories import ApiKeyFactory
from agents.factories import AgentFactory, PhoneNumberFactory
from calls.factories import CallFactory, TransferFactory, TurnFactory
from calls.models import Call, CallEvent

pytestmark = pytest.mark.django_db

TO = "+447386172392"


class Api:
    """An account with a key, an agent and a number."""

    def __init__(self) -> None:
        self.key: Any = ApiKeyFactory.create()
        self.account = self.key.account
        self.agent = AgentFactory.create(account=self.account)
        self.number = PhoneNumberFactory.create(account=self.account, agent=self.agent)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        return Client().generic(
            method,
            f"/v1{path}",
            data=body if isinstance(body, str) else json.dumps(body),
            content_type="application/json",
            headers={"Authorization": self.key.header},
        )

    def get(self, path: str) -> Any:
        return self.send("GET", path, "")

    def place(self, path: str = "/calls/outbound", **changes: Any) -> Any:
        asked = {
            "agent_id": self.agent.agent_id,
            "to_number": TO,
            "from_number": self.number.phone_number,
        }
        return self.send("POST", path, asked | changes)


@pytest.fixture
def api() -> Api:
    return Api()


# --- placing --------------------------------------------------------------------------------------


def test_a_call_is_placed_without_a_prompt_and_answered_in_every_generations_words(api: Api):
    answer = api.place(metadata={"order": 7, "tags": ["a"]})

    call = Call.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "call_id": call.call_id,
        "status": "initiated",
        "agent_id": api.agent.agent_id,
        "to": TO,
        "to_number": TO,
        "from": api.number.phone_number,
        "from_number": api.number.phone_number,
        "metadata": {"order": 7, "tags": ["a"]},
    }
    assert (call.status, call.direction, call.account) == ("queued", "outbound", api.account)
    assert call.metadata == {"order": 7, "tags": ["a"]}


def test_the_older_path_places_calls_too(api: Api):
    assert api.place("/calls").status_code == 201


def test_variables_of_all_three_names_are_merged(api: Api):
    api.place(
        prompt=" Say hi to {name}. ",
        dynamic_variables={"name": "A", "x": 1},
        dynamic_vars={"name": "B", "y": True},
        variables={"name": "C"},
    )

    call = Call.objects.get()
    assert call.variables == {"name": "C", "x": 1, "y": True}
    assert call.prompt == "Say hi to {name}."


def test_any_outbound_number_of_the_account_may_be_called_from(api: Api):
    other = PhoneNumberFactory.create(account=api.account, agent=None)

    assert api.place(from_number=other.phone_number).status_code == 201
    assert Call.objects.get().number == other


@pytest.mark.parametrize("absent", [None, ""])
def test_without_from_number_the_agents_first_outbound_number_calls(api: Api, absent: Any):
    PhoneNumberFactory.create(account=api.account, agent=api.agent)

    assert api.place(from_number=absent).json()["from"] == api.number.phone_number


def test_the_agents_own_old_number_is_the_last_resort(api: Api):
    agent = AgentFactory.create(account=api.account, phone_number=api.number.phone_number)

    answer = api.place(agent_id=agent.agent_id, from_number=None)

    assert answer.json()["from"] == api.number.phone_number


def test_unknown_fields_and_nulls_are_no_trouble(api: Api):
    answer = api.place(
        prompt=None, variables=None, metadata=None, campaign_id=None, voicemail_action=None, x=1
    )

    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"agent_id": None}, 400, "missing_field", "agent_id"),
        ({"agent_id": " "}, 400, "missing_field", "agent_id"),
        ({"agent_id": None, "to_number": "nonsense"}, 400, "missing_field", "agent_id"),
        ({"to_number": None, "to": TO}, 400, "missing_field", "to_number"),
        ({"to_number": "07386172392"}, 400, "invalid_phone_format", "to_number"),
        ({"to_number": "+44738"}, 400, "invalid_phone_format", "to_number"),
        ({"to_number": 447386172392}, 400, "invalid_phone_format", "to_number"),
        ({"from_number": "0744"}, 400, "invalid_phone_format", "from_number"),
        # E.164 comes before the agent
        ({"agent_id": "agent_0", "to_number": "1"}, 400, "invalid_phone_format", "to_number"),
        ({"agent_id": "agent_0000000000000000"}, 404, "agent_not_found", "agent_id"),
        ({"agent_id": 5}, 400, "invalid_request", "agent_id"),
        ({"from_number": "+447446999999"}, 400, "from_number_not_found", "from_number"),
        ({"prompt": 5}, 400, "invalid_request", "prompt"),
        ({"prompt": "x" * 16001}, 400, "prompt_too_long", "prompt"),
        ({"variables": ["a"]}, 400, "invalid_request", "variables"),
        ({"variables": {"a": {"b": 1}}}, 400, "invalid_request", "variables.a"),
        ({"metadata": "x"}, 400, "invalid_request", "metadata"),
        ({"metadata": {"a": "x" * 65_536}}, 400, "invalid_request", "metadata"),
        ({"variables": {"a": "x" * 65_536}}, 400, "invalid_request", "variables"),
        ({"voicemail_action": "sing"}, 400, "invalid_request", "voicemail_action"),
    ],
)
def test_a_refused_call_says_what_is_wrong_and_leaves_no_row(
    api: Api, changes: dict[str, Any], status: int, code: str, field: str | None
):
    answer = api.place(**changes)

    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["details"].get("field") == field
    assert not Call.objects.exists()
    assert not CallEvent.objects.exists()


def _foreign_agent(api: Api) -> dict[str, Any]:
    return {"agent_id": AgentFactory.create().agent_id}


def _inactive_agent(api: Api) -> dict[str, Any]:
    return {"agent_id": AgentFactory.create(account=api.account, is_active=False).agent_id}


def _foreign_number(api: Api) -> dict[str, Any]:
    return {"from_number": PhoneNumberFactory.create().phone_number}


def _inbound_only(api: Api) -> dict[str, Any]:
    number = PhoneNumberFactory.create(account=api.account, agent=api.agent, outbound_enabled=False)
    return {"from_number": number.phone_number}


def _no_number(api: Api) -> dict[str, Any]:
    return {"agent_id": AgentFactory.create(account=api.account).agent_id, "from_number": None}


def _no_credentials(api: Api) -> dict[str, Any]:
    api.number.carrier_account.auth_token = ""
    api.number.carrier_account.save()
    return {}


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        (_foreign_agent, 404, "agent_not_found"),
        (_inactive_agent, 404, "agent_not_found"),
        (_foreign_number, 400, "from_number_not_found"),
        (_inbound_only, 400, "from_number_not_found"),
        (_no_number, 400, "agent_missing_phone_number"),
        (_no_credentials, 400, "agent_missing_twilio_credentials"),
    ],
)
def test_what_the_account_does_not_have_cannot_call(api: Api, given: Any, status: int, code: str):
    answer = api.place(**given(api))

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert not Call.objects.exists()


@pytest.mark.parametrize(("body", "code"), [("{", "invalid_json"), ("[]", "invalid_body")])
def test_a_body_that_is_no_object_is_refused(api: Api, body: str, code: str):
    answer = api.send("POST", "/calls/outbound", body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_without_a_key_nothing_is_placed(api: Api):
    answer = Client().post("/v1/calls/outbound", {}, content_type="application/json")

    assert answer.status_code == 401
    assert not Call.objects.exists()


# --- reading --------------------------------------------------------------------------------------


def test_a_call_in_progress_has_no_ended_reason_yet(api: Api):
    call = CallFactory.create(account=api.account, live=True)

    shown = api.get(f"/calls/{call.call_id}").json()

    assert (shown["call_status"], shown["ended_reason"], shown["end_timestamp"]) == (
        "in-progress",
        None,
        None,
    )


def test_a_finished_call_is_shown_whole(api: Api, settings: Any):
    call = CallFactory.create(
        account=api.account, over=True, metadata={"a": 1}, recording_file="x.wav", prompt="Hi"
    )
    TurnFactory.create(call=call, sequence=0, role="agent", text="Hello,\nis this Sarah?")
    TurnFactory.create(call=call, sequence=1, role="caller", text="Yes.")

    shown = api.get(f"/calls/{call.call_id}").json()

    assert call.answered_at is not None
    assert call.ended_at is not None
    assert shown["call_id"] == call.call_id
    assert shown["agent_id"] == call.agent_public_id
    assert shown["call_direction"] == shown["call_type"] == shown["direction"] == "outbound"
    assert shown["call_status"] == shown["status"] == "completed"
    assert shown["ended_reason"] == "callee_hangup"
    assert shown["from"] == shown["from_number"] == call.from_number
    assert shown["to"] == shown["to_number"] == call.to_number
    assert shown["start_timestamp"] == round(call.created_at.timestamp() * 1000)
    assert shown["answered_at"] == round(call.answered_at.timestamp() * 1000)
    assert shown["end_timestamp"] == round(call.ended_at.timestamp() * 1000)
    assert (shown["duration_ms"], shown["duration_seconds"]) == (37_000, 37)
    assert shown["transcript"] == "AI: Hello, is this Sarah?\nCaller: Yes."
    assert shown["metadata"] == {"a": 1}
    assert shown["carrier_sid"] == call.carrier_sid
    assert shown["created_at"].endswith("Z")
    assert shown["recording_url"].startswith(
        f"{settings.PUBLIC_URL}/recordings/{call.call_id}.wav?s="
    )
    for empty in ("call_summary", "caller_sentiment", "call_successful", "amd_result"):
        assert shown[empty] is None
    assert (shown["extracted_data"], shown["bookings"]) == ({}, [])
    assert (shown["voicemail_detected"], shown["voicemail_detection_method"]) == (False, None)


def test_a_call_shows_to_whom_it_was_put_through(api: Api):
    call = CallFactory.create(account=api.account, live=True)
    TransferFactory.create(call=call, number=1, failed=True, warm=True, to_number="+442087600001")
    taken = TransferFactory.create(call=call, number=2, bridged=True)

    shown = api.get(f"/calls/{call.call_id}").json()["transfers"]
    listed = api.get("/calls").json()[0]["transfers"]

    assert [(one["to_number"], one["type"], one["status"], one["failure"]) for one in shown] == [
        ("+442087600001", "warm", "failed", "no-answer"),
        ("+442087601234", "cold", "bridged", None),
    ]
    assert shown[0]["bridged_at"] is None
    assert taken.bridged_at is not None
    assert shown[1]["bridged_at"] == round(taken.bridged_at.timestamp() * 1000)
    assert "token" not in shown[0]
    assert listed == shown


def test_a_call_answers_to_the_carriers_id_too(api: Api):
    call = CallFactory.create(account=api.account, live=True)

    assert api.get(f"/calls/{call.carrier_sid}").json()["call_id"] == call.call_id


@pytest.mark.parametrize("path", ["call_0000000000000000", "{theirs}", "{their_sid}", "%00"])
def test_a_call_that_is_not_ours_is_not_found(api: Api, path: str):
    theirs = CallFactory.create(live=True)

    path = path.format(theirs=theirs.call_id, their_sid=theirs.carrier_sid)
    answer = api.get(f"/calls/{path}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "call_not_found")


@pytest.mark.parametrize(
    ("heard", "meant", "shown"),
    [
        ("I can do Tuesday at", "I can do Tuesday at two.", True),
        ("I can", "I can do Tuesday at two.", False),
        ("", "I can do Tuesday at two.", False),
    ],
)
def test_an_interrupted_sentence_counts_if_most_of_it_was_heard(
    api: Api, heard: str, meant: str, shown: bool
):
    call = CallFactory.create(account=api.account, live=True)
    TurnFactory.create(call=call, text=heard, full_text=meant, interrupted=True)

    transcript = api.get(f"/calls/{call.call_id}").json()["transcript"]

    assert transcript == (f"AI: {heard}" if shown else "")


def test_the_list_is_a_bare_array_of_our_calls_newest_first(
    api: Api, django_assert_max_num_queries: Any
):
    calls = [CallFactory.create(account=api.account) for _ in range(3)]
    CallFactory.create()
    api.get("/calls")  # the key's last use is on record now

    with django_assert_max_num_queries(4):
        listed = api.get("/calls").json()

    assert [call["call_id"] for call in listed] == [call.call_id for call in reversed(calls)]
    assert [call["call_id"] for call in api.get("/calls?limit=1&offset=1").json()] == [
        calls[1].call_id
    ]


def test_the_list_can_be_filtered(api: Api):
    day = timezone.now().replace(year=2026, month=3, day=1, hour=12, minute=0, second=0)
    old = CallFactory.create(
        account=api.account, over=True, created_at=day, campaign_id="batchcall_1"
    )
    new = CallFactory.create(account=api.account, inbound=True)

    def ids(query: str) -> list[str]:
        return [call["call_id"] for call in api.get(f"/calls?{query}").json()]

    assert ids(f"agent_id={old.agent_public_id}") == [old.call_id]
    assert ids("campaign_id=batchcall_1") == [old.call_id]
    assert ids("direction=inbound") == [new.call_id]
    assert ids("status=completed") == [old.call_id]
    assert ids("status=no_answer") == []
    assert ids("since=2026-03-02") == [new.call_id]
    assert ids("until=2026-03-01T12:30:00Z") == [old.call_id]
    assert ids("until=2026-03-01T13:30:00+01:00") == [old.call_id]
    assert ids(f"until={round(day.timestamp() * 1000) + 1}") == [old.call_id]
    assert ids("voicemail_detected=true") == []
    assert ids("since=&direction=") == [new.call_id, old.call_id]


@pytest.mark.parametrize(
    "query",
    [
        "direction=up",
        "status=odd",
        "since=soon",
        "until=2026-13-01",
        "call_successful=perhaps",
        "limit=x",
        "since=99999999999999999999",
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(api: Api, query: str):
    answer = api.get(f"/calls?{query}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert answer.json()["error"]["details"]["field"] == query.partition("=")[0]
