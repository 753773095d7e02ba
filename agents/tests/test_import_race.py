from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from accounts.factories import api_client
from agents.factories import AgentFactory
from agents.models import PhoneNumber
from agents.tests.outside import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_imports_at_the_same_moment_one_wins(carrier: Sandbox):
    agent = AgentFactory.create()
    client = api_client(agent.account)
    body = {
        "phone_number": "+447446466847",
        "agent_id": agent.agent_id,
        "twilio_sid": carrier.sid,
        "twilio_token": carrier.token,
    }

    def take(_: int) -> int:
        try:
            return client.post(
                "/v1/phone-numbers", body, content_type="application/json"
            ).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(take, range(4)))

    assert statuses == [201, 409, 409, 409]
    assert PhoneNumber.objects.count() == 1
