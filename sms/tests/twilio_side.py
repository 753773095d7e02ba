"""The carrier's side of a test: its REST answers, and webhooks signed as it signs them."""

import json
from typing import Any

import responses
from django.conf import settings
from django.http import HttpResponse

from agents.models import PhoneNumber
from agents.tests.twilio_side import form_of, knock
from sms.factories import PERSON, new_sid
from sms.models import MessagePart, Thread


def messages_url(thread: Thread, sid: str = "") -> str:
    assert thread.number is not None
    account = thread.number.carrier_account.sid
    path = f"/Messages/{sid}.json" if sid else "/Messages.json"
    return f"{settings.TWILIO_API_URL}/2010-04-01/Accounts/{account}{path}"


def message_json(sid: str, **fields: Any) -> dict[str, Any]:
    return {
        "sid": sid,
        "status": "queued",
        "to": PERSON,
        "from": "+447446000000",
        "body": "Your appointment is at 3 pm.",
        "error_code": None,
        "date_created": "Sun, 22 Nov 2026 10:00:00 +0000",
    } | fields


def takes_texts(thread: Thread) -> responses.BaseResponse:
    """Every request is a new text."""

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        return 201, {}, json.dumps(message_json(new_sid(), body=form_of(request)["Body"][0]))

    return responses.add_callback("POST", messages_url(thread), callback=answer)


def refuses_text(thread: Thread, code: int, status: int = 400) -> responses.BaseResponse:
    error = {"code": code, "message": f"No, to {PERSON}.", "status": status, "more_info": ""}
    return responses.post(messages_url(thread), body=json.dumps(error), status=status)


def sends(telco: Any) -> list[dict[str, list[str]]]:
    """Return the forms of all create-message requests."""
    return [form_of(call.request) for call in telco.calls if call.request.method == "POST"]


def texts_us(
    number: PhoneNumber | None, body: str, sid: str | None = None, **form: str
) -> HttpResponse:
    """Somebody (``From``, else ``PERSON``) texts one of our numbers."""
    assert number is not None
    return knock(
        "sms",
        number,
        **{
            "MessageSid": sid or new_sid(),
            "From": PERSON,
            "To": number.phone_number,
            "Body": body,
            "NumMedia": "0",
            "SmsStatus": "received",
            **form,
        },
    )


def tells(part: MessagePart, status: str, sid: str | None = None, **form: str) -> HttpResponse:
    """The carrier reports how a text of ours fares."""
    return knock(
        "sms-status",
        part.thread.number,
        query=f"?p={part.token}",
        MessageSid=sid or part.carrier_sid or new_sid(),
        MessageStatus=status,
        **form,
    )
