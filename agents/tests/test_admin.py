from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.authentication import verify
from accounts.factories import (
    AccountFactory,
    ApiKeyFactory,
    CarrierAccountFactory,
    api_client,
    operator_client,
)
from accounts.models import ApiKey, CarrierAccount
from agents.factories import AgentFactory, PhoneNumberFactory
from agents.models import Agent, PhoneNumber
from agents.tests.outside import Sandbox

pytestmark = pytest.mark.django_db
MODELS = [
    "accounts_user",
    "accounts_account",
    "accounts_apikey",
    "accounts_carrieraccount",
    "auth_group",
    "agents_agent",
    "agents_phonenumber",
]


@pytest.fixture
def office() -> Client:
    return operator_client()


def form_of(page: Any) -> dict[str, Any]:
    """What a browser would send of the page's form if nothing was touched."""
    form = page.context["adminform"].form
    sent = {}
    for bound in form:
        value = bound.value()
        if value is None or value is False:
            continue
        sent[bound.html_name] = value
    return sent


@pytest.mark.parametrize("model", MODELS)
def test_every_list_opens_and_searches(office: Client, model: str):
    PhoneNumberFactory.create()
    ApiKeyFactory.create()

    assert office.get(reverse(f"admin:{model}_changelist")).status_code == 200
    assert office.get(reverse(f"admin:{model}_changelist"), {"q": "a"}).status_code == 200


def test_every_object_opens(office: Client):
    number = PhoneNumberFactory.create()
    key = ApiKeyFactory.create()

    for thing in (number, number.agent, number.account, number.carrier_account, key):
        assert thing is not None
        name = thing._meta.label_lower.replace(".", "_")
        page = office.get(reverse(f"admin:{name}_change", args=[thing.pk]))
        assert page.status_code == 200, thing
        assert key.secret not in page.content.decode()
        assert number.carrier_account.auth_token not in page.content.decode()


def test_a_new_key_is_shown_once_and_works(office: Client):
    account = AccountFactory.create()

    page = office.post(
        reverse("admin:accounts_apikey_add"), {"account": account.pk, "name": "Production"}
    )

    key = ApiKey.objects.get()
    credentials = f"{key.key_id}:{key.secret}"
    assert credentials in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert verify(credentials) == key
    again = office.get(reverse("admin:accounts_apikey_change", args=[key.pk]))
    assert key.secret not in again.content.decode()


def test_revoking_in_the_office_ends_a_key(office: Client):
    key = ApiKeyFactory.create()

    office.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": [key.pk]},
    )

    assert verify(f"{key.key_id}:{key.secret}") is None


def test_a_carriers_token_can_be_replaced_but_not_read(office: Client):
    carrier = CarrierAccountFactory.create()
    url = reverse("admin:accounts_carrieraccount_change", args=[carrier.pk])

    office.post(url, {"new_auth_token": ""})
    assert CarrierAccount.objects.get().auth_token == carrier.auth_token
    office.post(url, {"new_auth_token": "new-token"})

    assert CarrierAccount.objects.get().auth_token == "new-token"
    assert "new-token" not in office.get(url).content.decode()


def test_an_agent_saved_untouched_stays_as_it_was(office: Client):
    agent = AgentFactory.create(speaking_rate=1.2, data_extraction_fields=[{"name": "x"}])
    url = reverse("admin:agents_agent_change", args=[agent.pk])
    client = api_client(agent.account)
    before = client.get(f"/v1/agents/{agent.agent_id}").json()

    response = office.post(url, form_of(office.get(url)))

    assert response.status_code == 302, response.context["errors"]
    after = client.get(f"/v1/agents/{agent.agent_id}").json()
    assert after == before | {"updated_at": after["updated_at"]}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("voice_id", "Nobody", "must be one of Ashley"),
        ("silence_hangup_seconds", "99", "must be between 5 and 45"),
        ("timezone", "Mars", "must be an IANA time zone"),
        ("voicemail_leave_enabled", "on", "can only be left with a voicemail_message"),
        ("data_extraction_fields", "", "may not be null"),
    ],
)
def test_the_office_keeps_the_apis_rules(office: Client, field: str, value: str, says: str):
    agent = AgentFactory.create()
    url = reverse("admin:agents_agent_change", args=[agent.pk])

    response = office.post(url, form_of(office.get(url)) | {field: value})

    assert response.status_code == 200
    assert says in response.content.decode()
    kept = Agent.objects.get()
    assert str(getattr(kept, field)) == str(getattr(agent, field))


def test_deleting_a_number_in_the_office_tells_the_carrier(office: Client, carrier: Sandbox):
    agent = AgentFactory.create()
    order = {
        "phone_number": "+447446466847",
        "agent_id": agent.agent_id,
        "twilio_sid": carrier.sid,
        "twilio_token": carrier.token,
    }
    api_client(agent.account).post("/v1/phone-numbers", order, content_type="application/json")
    number = PhoneNumber.objects.get()
    assert carrier.number("+447446466847")["voice_url"]

    office.post(reverse("admin:agents_phonenumber_delete", args=[number.pk]), {"post": "yes"})

    assert not PhoneNumber.objects.exists()
    assert not carrier.number("+447446466847")["voice_url"]


def test_the_office_has_the_carrier_bring_a_numbers_calls_here_again(
    office: Client, carrier: Sandbox, settings: Any
):
    account = CarrierAccountFactory.create(sid=carrier.sid, auth_token=carrier.token)
    number = PhoneNumberFactory.create(
        account=account.account,
        carrier_account=account,
        carrier_number_sid=carrier.number("+12025550101")["sid"],
    )
    settings.PUBLIC_URL = "https://moved.example.com"
    order = {"action": "bring_here", "_selected_action": [number.pk]}

    said = office.post(reverse("admin:agents_phonenumber_changelist"), order, follow=True)

    assert "Twilio was told https://moved.example.com." in said.content.decode()
    held = carrier.number("+12025550101")
    assert held["voice_url"] == "https://moved.example.com/twilio/voice/"
    assert held["sms_url"] == "https://moved.example.com/twilio/sms/"
    assert held["status_callback"] == "https://moved.example.com/twilio/status/"


def test_a_number_is_not_given_to_another_accounts_agent(office: Client):
    number, theirs = PhoneNumberFactory.create(), AgentFactory.create()
    url = reverse("admin:agents_phonenumber_change", args=[number.pk])

    response = office.post(url, form_of(office.get(url)) | {"agent": str(theirs.pk)})

    assert "belongs to another account" in response.content.decode()
    assert PhoneNumber.objects.get().agent == number.agent


def test_every_model_of_ours_is_in_the_office():
    registered = {model._meta.label for model in admin.site._registry}

    assert {
        "accounts.Account",
        "accounts.ApiKey",
        "accounts.CarrierAccount",
        "accounts.User",
        "agents.Agent",
        "agents.PhoneNumber",
    } <= registered


def test_the_schema_names_every_endpoint_and_the_docs_open():
    schema = Client().get("/v1/openapi.json").json()
    page = Client().get("/api/docs/")

    assert {
        "/v1/agents": {"get", "post"},
        "/v1/agents/{agent_id}": {"get", "put", "delete"},
        "/v1/phone-numbers": {"get", "post"},
        "/v1/phone-numbers/{number}": {"patch", "delete"},
    }.items() <= {path: set(item) for path, item in schema["paths"].items()}.items()
    assert schema["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    assert page.status_code == 200
    assert b"cdn.jsdelivr.net" not in page.content
