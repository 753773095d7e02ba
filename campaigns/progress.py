"""How far a campaign is, counted from its rows each time: nothing to keep in step."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Avg, Count, F, Max, OuterRef, Q, Subquery, Sum
from django.utils import timezone

from calls.models import Call
from campaigns.models import Campaign, Recipient, RecipientCall, ZoneGroup

# The pace shown is that of the last minutes.
PACE_OVER = timedelta(minutes=5)


@dataclass(slots=True)
class Progress:
    """Counts of people by status and outcome, of calls, and what they cost (micro-dollars)."""

    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(Recipient.Status.values, 0)
    )
    outcomes: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(Recipient.Outcome.values, 0)
    )
    calls: int = 0
    live: int = 0
    cost_micros: int = 0
    calls_per_minute: float = 0
    ends_at: datetime | None = None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def finished(self) -> int:
        return self.total - self.counts["pending"] - self.counts["calling"]

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.finished / self.total if self.total else 0.0


def counts_of(campaigns: Iterable[Campaign]) -> dict[int, Progress]:
    """Return people counted by campaign key, for lists: one query however many campaigns."""
    found = {campaign.pk: Progress() for campaign in campaigns}
    rows = (
        Recipient.objects.filter(campaign__in=list(found))
        .order_by()
        .values_list("campaign", "status", "outcome")
        .annotate(n=Count("pk"))
    )
    for pk, status, outcome, n in rows:
        progress = found[pk]
        progress.counts[status] += n
        if outcome and status == Recipient.Status.DONE:
            progress.outcomes[outcome] += n
    return found


def progress_of(campaign: Campaign, now: datetime | None = None) -> Progress:
    """Return everything that a live page shows, in four queries at most."""
    now = now or timezone.now()
    progress = counts_of([campaign])[campaign.pk]
    made = RecipientCall.objects.filter(campaign=campaign).exclude(
        settled_at__isnull=False, outcome=""
    )
    numbers = made.aggregate(
        calls=Count("pk"),
        cost=Sum("cost_micros"),
        lately=Count("pk", filter=Q(created_at__gt=now - PACE_OVER)),
    )
    live = Call.objects.unfinished().filter(recipient_call__campaign=campaign)
    progress.calls = numbers["calls"]
    progress.cost_micros = numbers["cost"] or 0
    progress.live = live.count()
    began = campaign.launched_at or now
    span = min(PACE_OVER, max(now - began, timedelta(seconds=20)))
    progress.calls_per_minute = round(numbers["lately"] / (span / timedelta(minutes=1)), 1)
    if campaign.status == Campaign.Status.RUNNING and progress.calls_per_minute:
        left = progress.counts["pending"]
        ends_at = now + timedelta(minutes=left / progress.calls_per_minute)
        progress.ends_at = max(ends_at, _last_turn(campaign) or ends_at)
    return progress


def _last_turn(campaign: Campaign) -> datetime | None:
    """Return when the last one's turn comes who waits, to be tried again perhaps: from the end of
    each zone group's index, however many wait."""
    of_group = Recipient.objects.filter(group=OuterRef("pk"), status="pending")
    last = Subquery(of_group.order_by("-due_at", "-id").values("due_at")[:1])
    found: datetime | None = ZoneGroup.objects.filter(campaign=campaign).aggregate(at=Max(last))[
        "at"
    ]
    return found


def average_call_s(campaign: Campaign, default: float = 45.0) -> float:
    """Return how long a call holds a line, from dialling to its end: of the account's last calls,
    else ``default`` seconds."""
    last = Call.objects.filter(
        account=campaign.account_id, direction="outbound", ended_at__isnull=False
    ).order_by("-created_at")[:500]
    mean = Call.objects.filter(pk__in=last.values("pk")).aggregate(
        mean=Avg(F("ended_at") - F("created_at"))
    )["mean"]
    return max(1.0, mean.total_seconds()) if mean else default
