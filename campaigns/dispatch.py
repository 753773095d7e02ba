"""The dialer: hands the next due people of each running campaign over to be called.

Beat runs it every second, and each ended call nudges it. Any number may run at once: a campaign is
dispatched by whoever holds its row, people are claimed ``FOR UPDATE SKIP LOCKED``, and a call is
placed in the transaction that marks its person as called. Everything that could forbid a call is
asked inside that transaction: hours, the do-not-contact list, limits, caps, the carrier's pace.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.utils import timezone

from accounts.hours.enforcement import PATIENCE
from accounts.suppression import suppressed_among
from calls.lines import lines
from calls.models import Call
from calls.services import place_calls
from campaigns.intake import SUPPRESSED
from campaigns.models import Campaign, Recipient, RecipientCall, ZoneGroup
from campaigns.services import (
    credentials_problem,
    finish_if_done,
    pause_because,
    start_if_due,
)

logger = logging.getLogger(__name__)

# People claimed in one transaction: long enough to be cheap, short enough to lock nobody out.
AT_ONCE = 50
# So many seconds' worth of calls wait for their turn at the carrier's pace: until the next beat.
AHEAD_S = 2.0
# The breaker: of so many calls that ended last, within so long, this share failed.
BREAKER_CALLS = 20
BREAKER_LEAST = 10
BREAKER_WITHIN = timedelta(minutes=10)
BREAKER_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class _Open:
    """A zone group whose people may be called now, and until when (None: no end in sight)."""

    group: ZoneGroup
    until: datetime | None


def dispatch_all(now: datetime | None = None) -> int:
    """Start what is due and place the calls whose turn it is; return how many were placed."""
    now = now or timezone.now()
    due = Campaign.objects.filter(status=Campaign.Status.SCHEDULED, starts_at__lte=now)
    for pk in due.values_list("pk", flat=True):
        try:
            start_if_due(pk, now)
        except Exception:  # one campaign's trouble must not stop the others
            logger.exception("cannot start campaign %s", pk)
    placed = 0
    running = Campaign.objects.filter(status=Campaign.Status.RUNNING)
    # The one that was served longest ago is not known: a random order starves nobody.
    for pk in running.order_by("?").values_list("pk", flat=True):
        try:
            while (some := dispatch(pk, now)) == AT_ONCE:
                placed += some
            placed += some
        except Exception:  # likewise
            logger.exception("cannot dispatch campaign %s", pk)
    return placed


def dispatch(campaign_pk: int, now: datetime | None = None) -> int:
    """Place the calls of one campaign whose turn it is, at most ``AT_ONCE``; return how many.

    0 also while another process dispatches it.
    """
    now = now or timezone.now()
    with transaction.atomic():
        campaign = (
            Campaign.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("account", "agent", "number__carrier_account")
            .filter(pk=campaign_pk, status=Campaign.Status.RUNNING)
            .first()
        )
        if campaign is None or not _somebody_waits(campaign):
            return 0  # the last calls end it
        if why := credentials_problem(campaign) or _reason_to_stop(campaign, now):
            pause_because(campaign, why)
            return 0
        room = min(AT_ONCE, _room(campaign))
        placed, skipped = _place(campaign, now, room) if room > 0 else (0, 0)
    if skipped:
        finish_if_done(campaign_pk)
    return placed


def _somebody_waits(campaign: Campaign) -> bool:
    return campaign.recipients.filter(status=Recipient.Status.PENDING).exists()


def _room(campaign: Campaign) -> int:
    """How many more calls may be under way: of everybody, of the account, of the campaign; and how
    many more may wait for their turn at the carrier's pace.

    Waiting calls count: what is handed over is dialled soon, not queued past somebody's hours.
    """
    carrier = campaign.number.carrier_account_id  # type: ignore[union-attr]
    live = Call.objects.unfinished().aggregate(
        all=Count("pk"),
        account=Count("pk", filter=Q(account=campaign.account_id)),
        campaign=Count("pk", filter=Q(recipient_call__campaign=campaign)),
        queued=Count("pk", filter=Q(status=Call.Status.QUEUED, number__carrier_account=carrier)),
    )
    reserved = settings.INBOUND_RESERVED_CALLS
    rooms: list[int] = [
        lines() - reserved - live["all"],
        campaign.account.max_concurrent_calls - reserved - live["account"],
        math.ceil(settings.CARRIER_CALLS_PER_SECOND * AHEAD_S) - live["queued"],
    ]
    if campaign.max_concurrent is not None:
        rooms.append(campaign.max_concurrent - live["campaign"])
    if campaign.max_calls is not None:
        rooms.append(campaign.max_calls - campaign.calls.exclude(_WITHDRAWN).count())
    return max(0, min(rooms))


_WITHDRAWN = Q(settled_at__isnull=False, outcome="")


def _reason_to_stop(campaign: Campaign, now: datetime) -> str:
    """Return why the campaign must not go on by itself, else ""."""
    if campaign.max_calls is not None or campaign.max_cost_micros is not None:
        made = campaign.calls.exclude(_WITHDRAWN).aggregate(n=Count("pk"), cost=Sum("cost_micros"))
        if campaign.max_calls is not None and made["n"] >= campaign.max_calls:
            return f"It has made the {campaign.max_calls} calls that it may make."
        if campaign.max_cost_micros is not None and (
            (made["cost"] or 0) >= campaign.max_cost_micros
        ):
            return f"It has spent the ${campaign.max_cost_micros / 1e6:.2f} that it may spend."
    if not campaign.stop_on_failures:
        return ""
    since = max(campaign.breaker_since or now - BREAKER_WITHIN, now - BREAKER_WITHIN)
    last = list(
        campaign.calls.filter(settled_at__gt=since)
        .exclude(outcome="")
        .order_by("-settled_at")
        .values_list("outcome", flat=True)[:BREAKER_CALLS]
    )
    failed = last.count(Recipient.Outcome.FAILED)
    if len(last) >= BREAKER_LEAST and failed >= BREAKER_SHARE * len(last):
        return f"{failed} of the last {len(last)} calls failed. See what the carrier says of them."
    return ""


def _place(campaign: Campaign, now: datetime, room: int) -> tuple[int, int]:
    """Claim people and place their calls; return how many were placed and how many skipped."""
    placed = skipped = 0
    for open_ in _open_groups(campaign, now):
        while placed < room:
            claimed = list(
                Recipient.objects.due(open_.group.pk, now).select_for_update(
                    skip_locked=True, of=("self",)
                )[: room - placed]
            )
            if not claimed:
                break
            unwanted = suppressed_among(campaign.account, [one.phone for one in claimed])
            skipped += _skip([one for one in claimed if one.phone in unwanted])
            wanted = [one for one in claimed if one.phone not in unwanted]
            _call(campaign, wanted, open_.until)
            placed += len(wanted)
        if placed >= room:
            break
    return placed, skipped


def _open_groups(campaign: Campaign, now: datetime) -> list[_Open]:
    """Groups with somebody due whose hours are open; those that close soonest come first.

    A campaign without hours calls at any hour, but not late and at night: once it stood still, the
    law holds until it has called somebody, and its calls do not wait longer than ``PATIENCE``.
    """
    somebody = Recipient.objects.filter(group=OuterRef("pk"), status="pending", due_at__lte=now)
    at_any_hour = not campaign.windows and not campaign.keeps_law
    is_late = at_any_hour and _stood_still(campaign, now)
    found = []
    for group in ZoneGroup.objects.filter(Exists(somebody), campaign=campaign).order_by("pk"):
        hours = group.lawful_hours if is_late else group.hours(campaign)
        if hours.allow(now):
            until = hours.closing(now) or (now + PATIENCE if at_any_hour else None)
            found.append(_Open(group, until))
    return sorted(found, key=lambda one: (one.until is None, one.until or now))


def _stood_still(campaign: Campaign, now: datetime) -> bool:
    """Whether somebody was due for ``PATIENCE``, and nobody was called and nobody started it for as
    long: the machine was down, or no line was free."""
    before = now - PATIENCE
    if campaign.breaker_since is None or campaign.breaker_since > before:
        return False
    if not campaign.recipients.filter(status="pending", due_at__lte=before).exists():
        return False
    last = campaign.calls.order_by("-pk").values_list("created_at", flat=True).first()
    return last is None or last <= before


def _skip(people: Iterable[Recipient]) -> int:
    people = list(people)
    if people:
        Recipient.objects.filter(pk__in=[one.pk for one in people]).update(
            status=Recipient.Status.SKIPPED, reason=SUPPRESSED
        )
    return len(people)


def _call(campaign: Campaign, people: list[Recipient], until: datetime | None) -> None:
    if not people:
        return
    asked = []
    for one in people:
        one.attempts += 1
        one.status = Recipient.Status.CALLING
        asked.append(
            Call(
                to_number=one.phone,
                prompt=one.prompt_override or campaign.prompt,
                variables=one.variables,
                metadata={**campaign.metadata, **one.metadata},
                campaign_id=campaign.campaign_id,
                dial_before=until,
            )
        )
    calls = place_calls(
        campaign.account,
        agent=campaign.agent,  # type: ignore[arg-type]
        number=campaign.number,  # type: ignore[arg-type]
        asked=asked,
    )
    RecipientCall.objects.bulk_create(
        RecipientCall(campaign=campaign, recipient=one, attempt=one.attempts, call=call)
        for one, call in zip(people, calls, strict=True)
    )
    Recipient.objects.bulk_update(people, ["status", "attempts"])
