"""What the API takes in for campaigns, in the names of every generation of clients."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.dateparse import parse_date, parse_datetime
from rest_framework import serializers

from accounts.errors import ApiError, invalid_field, require
from accounts.fields import E164, Anything, Flag, Object, OneOf, Real, Text, Whole
from accounts.hours.windows import DAY_MINUTES, DAYS, Window
from accounts.hours.zones import is_timezone
from agents.models import Agent
from campaigns.models import Recipient

MOST_RECIPIENTS = 10_000
RETRIED = ("no-answer", "busy", "voicemail", "failed")
_WINDOWS_AT_MOST = 21
# Calling hours are looked for behind a start: there must be room on the calendar.
FURTHEST_YEAR = 3000
_CLOCK = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])", re.ASCII)


class _Days(serializers.ListField):
    def to_internal_value(self, data: Any) -> list[str]:
        return _days(data, self.field_name or "")


class NewCampaign(serializers.Serializer[Any]):
    """A campaign: who speaks, to whom, why, and when people may be called."""

    agent_id = Text(max_length=64)
    from_number = E164(required=False, allow_null=True)
    prompt = Text(required=False, allow_null=True, max_length=16_000, too_long="prompt_too_long")
    name = Text(required=False, allow_null=True, max_length=200)
    recipients = Anything(
        required=False,
        help_text='Up to 10,000 of {"phone": "+44…", "variables": {}, "prompt_override": "…", '
        '"timezone": "Europe/London", "metadata": {}}.',
    )
    skip_invalid = Flag(required=False, default=False)
    schedule_type = OneOf(["now", "schedule", "scheduled", "draft"], required=False)
    scheduled_at = Text(required=False, allow_null=True, max_length=64)
    scheduled_date = Text(required=False, allow_null=True, max_length=64)
    timezone = Text(required=False, allow_null=True, max_length=64)
    window_start_minutes = Whole(0, DAY_MINUTES, required=False, allow_null=True)
    window_end_minutes = Whole(0, DAY_MINUTES, required=False, allow_null=True)
    window_days = _Days(required=False, allow_null=True)
    windows = Anything(
        required=False,
        allow_null=True,
        help_text='Several a day: [{"days": ["mon"], "start": "09:00", "end": "12:30"}].',
    )
    follow_law = Flag(required=False, default=False)
    max_concurrent = Whole(1, 100_000, required=False, allow_null=True)
    retries = Object(
        required=False,
        allow_null=True,
        help_text='{"no-answer": {"times": 2, "after_minutes": 60, "other_hour": true}}',
    )
    max_calls = Whole(1, 10_000_000, required=False, allow_null=True)
    max_cost = Real(0.01, 1_000_000, required=False, allow_null=True, help_text="dollars")
    stop_on_failures = Flag(required=False, default=True)
    metadata = Object(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        is_draft = data.get("schedule_type") == "draft"
        require(data, "agent_id", *(() if is_draft else ("recipients",)))
        if data.get("from_number") == "":
            data = {**data, "from_number": None}
        given: dict[str, Any] = super().to_internal_value(data)
        recipients = given.get("recipients")
        if recipients is None:
            recipients = []
        if not isinstance(recipients, list):
            raise invalid_field("recipients", "must be an array of objects.")
        if len(recipients) > MOST_RECIPIENTS:
            raise ApiError(
                "too_many_recipients",
                f"recipients has {len(recipients)} items; at most {MOST_RECIPIENTS} are allowed. "
                "Send more as CSV to /v1/campaigns/{campaign_id}/recipients.",
                details={"field": "recipients", "max": MOST_RECIPIENTS, "count": len(recipients)},
            )
        if not recipients and given.get("schedule_type") != "draft":
            raise ApiError("campaign_no_recipients", "This campaign has nobody to call.")
        return {**given, "recipients": recipients}


@dataclass(frozen=True, slots=True)
class Start:
    """When a campaign is to start: ``kind`` is now, schedule or draft; ``at`` of a schedule."""

    kind: str
    at: datetime | None = None
    was_past: bool = False
    was_ignored: bool = False


def fields_of(given: Mapping[str, Any], agent: Agent) -> dict[str, Any]:
    """Return the fields of ``Campaign`` that a valid ``NewCampaign`` says."""
    max_cost = given.get("max_cost")
    return {
        "name": (given.get("name") or "").strip(),
        "prompt": (given.get("prompt") or "").strip(),
        "metadata": given.get("metadata") or {},
        "timezone": _timezone(given.get("timezone") or agent.timezone),
        "windows": windows_of(given),
        "follow_law": given["follow_law"],
        "max_concurrent": given.get("max_concurrent"),
        "retries": retries_of(given.get("retries") or {}),
        "max_calls": given.get("max_calls"),
        "max_cost_micros": None if max_cost is None else round(max_cost * 1_000_000),
        "stop_on_failures": given["stop_on_failures"],
    }


def start_of(given: Mapping[str, Any], zone: str, now: datetime) -> Start:
    """Return when to start. A time without an offset is in ``zone``; one in the past means now."""
    kind = given.get("schedule_type")
    at_text, date_text = given.get("scheduled_at"), given.get("scheduled_date")
    if kind == "draft":
        return Start("draft")
    if kind == "now" or (kind is None and not (at_text or date_text)):
        return Start("now", was_ignored=bool(at_text or date_text))
    if not (at_text or date_text):
        raise ApiError(
            "invalid_schedule",
            'A scheduled campaign needs scheduled_at, as "2026-11-24T09:00:00", or '
            'scheduled_date, as "2026-11-24".',
            details={"field": "scheduled_at"},
        )
    field = "scheduled_at" if at_text else "scheduled_date"
    at = _when(str(at_text or date_text), field, zone)
    if at <= now:
        # The day scheduled for began already: that is in time.
        local = ZoneInfo(zone)
        is_today = not at_text and at.astimezone(local).date() == now.astimezone(local).date()
        return Start("now", was_past=not is_today)
    return Start("schedule", at)


def windows_of(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the calling windows as ``Window.as_json``: ``windows``, else the single one of
    ``window_start_minutes``, ``window_end_minutes`` and ``window_days``."""
    items = given.get("windows")
    if items is not None:
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise invalid_field("windows", "must be an array of objects.", "invalid_schedule")
        if len(items) > _WINDOWS_AT_MOST:
            raise invalid_field(
                "windows", f"may have {_WINDOWS_AT_MOST} items at most.", "invalid_schedule"
            )
        return [_window(item, f"windows.{index}") for index, item in enumerate(items)]
    start, end = given.get("window_start_minutes"), given.get("window_end_minutes")
    days = given.get("window_days")
    if start is None and end is None and not days:
        return []
    one = {"start_minutes": start or 0, "end_minutes": DAY_MINUTES if end is None else end}
    return [_window({**one, "days": days}, "window_start_minutes")]


def _window(item: Mapping[str, Any], field: str) -> dict[str, Any]:
    days = _days(item["days"], f"{field}.days") if item.get("days") else list(DAYS)
    start = _minutes(item, "start", 0, field)
    end = _minutes(item, "end", DAY_MINUTES, field)
    try:
        window = Window.from_json({"days": days, "start_minutes": start, "end_minutes": end})
    except ValueError as error:
        raise ApiError(
            "invalid_schedule", f"{field}: {error}.", details={"field": field}
        ) from error
    return window.as_json()


def _minutes(item: Mapping[str, Any], edge: str, default: int, field: str) -> int:
    value = item.get(f"{edge}_minutes", item.get(edge, default))
    if isinstance(value, str) and (match := _CLOCK.fullmatch(value)):
        return int(match[1]) * 60 + int(match[2])
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_field(
            f"{field}.{edge}", 'must be a time, as "09:30", or minutes.', "invalid_schedule"
        )
    return value


def _days(data: Any, field: str) -> list[str]:
    if not isinstance(data, list) or not all(isinstance(day, str) for day in data):
        raise invalid_field(field, f"must be an array of: {', '.join(DAYS)}.", "invalid_schedule")
    days = [day.strip().lower()[:3] for day in data]
    if not set(days) <= set(DAYS):
        raise invalid_field(field, f"must be an array of: {', '.join(DAYS)}.", "invalid_schedule")
    return days


def retries_of(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return retry rules by outcome; an outcome that is not named is not tried again."""
    rules: dict[str, dict[str, Any]] = {}
    for name, rule in given.items():
        outcome = str(name).replace("_", "-")
        field = f"retries.{name}"
        if outcome not in RETRIED:
            raise invalid_field(field, f"is unknown. Outcomes are: {', '.join(RETRIED)}.")
        if not isinstance(rule, dict):
            raise invalid_field(field, 'must be an object, as {"times": 2, "after_minutes": 60}.')
        times, pause = rule.get("times", 1), rule.get("after_minutes", 60)
        for value, key, most in ((times, "times", 10), (pause, "after_minutes", 14 * DAY_MINUTES)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise invalid_field(f"{field}.{key}", f"must be between 1 and {most}.")
        other_hour = rule.get("other_hour", False)
        if not isinstance(other_hour, bool):
            raise invalid_field(f"{field}.other_hour", "must be true or false.")
        rules[str(Recipient.Outcome(outcome))] = {
            "times": times,
            "after_minutes": pause,
            "other_hour": other_hour,
        }
    return rules


def _timezone(name: str) -> str:
    if not is_timezone(name):
        raise ApiError(
            "campaign_creation_failed",
            "The campaign was not created: timezone must be an IANA time zone, as Europe/London "
            "(invalid_timezone).",
            details={"reason": "invalid_timezone", "field": "timezone"},
        )
    return name


def _when(text: str, field: str, zone: str) -> datetime:
    try:
        when = parse_datetime(text)
        if when is None and (day := parse_date(text)):
            when = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    except ValueError:
        when = None
    if when is None or not 1970 < when.year < FURTHEST_YEAR:
        raise invalid_field(
            field,
            'must be a time in ISO 8601, as "2026-11-24T09:00:00+00:00".',
            "invalid_schedule",
        )
    return (when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
