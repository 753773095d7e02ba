"""What the API takes in for text campaigns, in the names of every generation of clients."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rest_framework import serializers

from accounts.errors import ApiError, invalid_field, missing_field, require
from accounts.fields import E164, Anything, Flag, Items, OneOf, Text, Whole
from accounts.hours.zones import is_timezone
from agents.models import Agent
from campaigns.inputs import MOST_RECIPIENTS, start_of, windows_of
from sms.inputs import renamed
from sms.segments import LONGEST, MOST_PARTS

_NAMES = {
    "message_template": ("message_template", "message", "body"),
    "from_number": ("from_number", "phone_number"),
}


class TextCampaignChange(serializers.Serializer[Any]):
    """What can be said of a campaign that exists; every field is optional."""

    name = Text(required=False, allow_null=True, max_length=200)
    message_template = Text(required=False, help_text="Also message or body; {placeholders}.")
    recipients = Items(
        MOST_RECIPIENTS,
        required=False,
        help_text='[{"phone": "+44…", "variables": {}, "timezone": "Europe/London"}]',
    )
    context_prompt = Text(required=False, allow_null=True, max_length=8000)
    reply_window_hours = Whole(1, 720, required=False, allow_null=True)
    scheduled_at = Text(required=False, allow_null=True, max_length=64)
    timezone = Text(required=False, allow_null=True, max_length=64)
    window_start_minutes = Whole(0, 1440, required=False, allow_null=True)
    window_end_minutes = Whole(0, 1440, required=False, allow_null=True)
    window_days = Anything(required=False, allow_null=True)
    windows = Anything(required=False, allow_null=True)
    follow_law = Flag(required=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        data = renamed(data, _NAMES)
        people = data.get("recipients")
        if people == []:
            raise ApiError("campaign_no_recipients", "This SMS campaign has nobody to text.")
        if isinstance(people, list) and len(people) > MOST_RECIPIENTS:
            raise ApiError(
                "too_many_recipients",
                f"recipients has {len(people)} items; at most {MOST_RECIPIENTS} are allowed.",
                details={"field": "recipients", "max": MOST_RECIPIENTS, "count": len(people)},
            )
        given: dict[str, Any] = super().to_internal_value(data)
        if "message_template" in given:
            _check_template(given["message_template"])
        zone = given.get("timezone")
        if zone and not is_timezone(zone):
            raise invalid_field(
                "timezone", "must be an IANA time zone, as Europe/London.", "invalid_timezone"
            )
        return given


class NewTextCampaign(TextCampaignChange):
    """A text campaign: who texts, to whom, what, and when."""

    agent_id = Text(max_length=64)
    from_number = E164()
    schedule_type = OneOf(
        ["now", "schedule", "scheduled", "draft"], required=False, code="invalid_schedule"
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        named = renamed(data, _NAMES)
        require(named, "agent_id", "from_number", "message_template", "recipients")
        return super().to_internal_value(named)


def _check_template(template: str) -> None:
    if not template.strip():
        raise missing_field("message_template")
    longest = LONGEST * MOST_PARTS
    if len(template) > longest:
        raise ApiError(
            "message_too_long",
            f"message_template is {len(template)} characters long; at most {longest} are sent.",
            details={"field": "message_template", "max_length": longest, "length": len(template)},
        )


def changes_of(given: Mapping[str, Any], zone: str, now: datetime) -> dict[str, Any]:
    """Return the fields of ``TextCampaign`` that a valid input says, and no others.

    A time without an offset is in the input's ``timezone``, else in ``zone``. Raises ApiError
    ``invalid_schedule``.
    """
    fields: dict[str, Any] = {
        name: (given[name] or "").strip()
        for name in ("name", "message_template", "context_prompt")
        if name in given
    }
    if "reply_window_hours" in given:
        fields["reply_window_hours"] = given["reply_window_hours"]
    if "follow_law" in given:
        fields["follow_law"] = given["follow_law"]
    if given.get("timezone"):
        fields["timezone"] = given["timezone"]
    if {"windows", "window_start_minutes", "window_end_minutes", "window_days"} & given.keys():
        fields["windows"] = windows_of(given)
    if given.get("scheduled_at"):
        asked = {"schedule_type": "schedule", "scheduled_at": given["scheduled_at"]}
        fields["scheduled_at"] = start_of(asked, given.get("timezone") or zone, now).at or now
    return fields


def start_kind(given: Mapping[str, Any], agent: Agent, now: datetime) -> str:
    """Return ``now``, ``schedule`` or ``draft``. Raises ApiError ``invalid_schedule``."""
    return start_of(given, given.get("timezone") or agent.timezone, now).kind
