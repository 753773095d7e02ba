import json
import re
from typing import Any

import pytest

from accounts.factories import AccountFactory, ApiKeyFactory, api_client
from agents.factories import AgentFactory, PhoneNumberFactory
from agents.models import Agent, PhoneNumber

pytestmark = pytest.mark.django_db

DEFAULTS = {
    "name": "Untitled Agent",
    "system_prompt": "You are a friendly assistant.",
    "welcome_message": "Hello! How can I help you today?",
    "voice_id": "Ashley",
    "language": "multi",
    "timezone": "Europe/London",
    "llm_model": "default",
    "is_active": True,
    "temperature": 0.3,
    "response_length": "short",
    "ai_speaks_first": True,
    "dynamic_greeting": False,
    "greet_by_name": True,
    "interruption_sensitivity": 50,
    "response_eagerness": 200,
    "boosted_keywords": None,
    "pickup_delay": 10,
    "stt_confidence": None,
    "stt_max_silence_ms": None,
    "fallback_message": "I am sorry, could you say that again?",
    "speaking_rate": None,
    "voice_speed": 0.85,
    "max_call_duration_seconds": 600,
    "silence_hangup_seconds": 30,
    "ivr_timeout_seconds": 240,
    "wait_tag_seconds": 30,
    "record_call": True,
    "recording_source": "provider",
    "amd_enabled": True,
    "dtmf_enabled": None,
    "require_booking_confirmation": False,
    "voicemail_leave_enabled": False,
    "voicemail_message": None,
    "hangup_on_ivr": False,
    "webhook_url": None,
    "func_end_call": True,
    "incall_sms_enabled": False,
    "transfer_type": "cold",
    "transfer_number": None,
    "transfer_whisper": None,
    "identity_check": "name",
    "func_send_sms": False,
    "func_cold_transfer": False,
    "functions": [],
    "enable_post_call_analysis": True,
    "data_extraction_fields": [],
    "extraction_schema": None,
    "post_call_sms_enabled": False,
    "post_call_sms_template": None,
    "enable_sms_reply": True,
    "sms_reply_window_hours": 24,
    "phone_number": None,
}
# Another value of each, and how it comes back where that differs.
OTHERS: dict[str, Any] = {
    "name": "Acme Dental",
    "system_prompt": "You answer for Acme Dental.",
    "welcome_message": "",
    "voice_id": "aura-2-luna-en",
    "language": "en-GB",
    "timezone": "America/New_York",
    "llm_model": "claude-haiku-4-5",
    "is_active": False,
    "temperature": 0,
    "response_length": "long",
    "ai_speaks_first": False,
    "dynamic_greeting": True,
    "greet_by_name": False,
    "interruption_sensitivity": 100,
    "response_eagerness": 0,
    "boosted_keywords": "Acme, crown",
    "pickup_delay": 5,
    "stt_confidence": 0.5,
    "stt_max_silence_ms": 700,
    "fallback_message": "Pardon?",
    "speaking_rate": 1.2,
    "voice_speed": 1.0,
    "max_call_duration_seconds": 1800,
    "silence_hangup_seconds": 5,
    "ivr_timeout_seconds": 60,
    "wait_tag_seconds": 120,
    "record_call": False,
    "recording_source": "nixflex",
    "amd_enabled": False,
    "dtmf_enabled": False,
    "require_booking_confirmation": True,
    "voicemail_leave_enabled": True,
    "voicemail_message": "Please call us back.",
    "hangup_on_ivr": True,
    "webhook_url": "https://acme.example/hook",
    "func_end_call": False,
    "incall_sms_enabled": True,
    "transfer_type": "warm",
    "transfer_number": "+442087601234",
    "transfer_whisper": "A patient.",
    "identity_check": "reference_id",
    "func_send_sms": True,
    "func_cold_transfer": True,
    "functions": [{"name": "lookup", "url": "https://acme.example/lookup"}],
    "enable_post_call_analysis": False,
    "data_extraction_fields": [{"type": "boolean", "name": "is_new", "description": "New?"}],
    "extraction_schema": {"is_new": "boolean"},
    "post_call_sms_enabled": True,
    "post_call_sms_template": "Thanks, {caller_name}.",
    "enable_sms_reply": False,
    "sms_reply_window_hours": 720,
    "phone_number": "+447446466847",
}


def post(client: Any, body: Any) -> Any:
    return client.post("/v1/agents", body, content_type="application/json")


def put(client: Any, agent: Agent, body: Any) -> Any:
    return client.put(f"/v1/agents/{agent.agent_id}", body, content_type="application/json")


def test_an_empty_body_makes_an_agent_with_the_documented_defaults():
    key = ApiKeyFactory.create()
    client = api_client(key.account)

    response = post(client, {})

    made = response.json()
    assert response.status_code == 201
    assert re.fullmatch(r"agent_[0-9a-f]{16}", made.pop("agent_id"))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made.pop("id"))
    assert made.pop("api_key_id").startswith("nxf_")
    assert made.pop("created_at").endswith("Z")
    assert made.pop("updated_at").endswith("Z")
    assert made == DEFAULTS


def test_every_field_is_kept_and_shown():
    assert OTHERS.keys() == DEFAULTS.keys()
    client = api_client()

    made = post(client, OTHERS).json()

    assert {name: made[name] for name in OTHERS} == OTHERS
    again = client.get(f"/v1/agents/{made['agent_id']}").json()
    assert again == made


def test_no_field_can_be_set_by_the_server_alone():
    made = post(
        api_client(),
        {
            "id": "x",
            "agent_id": "agent_0000000000000000",
            "api_key_id": "nxf_x",
            "account": 1,
            "created_at": "2020-01-01T00:00:00Z",
        },
    ).json()

    assert made["agent_id"] != "agent_0000000000000000"
    assert made["api_key_id"] != "nxf_x"
    assert not made["created_at"].startswith("2020")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("name", "x" * 101, "invalid_request"),
        ("name", "", "invalid_request"),
        ("name", 5, "invalid_request"),
        ("name", None, "invalid_request"),
        ("system_prompt", "x" * 16_001, "prompt_too_long"),
        ("system_prompt", ["x"], "invalid_request"),
        ("voice_id", "Nobody", "invalid_voice_id"),
        ("voice_id", "aura-2", "invalid_voice_id"),
        ("voice_id", "", "invalid_voice_id"),
        ("language", "xx", "invalid_language"),
        ("language", "english", "invalid_language"),
        ("language", "", "invalid_language"),
        ("timezone", "Mars/Olympus", "invalid_timezone"),
        ("timezone", "../etc/passwd", "invalid_timezone"),
        ("temperature", 1.1, "invalid_request"),
        ("temperature", -0.1, "invalid_request"),
        ("temperature", "hot", "invalid_request"),
        ("response_length", "huge", "invalid_request"),
        ("interruption_sensitivity", 101, "invalid_request"),
        ("interruption_sensitivity", "loud", "invalid_request"),
        ("response_eagerness", 1_001, "invalid_request"),
        ("pickup_delay", 4, "invalid_request"),
        ("pickup_delay", 31, "invalid_request"),
        ("stt_confidence", 2, "invalid_request"),
        ("stt_max_silence_ms", 99, "invalid_request"),
        ("max_call_duration_seconds", 59, "invalid_request"),
        ("max_call_duration_seconds", 1_801, "invalid_request"),
        ("max_call_duration_seconds", 10**400, "invalid_request"),
        ("silence_hangup_seconds", 46, "invalid_request"),
        ("ivr_timeout_seconds", 59, "invalid_request"),
        ("wait_tag_seconds", 121, "invalid_request"),
        ("record_call", "yes", "invalid_request"),
        ("record_call", None, "invalid_request"),
        ("recording_source", "twilio", "invalid_recording_source"),
        ("recording_source", 7, "invalid_recording_source"),
        ("webhook_url", "http://acme.example/", "invalid_url"),
        ("webhook_url", "https://", "invalid_url"),
        ("webhook_url", "https://[", "invalid_url"),
        ("webhook_url", "javascript:alert(1)", "invalid_url"),
        ("transfer_type", "hot", "invalid_request"),
        ("transfer_number", "02087601234", "invalid_phone_format"),
        ("functions", {}, "invalid_request"),
        ("functions", ["x"], "invalid_request"),
        ("data_extraction_fields", "x", "invalid_request"),
        ("extraction_schema", [], "invalid_request"),
        ("sms_reply_window_hours", 0, "invalid_request"),
        ("sms_reply_window_hours", 721, "invalid_request"),
    ],
)
def test_one_invalid_value_fails_the_whole_request(field: str, value: Any, code: str):
    client = api_client()
    made = post(client, {}).json()
    agent = Agent.objects.get()

    body = json.dumps({"welcome_message": "Changed", field: value})
    created, changed = post(client, body), put(client, agent, body)

    for response in (created, changed):
        error = response.json()["error"]
        assert response.status_code == 400
        assert error["code"] == code
        assert error["details"]["field"] == field
        assert field in error["message"]
    assert client.get(f"/v1/agents/{agent.agent_id}").json() == made
    assert Agent.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("speaking_rate", 9, 1.5),
        ("speaking_rate", 0.1, 0.5),
        ("speaking_rate", None, None),
        ("voice_speed", 9, 2.0),
        ("interruption_sensitivity", "low", 25),
        ("interruption_sensitivity", "high", 75),
        ("transfer_number", "", None),
        ("webhook_url", "", None),
        ("dtmf_enabled", True, True),
        ("dtmf_enabled", None, None),
        ("max_call_duration_seconds", 300.0, 300),
    ],
)
def test_some_values_are_brought_into_form(field: str, given: Any, kept: Any):
    assert post(api_client(), {field: given}).json()[field] == kept


def test_put_changes_what_it_names_and_ignores_what_it_does_not_know():
    client = api_client()
    before = post(client, {"name": "Before", "temperature": 0.5}).json()
    agent = Agent.objects.get()

    response = put(client, agent, {"name": "After", "colour": "red", "agent_id": "agent_x"})

    after = response.json()
    assert response.status_code == 200
    assert after["updated_at"] > before["updated_at"]
    assert after == before | {"name": "After", "updated_at": after["updated_at"]}


def test_put_of_nothing_changes_nothing():
    client = api_client()
    before = post(client, {}).json()

    assert put(client, Agent.objects.get(), {}).json() == before


def test_leaving_voicemails_needs_words_here_or_already_saved():
    client = api_client()
    agent = AgentFactory.create(account=AccountFactory.create())
    client = api_client(agent.account)

    refused = put(client, agent, {"voicemail_leave_enabled": True})
    put(client, agent, {"voicemail_message": "Call us back."})
    accepted = put(client, agent, {"voicemail_leave_enabled": True})
    cleared = put(client, agent, {"voicemail_message": None})

    assert refused.json()["error"]["code"] == "voicemail_message_required"
    assert accepted.status_code == 200
    assert cleared.json()["error"]["code"] == "voicemail_message_required"
    assert post(client, {"voicemail_leave_enabled": True}).status_code == 400
    agent.refresh_from_db()
    assert (agent.voicemail_leave_enabled, agent.voicemail_message) == (True, "Call us back.")


def test_the_list_is_a_bare_array_of_active_agents_newest_first():
    account = AccountFactory.create()
    first, hidden, last = (
        AgentFactory.create(account=account, is_active=active) for active in (True, False, True)
    )
    client = api_client(account)

    def listed(query: str = "") -> list[str]:
        return [agent["agent_id"] for agent in client.get(f"/v1/agents{query}").json()]

    assert listed() == [last.agent_id, first.agent_id]
    assert listed("?limit=1") == [last.agent_id]
    assert listed("?limit=1&offset=1") == [first.agent_id]
    assert listed("?offset=2") == []
    assert client.get(f"/v1/agents/{hidden.agent_id}").json()["is_active"] is False
    assert client.get("/v1/agents?limit=many").json()["error"]["code"] == "invalid_request"


def test_deleting_an_agent_orphans_its_numbers():
    number = PhoneNumberFactory.create()
    client = api_client(number.account)
    agent_id = number.agent.agent_id

    response = client.delete(f"/v1/agents/{agent_id}")

    assert response.status_code == 200
    assert response.json() == {"agent_id": agent_id, "deleted": True}
    assert PhoneNumber.objects.get().agent is None
    gone = client.get(f"/v1/agents/{agent_id}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "agent_not_found")


@pytest.mark.parametrize("method", ["get", "put", "delete"])
@pytest.mark.parametrize("agent_id", ["agent_0000000000000000", "x", "%00", "%F0%9F%A4%96"])
def test_an_unknown_agent_is_a_404(method: str, agent_id: str):
    response = getattr(api_client(), method)(
        f"/v1/agents/{agent_id}", content_type="application/json"
    )

    error = response.json()["error"]
    assert response.status_code in {404, 400} if agent_id == "%00" else response.status_code == 404
    assert error["code"] == ("invalid_request" if agent_id == "%00" else "agent_not_found")


def test_another_accounts_agent_does_not_exist():
    theirs = AgentFactory.create(name="Theirs")
    client = api_client()

    answers = [
        client.get(f"/v1/agents/{theirs.agent_id}"),
        put(client, theirs, {"name": "Mine"}),
        client.delete(f"/v1/agents/{theirs.agent_id}"),
    ]

    assert [a.status_code for a in answers] == [404, 404, 404]
    assert {a.json()["error"]["code"] for a in answers} == {"agent_not_found"}
    assert client.get("/v1/agents").json() == []
    theirs.refresh_from_db()
    assert theirs.name == "Theirs"


def test_a_list_takes_the_same_queries_however_long(django_assert_num_queries):
    account = AccountFactory.create()
    key = ApiKeyFactory.create(account=account)
    AgentFactory.create_batch(5, account=account, api_key=key)
    client = api_client(account)
    client.get("/v1/agents")

    with django_assert_num_queries(2):  # the key with its account, the agents with theirs
        assert len(client.get("/v1/agents").json()) == 5
