"""What the API shows of campaigns."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from rest_framework import serializers

from accounts.spreadsheets import harmless
from campaigns.intake import Intake
from campaigns.models import Campaign, Recipient, RecipientCall
from campaigns.progress import Progress

_RESULTS_AT_ONCE = 2_000
_RESULT_COLUMNS = (
    "row_index",
    "phone",
    "name",
    "status",
    "outcome",
    "attempts",
    "call_id",
    "called_at",
    "duration_s",
    "reason",
    "call_summary",
)


class Warned(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    count = serializers.IntegerField()


class InvalidRow(serializers.Serializer[Any]):
    phone = serializers.CharField()
    reason = serializers.CharField()
    row_index = serializers.IntegerField()
    line = serializers.IntegerField(required=False, help_text="of a CSV")


class CampaignCreated(serializers.Serializer[Any]):
    campaign_id = serializers.CharField()
    status = serializers.ChoiceField(choices=Campaign.Status.choices)
    name = serializers.CharField()
    valid_count = serializers.IntegerField()
    invalid_count = serializers.IntegerField()
    invalid = InvalidRow(many=True)
    duplicates_count = serializers.IntegerField()
    suppressed_count = serializers.IntegerField()
    recipients_count = serializers.IntegerField()
    scheduled_at = serializers.DateTimeField(allow_null=True)
    warnings = Warned(many=True)


class CampaignMoved(serializers.Serializer[Any]):
    campaign_id = serializers.CharField()
    status = serializers.ChoiceField(choices=Campaign.Status.choices)
    recipients_count = serializers.IntegerField()
    queued_count = serializers.IntegerField()


class CampaignOutput(serializers.Serializer[Any]):
    campaign_id = serializers.CharField()
    name = serializers.CharField()
    agent_id = serializers.CharField()
    from_number = serializers.CharField()
    prompt = serializers.CharField()
    status = serializers.ChoiceField(choices=Campaign.Status.choices)
    status_reason = serializers.CharField(allow_null=True)
    timezone = serializers.CharField()
    windows = serializers.ListField()
    follow_law = serializers.BooleanField()
    max_concurrent = serializers.IntegerField(allow_null=True)
    retries = serializers.DictField()
    max_calls = serializers.IntegerField(allow_null=True)
    max_cost = serializers.FloatField(allow_null=True, help_text="dollars")
    metadata = serializers.DictField()
    created_at = serializers.DateTimeField()
    scheduled_at = serializers.DateTimeField(allow_null=True)
    launched_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    recipients_count = serializers.IntegerField()
    queued_count = serializers.IntegerField()
    counts = serializers.DictField(help_text="People by status.")
    outcomes = serializers.DictField(help_text="People who are done, by outcome.")
    progress = serializers.FloatField(help_text="0 to 1")


class CampaignWithPace(CampaignOutput):
    calls_count = serializers.IntegerField()
    live_calls = serializers.IntegerField()
    calls_per_minute = serializers.FloatField()
    estimated_end_at = serializers.DateTimeField(allow_null=True)
    cost = serializers.FloatField(help_text="dollars, of ended calls")
    intake = serializers.DictField()


class CampaignList(serializers.Serializer[Any]):
    campaigns = CampaignOutput(many=True)
    count = serializers.IntegerField()


class RecipientOutput(serializers.Serializer[Any]):
    row_index = serializers.IntegerField()
    phone = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=Recipient.Status.choices)
    outcome = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    attempts = serializers.IntegerField()
    call_ids = serializers.ListField(child=serializers.CharField())
    due_at = serializers.DateTimeField()
    timezones = serializers.ListField(child=serializers.CharField())
    variables = serializers.DictField()
    metadata = serializers.DictField()


class RecipientList(serializers.Serializer[Any]):
    recipients = RecipientOutput(many=True)
    count = serializers.IntegerField()


class RecipientsAdded(serializers.Serializer[Any]):
    campaign_id = serializers.CharField()
    valid_count = serializers.IntegerField()
    invalid_count = serializers.IntegerField()
    invalid = InvalidRow(many=True)
    duplicates_count = serializers.IntegerField()
    suppressed_count = serializers.IntegerField()
    added_count = serializers.IntegerField()


def _dollars(micros: int | None) -> float | None:
    return None if micros is None else micros / 1_000_000


def created(campaign: Campaign, intake: Intake, warnings: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "campaign_id": campaign.campaign_id,
        "status": campaign.status,
        "name": campaign.name,
        "valid_count": intake.valid,
        "invalid_count": intake.invalid_count,
        "invalid": intake.invalid,
        "duplicates_count": intake.duplicates,
        "suppressed_count": intake.suppressed,
        "recipients_count": intake.added,
        "scheduled_at": _iso(campaign.starts_at),
        "warnings": warnings,
    }


def added(campaign: Campaign, intake: Intake) -> dict[str, Any]:
    return {
        "campaign_id": campaign.campaign_id,
        "valid_count": intake.valid,
        "invalid_count": intake.invalid_count,
        "invalid": intake.invalid,
        "duplicates_count": intake.duplicates,
        "suppressed_count": intake.suppressed,
        "added_count": intake.added,
    }


def moved(campaign: Campaign, progress: Progress) -> dict[str, Any]:
    return {
        "campaign_id": campaign.campaign_id,
        "status": campaign.status,
        "recipients_count": progress.total,
        "queued_count": progress.counts[Recipient.Status.PENDING],
    }


def shown(campaign: Campaign, progress: Progress) -> dict[str, Any]:
    return {
        **moved(campaign, progress),
        "name": campaign.name,
        "agent_id": campaign.agent_public_id,
        "from_number": campaign.from_number,
        "prompt": campaign.prompt,
        "status_reason": campaign.status_reason or None,
        "timezone": campaign.timezone,
        "windows": campaign.windows,
        "follow_law": campaign.follow_law,
        "max_concurrent": campaign.max_concurrent,
        "retries": campaign.retries,
        "max_calls": campaign.max_calls,
        "max_cost": _dollars(campaign.max_cost_micros),
        "metadata": campaign.metadata,
        "created_at": _iso(campaign.created_at),
        "scheduled_at": _iso(campaign.starts_at),
        "launched_at": _iso(campaign.launched_at),
        "ended_at": _iso(campaign.ended_at),
        "counts": progress.counts,
        "outcomes": progress.outcomes,
        "progress": round(progress.share, 4),
    }


def shown_with_pace(campaign: Campaign, progress: Progress) -> dict[str, Any]:
    return {
        **shown(campaign, progress),
        "calls_count": progress.calls,
        "live_calls": progress.live,
        "calls_per_minute": progress.calls_per_minute,
        "estimated_end_at": _iso(progress.ends_at),
        "cost": _dollars(progress.cost_micros),
        "intake": campaign.intake,
    }


def recipients_shown(people: Iterable[Recipient]) -> list[dict[str, Any]]:
    """``people`` come with their ``group`` and ``calls__call``."""
    return [
        {
            "row_index": one.row_index,
            "phone": one.phone,
            "name": one.name,
            "status": one.status,
            "outcome": one.outcome or None,
            "reason": one.reason or None,
            "attempts": one.attempts,
            "call_ids": [made.call.call_id for made in one.calls.all() if made.call],
            "due_at": _iso(one.due_at),
            "timezones": one.group.zones,
            "variables": one.variables,
            "metadata": one.metadata,
        }
        for one in people
    ]


def results_response(campaign: Campaign) -> StreamingHttpResponse:
    """Return a download of ``results_csv``."""
    name = f"{campaign.campaign_id}.csv"
    return StreamingHttpResponse(
        results_csv(campaign),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def results_csv(campaign: Campaign) -> AsyncIterator[str]:
    """Yield the campaign's people and what became of them as CSV, a few thousand rows at a time."""
    yield "\ufeff" + _csv_line(_RESULT_COLUMNS)
    last = (-1, 0)
    while rows := await sync_to_async(_results_after)(campaign, last):
        yield "".join(_csv_line(row[1:]) for row in rows)
        last = (rows[-1][1], rows[-1][0])


def _results_after(campaign: Campaign, last: tuple[int, int]) -> list[tuple[Any, ...]]:
    people = list(
        Recipient.objects.filter(campaign=campaign)
        .extra(where=["(row_index, id) > (%s, %s)"], params=list(last))
        .order_by("row_index", "id")[:_RESULTS_AT_ONCE]
    )
    newest: dict[int, RecipientCall] = {}
    for made in (
        RecipientCall.objects.filter(recipient__in=people)
        .select_related("call")
        .order_by("attempt")
    ):
        newest[made.recipient_id] = made
    return [_result(one, newest.get(one.pk)) for one in people]


def _result(one: Recipient, made: RecipientCall | None) -> tuple[Any, ...]:
    call = made.call if made else None
    return (
        one.pk,
        one.row_index,
        one.phone,
        one.name,
        one.status,
        one.outcome,
        one.attempts,
        call.call_id if call else "",
        _iso(call.created_at) if call else "",
        round(call.duration_ms / 1000) if call else "",
        one.reason,
        call.call_summary if call else "",
    )


def _csv_line(cells: Iterable[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([harmless(cell) for cell in cells])
    return out.getvalue()


def _iso(at: Any) -> str | None:
    return at.isoformat() if at else None
