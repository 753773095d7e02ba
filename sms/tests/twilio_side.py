"""The carrier's side of a test: its REST answers, and webhooks signed as it signs them."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import responses
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpResponse
from django.utils.module_loading import import_string
from twilio.request_validator import RequestValidator

from agents.models import PhoneNumber
from agents.tests.twilio_side import form_of
from sms import arrivals, intake, reports
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
    """Somebody (``From``, else ``PERSON``) texts one of our numbers, and a worker takes it in."""
    assert number is not None
    answer = brings(number, **{"Body": body, "MessageSid": sid or new_sid(), **form})
    arrivals.take_in()
    return answer


def brings(number: PhoneNumber, *, token: str | None = None, **form: str) -> HttpResponse:
    """The carrier brings a text, and has its answer; no worker has seen the text yet."""
    [answer] = brings_all(number, [form], token=token)
    return answer


def brings_all(
    number: PhoneNumber, forms: Sequence[Mapping[str, str]], *, token: str | None = None
) -> list[HttpResponse]:
    """The carrier brings several texts at once."""
    usual = {
        "From": PERSON,
        "To": number.phone_number,
        "Body": "Hello",
        "NumMedia": "0",
        "SmsStatus": "received",
    }
    whole = [{**usual, "MessageSid": new_sid(), **form} for form in forms]
    return posts(number, intake.TEXTS, whole, token=token)


def posts(
    number: PhoneNumber,
    path: str,
    forms: Sequence[Mapping[str, str]],
    *,
    query: str = "",
    token: str | None = None,
) -> list[HttpResponse]:
    """The carrier posts forms at once, signed with ``token`` (default: the number's own)."""
    secret = number.carrier_account.auth_token if token is None else token
    url = f"{settings.PUBLIC_URL}{path}" + (f"?{query}" if query else "")
    requests = []
    for form in forms:
        whole = {"AccountSid": number.carrier_account.sid, **form}
        signature = RequestValidator(secret).compute_signature(url, whole)
        requests.append(post(urlencode(whole).encode(), signature, path=path, query=query))

    async def together() -> list[HttpResponse]:
        return await asyncio.gather(*requests)

    return async_to_sync(together)()


async def post(
    body: bytes,
    signature: str,
    method: str = "POST",
    path: str = intake.TEXTS,
    query: str = "",
) -> HttpResponse:
    """Ask the whole ASGI application, as the server does."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"x-twilio-signature", signature.encode()),
        ],
    }
    answer = HttpResponse()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start":
            answer.status_code = event["status"]
            for name, value in event["headers"]:
                answer[name.decode()] = value.decode()
        else:
            answer.content += event["body"]

    await import_string(settings.ASGI_APPLICATION)(scope, receive, send)
    return answer


def tells(part: MessagePart, status: str, sid: str | None = None, **form: str) -> HttpResponse:
    """The carrier reports how a text of ours fares, and a worker takes it in."""
    answer = reports_on(part, status, sid, **form)
    reports.take_in()
    return answer


def reports_on(
    part: MessagePart,
    status: str,
    sid: str | None = None,
    *,
    query: str | None = None,
    token: str | None = None,
    **form: str,
) -> HttpResponse:
    """The carrier reports how a text of ours fares; no worker has seen the report yet."""
    number = part.thread.number
    assert number is not None
    whole = {
        "MessageSid": sid or part.carrier_sid or new_sid(),
        "MessageStatus": status,
        **form,
    }
    at = f"p={part.token}" if query is None else query
    [answer] = posts(number, intake.REPORTS, [whole], query=at, token=token)
    return answer
