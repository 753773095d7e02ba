"""From one request to a campaign: made, filled and started, with a word on all that is odd."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.errors import ApiError
from accounts.models import Account
from campaigns import services
from campaigns.inputs import Start, fields_of, start_of
from campaigns.intake import Intake, take_in
from campaigns.models import Campaign
from campaigns.preview import outside_now, preview
from campaigns.rows import rows_of_json

Warning_ = dict[str, Any]


@transaction.atomic
def create_batch(
    account: Account, given: Mapping[str, Any], now: datetime | None = None
) -> tuple[Campaign, Intake, list[Warning_]]:
    """Make a campaign of a valid ``NewCampaign``, scheduled or as a draft; who asked for ``now``
    launches it then. All or nothing: ApiError leaves no row."""
    now = now or timezone.now()
    agent, number = services.parties(account, given["agent_id"], given.get("from_number"))
    fields = fields_of(given, agent)
    start = start_of(given, fields["timezone"], now)
    campaign = services.create_campaign(account, agent=agent, number=number, **fields)
    intake = take_in(
        campaign, rows_of_json(given["recipients"]), skip_invalid=given["skip_invalid"], now=now
    )
    campaign.intake = intake.as_json(shown=services.INVALID_KEPT)
    campaign.save(update_fields=["intake"])
    if start.kind != "draft" and not intake.valid:
        raise ApiError(
            "campaign_no_recipients",
            "None of the recipients can be called.",
            details={"invalid_count": intake.invalid_count, "invalid": intake.invalid},
        )
    if start.at is not None:
        campaign = services.schedule(campaign.pk, start.at)
    return campaign, intake, warnings_of(campaign, intake, start, now)


def warnings_of(campaign: Campaign, intake: Intake, start: Start, now: datetime) -> list[Warning_]:
    """Return what the sender should know though nothing was wrong: ``code``, ``message``,
    ``count``."""
    found: list[Warning_] = []

    def warn(code: str, count: int, message: str) -> None:
        if count:
            found.append({"code": code, "count": count, "message": message})

    if start.was_past:
        warn("scheduled_in_the_past", 1, "The time scheduled for is past: the campaign starts now.")
    if start.was_ignored:
        warn("schedule_ignored", 1, "schedule_type is now: the time scheduled for is not used.")
    warn(
        "duplicates_merged",
        intake.duplicates,
        f"{intake.duplicates} row(s) repeat a number and were merged: everybody is called once."
        + (
            f" {intake.differing} of them had other variables; the first row of a number counts."
            if intake.differing
            else ""
        ),
    )
    warn(
        "recipients_suppressed",
        intake.suppressed,
        f"{intake.suppressed} recipient(s) asked not to be called and are skipped.",
    )
    if not campaign.windows and not campaign.keeps_law and start.kind != "draft":
        at = start.at or now
        outside = outside_now(campaign, at)
        warn(
            "outside_calling_hours",
            outside,
            f"{outside} recipient(s) will be called outside the calling hours of their place. Send "
            "follow_law: true, or windows, to hold them until their hours open.",
        )
    else:
        never = preview(campaign, now).never
        warn(
            "never_callable",
            never,
            f"{never} recipient(s) can never be called: no hour suits all places in which they "
            "may be. Send their timezone.",
        )
    if (campaign.max_concurrent or 0) > campaign.account.max_concurrent_calls:
        warn(
            "max_concurrent_above_account",
            campaign.max_concurrent or 0,
            f"The account may make {campaign.account.max_concurrent_calls} calls at a time.",
        )
    return found
