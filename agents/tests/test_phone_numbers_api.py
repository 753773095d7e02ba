import json
from typing import Any

import pytest
import responses
from django.test import Client

from accounts.factories import AccountFactory, api_client
from accounts.models import CarrierAccount
from agents.factories import AgentFactory, PhoneNumberFactory
from agents.models import Agent, PhoneNumber
from agents.tests.outside import Sandbox

pytestmark = pytest.mark.django_db

OWNED, NOT_OWNED = "+447446466847", "+447446466848"
SID, TOKEN = "AC" + "0" * 32, "t" * 32


@pytest.fixture
def agent() -> Agent:
    return AgentFactory.create()


@pytest.fixture
def client(agent: Agent) -> Client:
    return api_client(agent.account)


def send(client: Client, body: Any) -> Any:
    return client.post("/v1/phone-numbers", body, content_type="application/json")


def patch(client: Client, number: str, body: Any) -> Any:
    return client.patch(f"/v1/phone-numbers/{number}", body, content_type="application/json")


def order(agent: Agent, carrier: Sandbox | None = None, **changes: Any) -> dict[str, Any]:
    credentials = {
        "twilio_sid": carrier.sid if carrier else SID,
        "twilio_token": carrier.token if carrier else TOKEN,
    }
    return {"phone_number": OWNED, "agent_id": agent.agent_id, **credentials, **changes}


def nothing_was_imported() -> bool:
    return not PhoneNumber.objects.exists() and not CarrierAccount.objects.exists()


def test_an_imported_number_is_checked_and_pointed_at_us(
    client: Client, agent: Agent, carrier: Sandbox, settings
):
    settings.PUBLIC_URL = "https://voice.example"

    response = send(client, order(agent, carrier))

    shown = response.json()["phone_number"]
    at_carrier = carrier.number(OWNED)
    assert response.status_code == 201
    assert shown.pop("created_at").endswith("Z")
    assert shown == {
        "phone_number": OWNED,
        "agent_id": agent.agent_id,
        "provider": "twilio",
        "twilio_number_sid": at_carrier["sid"],
        "telnyx_number_id": None,
        "webhook_url": None,
        "webhook_url_2": None,
        "inbound_enabled": True,
        "outbound_enabled": True,
        "custom_prompt": None,
        "voice_id": None,
        "speaking_rate": None,
        "dtmf_enabled": None,
        "record_call": None,
        "recording_source": None,
        "require_booking_confirmation": None,
        "voicemail_leave_enabled": None,
        "voicemail_message": None,
        "sms_reply_enabled": None,
        "sms_reply_enabled_effective": True,
        "sms_prompt": None,
        "web_prompt": None,
        "precall_webhook_url": None,
    }
    assert at_carrier["voice_url"] == "https://voice.example/twilio/voice/"
    assert at_carrier["sms_url"] == "https://voice.example/twilio/sms/"
    assert at_carrier["status_callback"] == "https://voice.example/twilio/status/"
    assert carrier.token not in response.content.decode()
    kept = CarrierAccount.objects.get()
    assert (kept.account, kept.sid, kept.auth_token) == (agent.account, carrier.sid, carrier.token)


@pytest.mark.parametrize(
    "names",
    [
        ("phone_number", "agent_id", "twilio_account_sid", "twilio_auth_token", "custom_prompt"),
        ("phoneNumber", "agentId", "twilioSid", "twilioToken", "customPrompt"),
        ("phoneNumber", "agentId", "twilioAccountSid", "twilioAuthToken", "customPrompt"),
    ],
)
def test_every_spelling_of_an_import_is_read(
    client: Client, agent: Agent, carrier: Sandbox, names: tuple[str, ...]
):
    values = (OWNED, agent.agent_id, carrier.sid, carrier.token, "A dentist.")

    response = send(client, dict(zip(names, values, strict=True)))

    assert response.status_code == 201
    assert response.json()["phone_number"]["custom_prompt"] == "A dentist."


def test_settings_can_come_with_the_import(client: Client, agent: Agent, carrier: Sandbox):
    own = {
        "inbound_enabled": False,
        "outbound_enabled": False,
        "voice_id": "Olivia",
        "speaking_rate": 1.2,
        "dtmf_enabled": True,
        "record_call": False,
        "recording_source": "nixflex",
        "require_booking_confirmation": True,
        "voicemail_leave_enabled": True,
        "voicemail_message": "Call us back.",
        "sms_reply_enabled": False,
        "sms_prompt": "Be brief.",
        "web_prompt": "Be kind.",
    }

    shown = send(client, order(agent, carrier, **own)).json()["phone_number"]

    assert {name: shown[name] for name in own} == own
    assert shown["sms_reply_enabled_effective"] is False


def test_a_second_import_is_a_conflict_for_everybody(
    client: Client, agent: Agent, carrier: Sandbox
):
    send(client, order(agent, carrier))
    other = AgentFactory.create()

    again = send(client, order(agent, carrier))
    elsewhere = send(api_client(other.account), order(other, carrier))

    for response in (again, elsewhere):
        assert response.status_code == 409
        assert response.json()["error"]["code"] == "number_already_imported"
        assert response.json()["error"]["type"] == "conflict"
    assert PhoneNumber.objects.get().agent == agent
    assert CarrierAccount.objects.get().account == agent.account


def test_a_number_that_the_carrier_account_does_not_hold_is_a_404(
    client: Client, agent: Agent, carrier: Sandbox
):
    response = send(client, order(agent, carrier, phone_number=NOT_OWNED))

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "number_not_in_twilio"
    assert nothing_was_imported()


def test_wrong_carrier_credentials_are_a_401(client: Client, agent: Agent, carrier: Sandbox):
    response = send(client, order(agent, carrier, twilio_token="f" * 32))

    error = response.json()["error"]
    assert response.status_code == 401
    assert error["code"] in {"twilio_auth_failed", "twilio_invalid_credentials"}
    assert error["details"]["twilio_error"] == 20003
    assert nothing_was_imported()


def test_a_carrier_that_is_down_is_a_503_and_leaves_nothing(client: Client, agent: Agent, settings):
    settings.TWILIO_API_URL = "http://127.0.0.1:1"

    response = send(client, order(agent))

    assert response.status_code == 503
    assert response.json()["error"]["code"] == "twilio_unavailable"
    assert nothing_was_imported()


@responses.activate
def test_a_carrier_that_fails_halfway_leaves_nothing(client: Client, agent: Agent, settings):
    settings.TWILIO_API_URL = "https://api.twilio.com"
    numbers = f"https://api.twilio.com/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers"
    owned = {
        "sid": "PN" + "1" * 32,
        "phone_number": OWNED,
        "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
    }
    responses.get(f"{numbers}.json", json={"incoming_phone_numbers": [owned]})
    refusal = {"code": 21402, "message": "VoiceUrl is not valid", "status": 400}
    responses.post(f"{numbers}/{owned['sid']}.json", status=400, json=refusal)

    response = send(client, order(agent))

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "twilio_error"
    assert response.json()["error"]["details"] == {"twilio_error": 21402}
    assert nothing_was_imported()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"phone_number": None}, 400, "missing_field"),
        ({"agent_id": None}, 400, "missing_field"),
        ({"agent_id": 7}, 400, "invalid_request"),
        ({"twilio_sid": None}, 400, "missing_field"),
        ({"twilio_token": ""}, 400, "missing_field"),
        ({"phone_number": "07446466847"}, 400, "invalid_phone_format"),
        ({"phone_number": 447446466847}, 400, "invalid_phone_format"),
        ({"twilio_sid": "AC123"}, 400, "invalid_twilio_sid"),
        ({"twilio_sid": "SK" + "0" * 32}, 400, "invalid_twilio_sid"),
        ({"agent_id": "agent_0000000000000000"}, 404, "agent_not_found"),
        ({"custom_prompt": "x" * 8_001}, 400, "custom_prompt_too_long"),
        ({"sms_prompt": "x" * 20_001}, 400, "sms_prompt_too_long"),
        ({"web_prompt": "x" * 20_001}, 400, "web_prompt_too_long"),
        ({"recording_source": "tape"}, 400, "invalid_recording_source"),
        ({"voicemail_leave_enabled": True}, 400, "voicemail_message_required"),
        ({"inbound_enabled": "yes"}, 400, "invalid_request"),
        ({"twilio_sid": None, "telnyx_api_key": "KEY"}, 400, "telnyx_not_supported"),
    ],
)
def test_a_bad_import_never_reaches_the_carrier(
    client: Client, agent: Agent, changes: dict[str, Any], status: int, code: str
):
    with responses.RequestsMock():  # any request would fail
        response = send(client, json.dumps(order(agent, **changes)))

    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert nothing_was_imported()


def test_an_import_for_another_accounts_agent_is_a_404(client: Client, agent: Agent):
    theirs = AgentFactory.create()

    response = send(client, order(theirs))

    assert (response.status_code, response.json()["error"]["code"]) == (404, "agent_not_found")
    assert nothing_was_imported()


def test_the_list_counts_and_filters_newest_first(client: Client, agent: Agent):
    first = PhoneNumberFactory.create(account=agent.account, agent=agent)
    last = PhoneNumberFactory.create(account=agent.account, agent=None)
    PhoneNumberFactory.create()

    everything = client.get("/v1/phone-numbers").json()
    of_agent = client.get(f"/v1/phone-numbers?agent_id={agent.agent_id}").json()
    of_nobody = client.get("/v1/phone-numbers?agent_id=agent_0000000000000000")

    shown = [n["phone_number"] for n in everything["phone_numbers"]]
    assert shown == [last.phone_number, first.phone_number]
    assert everything["count"] == 2
    assert everything["phone_numbers"][0]["agent_id"] is None
    assert everything["phone_numbers"][0]["sms_reply_enabled_effective"] is False
    assert [n["phone_number"] for n in of_agent["phone_numbers"]] == [first.phone_number]
    assert of_nobody.status_code == 200
    assert of_nobody.json() == {"phone_numbers": [], "count": 0}


@pytest.mark.parametrize("written", ["%2B447446466847", "+447446466847", "%20447446466847"])
def test_a_number_in_a_path_may_be_written_three_ways(client: Client, agent: Agent, written: str):
    PhoneNumberFactory.create(account=agent.account, agent=agent, phone_number=OWNED)

    response = patch(client, written, {"custom_prompt": "A dentist."})

    assert response.status_code == 200
    assert response.json()["phone_number"]["custom_prompt"] == "A dentist."


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"custom_prompt": ""}, {"custom_prompt": None}),
        ({"voice_id": "No Such Voice"}, {"voice_id": "No Such Voice"}),
        ({"speaking_rate": 9}, {"speaking_rate": 1.5}),
        ({"record_call": False, "unknown": 1}, {"record_call": False}),
        ({"sms_reply_enabled": False}, {"sms_reply_enabled_effective": False}),
        ({"sms_reply_enabled": None}, {"sms_reply_enabled_effective": True}),
        ({"inbound_enabled": False}, {"inbound_enabled": False, "outbound_enabled": True}),
        ({"agent_id": None}, {"agent_id": None}),
    ],
)
def test_patch_changes_what_it_names(
    client: Client, agent: Agent, body: dict[str, Any], shown: dict[str, Any]
):
    number = PhoneNumberFactory.create(
        account=agent.account, agent=agent, custom_prompt="Old", sms_reply_enabled=True
    )

    answer = patch(client, number.phone_number, json.dumps(body)).json()["phone_number"]

    assert {name: answer[name] for name in shown} == shown
    listed = client.get("/v1/phone-numbers").json()["phone_numbers"]
    assert listed == [answer]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "missing_field"),
        ({"unknown": 1}, 400, "missing_field"),
        ({"custom_prompt": "x" * 8_001}, 400, "custom_prompt_too_long"),
        ({"sms_prompt": "x" * 20_001}, 400, "sms_prompt_too_long"),
        ({"web_prompt": "x" * 20_001}, 400, "web_prompt_too_long"),
        ({"recording_source": "tape"}, 400, "invalid_recording_source"),
        ({"voicemail_leave_enabled": True}, 400, "voicemail_message_required"),
        ({"voicemail_message": "x" * 2_001}, 400, "invalid_request"),
        ({"speaking_rate": "fast"}, 400, "invalid_request"),
        ({"record_call": 1}, 400, "invalid_request"),
        ({"agent_id": "agent_0000000000000000"}, 404, "agent_not_found"),
    ],
)
def test_a_bad_patch_changes_nothing(
    client: Client, agent: Agent, body: dict[str, Any], status: int, code: str
):
    number = PhoneNumberFactory.create(account=agent.account, agent=agent, custom_prompt="Old")

    response = patch(client, number.phone_number, json.dumps({"custom_prompt": "New", **body}))
    if not body or "unknown" in body:
        response = patch(client, number.phone_number, json.dumps(body))
    else:
        number.refresh_from_db()
        assert number.custom_prompt == "Old"

    assert response.status_code == status
    assert response.json()["error"]["code"] == code


def test_a_number_is_moved_only_to_an_agent_of_the_account(client: Client, agent: Agent):
    number = PhoneNumberFactory.create(account=agent.account, agent=None)
    theirs = AgentFactory.create()

    refused = patch(client, number.phone_number, {"agent_id": theirs.agent_id})
    moved = patch(client, number.phone_number, {"agent_id": agent.agent_id})

    assert refused.json()["error"]["code"] == "agent_not_found"
    assert moved.json()["phone_number"]["agent_id"] == agent.agent_id


def test_deleting_a_number_clears_the_carriers_webhooks(
    client: Client, agent: Agent, carrier: Sandbox
):
    send(client, order(agent, carrier))

    response = client.delete(f"/v1/phone-numbers/{OWNED}")

    assert response.status_code == 200
    assert response.json() == {"phone_number": {"phone_number": OWNED, "deleted": True}}
    assert not PhoneNumber.objects.exists()
    at_carrier = carrier.number(OWNED)
    assert not at_carrier["voice_url"]
    assert not at_carrier["status_callback"]
    assert not at_carrier["sms_url"]


def test_a_number_goes_even_if_the_carrier_cannot_be_told(client: Client, agent: Agent, settings):
    settings.TWILIO_API_URL = "http://127.0.0.1:1"
    number = PhoneNumberFactory.create(account=agent.account, agent=agent)

    response = client.delete(f"/v1/phone-numbers/{number.phone_number}")

    assert response.status_code == 200
    assert response.json()["phone_number"]["deleted"] is True
    assert "Twilio console" in response.json()["message"]
    assert not PhoneNumber.objects.exists()


@pytest.mark.parametrize("number", [NOT_OWNED, "x", "%2B", "447446466847"])
def test_an_unknown_number_is_a_404(client: Client, number: str):
    for response in (
        patch(client, number, {"record_call": True}),
        client.delete(f"/v1/phone-numbers/{number}"),
    ):
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "number_not_found"


def test_another_accounts_number_does_not_exist():
    theirs = PhoneNumberFactory.create(custom_prompt="Theirs")
    client = api_client(AccountFactory.create())

    changed = patch(client, theirs.phone_number, {"custom_prompt": "Mine"})
    deleted = client.delete(f"/v1/phone-numbers/{theirs.phone_number}")

    assert [changed.status_code, deleted.status_code] == [404, 404]
    assert client.get("/v1/phone-numbers").json()["count"] == 0
    theirs.refresh_from_db()
    assert theirs.custom_prompt == "Theirs"


def test_the_list_takes_the_same_queries_however_long(
    client: Client, agent: Agent, django_assert_num_queries
):
    PhoneNumberFactory.create_batch(5, account=agent.account, agent=agent)
    client.get("/v1/agents")

    # the key with its account, the numbers with their owners, their webhooks
    with django_assert_num_queries(3):
        assert client.get("/v1/phone-numbers").json()["count"] == 5
