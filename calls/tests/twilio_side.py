"""The carrier's side of a test: its REST answers, and webhooks signed as it signs them."""

import json
from typing import Any

import responses
from django.conf import settings

from agents.models import PhoneNumber
from calls.models import Call


def calls_url(number: PhoneNumber | None, sid: str = "") -> str:
    assert number is not None
    account = number.carrier_account.sid
    path = f"/Calls/{sid}.json" if sid else "/Calls.json"
    return f"{settings.TWILIO_API_URL}/2010-04-01/Accounts/{account}{path}"


def call_json(sid: str, **fields: Any) -> dict[str, Any]:
    return {
        "sid": sid,
        "status": "queued",
        "to": "+447386172392",
        "from": "+447446000000",
        "duration": None,
        "date_created": "Sun, 22 Nov 2026 10:00:00 +0000",
        "start_time": None,
        "end_time": None,
        "answered_by": None,
    } | fields


def accepts_call(number: PhoneNumber | None, sid: str) -> responses.BaseResponse:
    return responses.post(calls_url(number), json=call_json(sid), status=201)


def refuses_call(
    number: PhoneNumber | None, code: int, status: int = 400
) -> responses.BaseResponse:
    error = {"code": code, "message": "No, to +447386172392.", "status": status, "more_info": ""}
    return responses.post(calls_url(number), body=json.dumps(error), status=status)


def token_of(call: Call) -> str:
    """Return the query that rides in the callback URLs of the call's newest attempt."""
    attempt = call.attempts.order_by("-number").first()
    assert attempt is not None
    return f"?a={attempt.token}"
