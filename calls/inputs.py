"""What the API takes in for a call."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from rest_framework import serializers

from accounts.errors import invalid_field, require
from accounts.fields import E164, Object, OneOf, Text, check_size
from accounts.parsing import time_in_query
from calls.models import Call, CallQuerySet

# Every name the SDKs and pages use for the same thing; a later one wins over an earlier.
_VARIABLES = ("dynamic_variables", "dynamic_vars", "variables")
_SPELLINGS = {
    "no_answer": Call.Status.NO_ANSWER,
    "cancelled": Call.Status.CANCELED,
    "in_progress": Call.Status.IN_PROGRESS,
}


class Variables(serializers.DictField):
    """An object of names and plain values."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        name = self.field_name or ""
        if not isinstance(data, dict):
            raise invalid_field(name, "must be an object of names and values.")
        for key, value in data.items():
            if isinstance(value, (dict, list)):
                raise invalid_field(f"{name}.{key}", "must be a string, number or boolean.")
        check_size(name, data)
        return data


class NewCall(serializers.Serializer[Any]):
    """An outbound call. Fields are checked in the order in which they are written here."""

    agent_id = Text(max_length=64)
    to_number = E164()
    from_number = E164(required=False, allow_null=True)
    prompt = Text(required=False, allow_null=True, max_length=16000, too_long="prompt_too_long")
    dynamic_variables = Variables(required=False, allow_null=True, write_only=True)
    dynamic_vars = Variables(required=False, allow_null=True, write_only=True)
    variables = Variables(required=False, allow_null=True)
    metadata = Object(required=False, allow_null=True)
    campaign_id = Text(required=False, allow_null=True, max_length=32)
    voicemail_message = Text(required=False, allow_null=True, max_length=2000)
    voicemail_action = OneOf(Call.VoicemailAction.choices, required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        require(data, "agent_id", "to_number")
        if data.get("from_number") == "":
            data = {**data, "from_number": None}
        given: dict[str, Any] = super().to_internal_value(data)
        merged: dict[str, Any] = {}
        for name in _VARIABLES:
            merged |= given.pop(name, None) or {}
        return {
            "agent_id": given["agent_id"],
            "to_number": given["to_number"],
            "from_number": given.get("from_number"),
            "prompt": (given.get("prompt") or "").strip(),
            "variables": merged,
            "metadata": given.get("metadata") or {},
            "campaign_id": given.get("campaign_id") or "",
            "voicemail_message": given.get("voicemail_message"),
            "voicemail_action": given.get("voicemail_action") or "",
        }


def filtered(calls: CallQuerySet, query: Mapping[str, str]) -> CallQuerySet:
    """Return the calls that a list's query asks for. A value that cannot be read is a 400."""

    def given(name: str) -> str:
        return query.get(name, "").replace("\0", "").strip()

    for name, field in (
        ("agent_id", "agent_public_id"),
        ("campaign_id", "campaign_id"),
        ("from_number", "from_number"),
        ("to_number", "to_number"),
        ("ended_reason", "ended_reason"),
        ("caller_sentiment", "caller_sentiment"),
    ):
        if value := given(name):
            calls = calls.filter(**{field: value})
    if direction := given("direction") or given("call_direction"):
        calls = calls.filter(direction=_one_of(direction, "direction", Call.Direction.values))
    if status := given("status") or given("call_status"):
        status = _SPELLINGS.get(status, status)
        calls = calls.filter(status=_one_of(status, "status", Call.Status.values))
    for flag in ("voicemail_detected", "call_successful"):
        if value := given(flag):
            wanted = _one_of(value.lower(), flag, ["true", "false"]) == "true"
            calls = calls.filter(Q(**{flag: wanted}))
    if since := given("since"):
        calls = calls.filter(created_at__gte=time_in_query(since, "since"))
    if until := given("until"):
        calls = calls.filter(created_at__lt=time_in_query(until, "until"))
    return calls


def _one_of(value: str, name: str, known: list[str]) -> str:
    if value not in known:
        raise invalid_field(name, f"must be one of: {', '.join(known)}.")
    return value
