"""Requests about campaigns, as an API client sends them."""

import json
from datetime import UTC, datetime
from typing import Any

from django.test import Client

from agents.models import PhoneNumber

ANN, BOB, CEM = "+447386172391", "+447386172392", "+447386172393"
# A Sunday: in London 12:00, in New York 7:00.
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def asked(number: PhoneNumber, *phones: str, **fields: Any) -> dict[str, Any]:
    assert number.agent is not None
    return {
        "agent_id": number.agent.agent_id,
        "from_number": number.phone_number,
        "prompt": "Remind them.",
        "recipients": [{"phone": phone} for phone in phones or (ANN,)],
        **fields,
    }


def post(client: Client, path: str, body: Any = None, **headers: str) -> Any:
    return client.post(
        f"/v1/{path}",
        "" if body is None else json.dumps(body),
        content_type="application/json",
        headers=headers,
    )


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]
