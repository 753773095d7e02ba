"""The dashboard's forms of campaigns. What they mean is checked by the API's own rules."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.choices import ObviousChoiceField
from accounts.errors import ApiError
from accounts.hours.windows import DAYS
from accounts.hours.zones import is_timezone
from agents.models import Agent, PhoneNumber
from campaigns.dispatch import BREAKER_CALLS, BREAKER_SHARE
from campaigns.inputs import FURTHEST_YEAR, retries_of, windows_of
from campaigns.rows import CsvFile
from sms.segments import LONGEST, MOST_PARTS

MAPPED = ("phone", "name", "timezone", "prompt_override")
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_OURS = PhoneNumber.objects.filter(outbound_enabled=True)
_SECTIONS = (
    ("Who and why", ("name", "agent", "number", "prompt", "context_prompt")),
    ("When", ("follow_law", "window_start", "window_end", "timezone", "window_days")),
    ("How often", ("retry_times", "retry_minutes", "max_concurrent")),
    ("Limits", ("max_calls", "max_cost", "stop_on_failures")),
)


class NewCampaignForm(forms.Form):
    """Who speaks, why, when, and the file of people. Columns come as ``map_phone`` …: indexes."""

    name = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)
    agent = ObviousChoiceField(
        Agent.objects.active().select_related("account"),
        widget=UnfoldAdminSelectWidget,
    )
    number = ObviousChoiceField(
        _OURS,
        label="Call from",
        widget=UnfoldAdminSelectWidget,
    )
    prompt = forms.CharField(
        label="Purpose of the calls",
        max_length=16_000,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="What the agent is to achieve. {column} stands for a person's own value.",
    )
    follow_law = forms.BooleanField(
        label="Only at lawful hours",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Keep to the calling hours of each person's country or state.",
    )
    window_start = forms.TimeField(
        label="Not before",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "time"}),
        help_text="On each person's own clock.",
    )
    window_end = forms.TimeField(
        label="Not after",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "time"}),
    )
    window_days = forms.MultipleChoiceField(
        label="On",
        required=False,
        choices=list(zip(DAYS, _DAY_NAMES, strict=True)),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="No day chosen: every day.",
    )
    timezone = forms.CharField(
        label="Time zone",
        max_length=64,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Of people whose own is not known, as Europe/London. Empty: the agent's.",
    )
    retry_times = forms.IntegerField(
        label="Call again",
        min_value=0,
        max_value=10,
        initial=0,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How often, if busy or not answered.",
    )
    retry_minutes = forms.IntegerField(
        label="After (minutes)",
        min_value=1,
        max_value=20_160,
        initial=60,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    max_concurrent = forms.IntegerField(
        label="Calls at a time",
        min_value=1,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: as many as the account may make.",
    )
    max_calls = forms.IntegerField(
        label="Calls altogether",
        min_value=1,
        max_value=10_000_000,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="After so many calls the campaign pauses. Empty: no limit.",
    )
    max_cost = forms.DecimalField(
        label="Dollars altogether",
        min_value=Decimal("0.01"),
        max_value=1_000_000,
        decimal_places=2,
        required=False,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="Once its calls have cost so much, the campaign pauses. Empty: no limit.",
    )
    stop_on_failures = forms.BooleanField(
        label="Pause when most calls fail",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text=f"When {BREAKER_SHARE:.0%} of the last {BREAKER_CALLS} calls failed.",
    )
    region = forms.CharField(
        label="Country of numbers without +",
        max_length=2,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="As GB or US. Empty: every number must begin with +.",
    )
    file = forms.FileField(label="People (CSV)")

    def sections(self) -> Iterator[tuple[str, list[forms.BoundField]]]:
        """The fields below the file, by what they are about."""
        for title, names in _SECTIONS:
            if fields := [self[name] for name in names if name in self.fields]:
                yield title, fields

    def clean_timezone(self) -> str:
        name: str = self.cleaned_data["timezone"].strip()
        if name and not is_timezone(name):
            raise forms.ValidationError("This is no IANA time zone, as Europe/London.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        agent, number = cleaned.get("agent"), cleaned.get("number")
        if agent and number and agent.account_id != number.account_id:
            raise forms.ValidationError({"number": "This number belongs to another account."})
        if file := cleaned.get("file"):
            try:
                cleaned["rows"] = CsvFile(file, cleaned.get("region", "").upper() or None)
                remap(cleaned["rows"], self.data)
            except ApiError as error:
                raise forms.ValidationError({"file": error.message}) from error
        try:
            cleaned["fields"] = self._fields(cleaned)
        except ApiError as error:
            raise forms.ValidationError({NON_FIELD_ERRORS: error.message}) from error
        return cleaned

    def _fields(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        start, end = cleaned.get("window_start"), cleaned.get("window_end")
        times = cleaned.get("retry_times") or 0
        max_cost = cleaned.get("max_cost")
        rule = {"times": times, "after_minutes": cleaned.get("retry_minutes") or 60}
        retries = {"no-answer": rule, "busy": rule} if times else {}
        fields = {
            "name": cleaned.get("name", ""),
            "prompt": cleaned.get("prompt", "").strip(),
            "follow_law": bool(cleaned.get("follow_law")),
            "max_concurrent": cleaned.get("max_concurrent"),
            "max_calls": cleaned.get("max_calls"),
            "max_cost_micros": None if max_cost is None else int(max_cost * 1_000_000),
            "stop_on_failures": bool(cleaned.get("stop_on_failures")),
            "retries": retries_of(retries),
            "windows": windows_of(
                {
                    "window_start_minutes": start and start.hour * 60 + start.minute,
                    "window_end_minutes": end and end.hour * 60 + end.minute,
                    "window_days": cleaned.get("window_days"),
                }
            ),
        }
        return fields | ({"timezone": zone} if (zone := cleaned.get("timezone")) else {})


class NewTextCampaignForm(NewCampaignForm):
    """The same for texts: ``prompt`` is the text itself."""

    number = ObviousChoiceField(
        _OURS,
        label="Text from",
        widget=UnfoldAdminSelectWidget,
    )
    retry_times = None  # type: ignore[assignment]  # (left out)
    retry_minutes = None  # type: ignore[assignment]  # (left out)
    max_concurrent = None  # type: ignore[assignment]  # (left out)
    max_calls = None  # type: ignore[assignment]  # (left out)
    max_cost = None  # type: ignore[assignment]  # (left out)
    stop_on_failures = None  # type: ignore[assignment]  # (left out)
    prompt = forms.CharField(
        label="Text",
        max_length=LONGEST * MOST_PARTS,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="{column} stands for a person's own value.",
    )
    context_prompt = forms.CharField(
        label="For the agent",
        max_length=8_000,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="What it should know when people reply.",
    )

    def _fields(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        fields = super()._fields(cleaned)
        return {
            "name": fields["name"],
            "message_template": fields["prompt"],
            "context_prompt": cleaned.get("context_prompt", "").strip(),
            **{key: fields[key] for key in ("follow_law", "windows", "timezone") if key in fields},
        }


class ScheduleForm(forms.Form):
    """When a draft is to start, on the wall clock of the campaign's zone."""

    starts_at = forms.DateTimeField(input_formats=["%Y-%m-%dT%H:%M"])

    def __init__(self, *args: Any, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._zone = zone

    def clean_starts_at(self) -> datetime:
        at: datetime = self.cleaned_data["starts_at"].replace(tzinfo=ZoneInfo(self._zone))
        if at <= timezone.now():
            raise forms.ValidationError("This time is past. Launch the campaign instead.")
        if at.year >= FURTHEST_YEAR:
            raise forms.ValidationError("Nobody will be there to answer.")
        return at


def remap(rows: CsvFile, data: Mapping[str, Any]) -> None:
    """Take over which column is which, where the form says so."""
    if not data.get("map_phone"):
        return
    chosen: dict[str, int | None] = {}
    for name in MAPPED:
        index = str(data.get(f"map_{name}", ""))
        chosen[name] = int(index) if index.isdecimal() and int(index) < len(rows.header) else None
    if chosen["phone"] is None:
        raise forms.ValidationError({"file": "Say which column holds the telephone numbers."})
    rows.remap(**chosen)
