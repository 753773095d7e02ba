"""The carrier's side of a test: forms, and webhooks signed as it does."""

from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from twilio.request_validator import RequestValidator

from agents.models import PhoneNumber


def form_of(request: Any) -> dict[str, list[str]]:
    body = request.body
    return parse_qs(body.decode() if isinstance(body, bytes) else body)


def knock(
    what: str,
    number: PhoneNumber | None,
    *,
    query: str = "",
    token: str | None = None,
    **form: str,
) -> HttpResponse:
    """POST a webhook to ``/twilio/<what>/``, signed with ``token`` (default: the number's own)."""
    assert number is not None
    form = {"AccountSid": number.carrier_account.sid, **form}
    path = f"/twilio/{what}/{query}"
    secret = number.carrier_account.auth_token if token is None else token
    signature = RequestValidator(secret).compute_signature(settings.PUBLIC_URL + path, form)
    return Client().post(path, form, headers={"X-Twilio-Signature": signature})  # type: ignore[return-value]
