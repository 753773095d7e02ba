"""The official SDK, unmodified, against the running server: what its users see."""

from typing import Any

import pytest

from accounts.factories import ApiKeyFactory
from agents.models import Agent, PhoneNumber
from agents.tests.outside import Sandbox, official_sdk

pytestmark = pytest.mark.django_db(transaction=True)
sdk = official_sdk()


@pytest.fixture
def nixflex(live_server) -> Any:
    key = ApiKeyFactory.create()
    credentials = f"{key.key_id}:{key.secret}"
    with sdk.Nixflex(api_key=credentials, base_url=live_server.url, max_retries=0) as client:
        yield client


def test_an_agents_life(nixflex: Any):
    made = nixflex.agents.create(name="Acme", system_prompt="You answer for Acme.")
    changed = nixflex.agents.update(made["agent_id"], voice_id="Olivia", webhook_url=None)
    fetched = nixflex.agents.get(made["agent_id"])
    listed = nixflex.agents.list(limit=5)
    deleted = nixflex.agents.delete(made["agent_id"])

    assert changed["voice_id"] == "Olivia"
    assert fetched == changed
    assert listed == [fetched]
    assert deleted == {"agent_id": made["agent_id"], "deleted": True}
    with pytest.raises(sdk.NixflexNotFoundError) as missing:
        nixflex.agents.get(made["agent_id"])
    assert missing.value.code == "agent_not_found"
    assert missing.value.request_id.startswith("req_")


def test_a_numbers_life(nixflex: Any, carrier: Sandbox):
    agent = nixflex.agents.create()
    credentials = {"twilio_account_sid": carrier.sid, "twilio_auth_token": carrier.token}

    imported = nixflex.phone_numbers.import_("+447446466847", agent["agent_id"], **credentials)
    changed = nixflex.phone_numbers.update("+447446466847", custom_prompt="A dentist.")
    listed = nixflex.phone_numbers.list(agent_id=agent["agent_id"])
    deleted = nixflex.phone_numbers.delete("+447446466847")

    assert imported["phone_number"]["provider"] == "twilio"
    assert changed["phone_number"]["custom_prompt"] == "A dentist."
    assert listed == {"phone_numbers": [changed["phone_number"]], "count": 1}
    assert deleted == {"phone_number": {"phone_number": "+447446466847", "deleted": True}}
    assert not PhoneNumber.objects.exists()


def test_every_refusal_is_the_exception_of_its_kind(nixflex: Any, live_server, settings):
    with pytest.raises(sdk.NixflexInvalidRequestError) as invalid:
        nixflex.agents.create(voice_id="Nobody")
    assert (invalid.value.status, invalid.value.code) == (400, "invalid_voice_id")
    assert invalid.value.details == {"field": "voice_id"}
    assert invalid.value.doc_url.endswith("/errors/invalid_voice_id")
    assert not Agent.objects.exists()

    with (
        sdk.Nixflex(api_key="a:b", base_url=live_server.url) as stranger,
        pytest.raises(sdk.NixflexAuthenticationError) as unknown,
    ):
        stranger.agents.list()
    assert unknown.value.code == "unauthorized"

    settings.API_RATE_LIMIT_PER_MINUTE = 0
    with pytest.raises(sdk.NixflexRateLimitError) as hurried:
        nixflex.agents.list()
    assert 1 <= hurried.value.retry_after_seconds <= 60
