"""A campaign before it is a campaign: the real dispatcher on a virtual clock, and no telephone.

Everything happens to copies in one transaction that is rolled back, so nothing is enqueued, nobody
is called and no lock is held that another campaign needs.
"""

import heapq
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Min
from django.utils import timezone

from accounts.models import CarrierAccount
from agents.models import PhoneNumber
from calls import pace
from calls.models import Call
from campaigns import outcomes
from campaigns.dispatch import dispatch
from campaigns.models import Campaign, Recipient, RecipientCall, ZoneGroup

# With fewer ended calls than this the account's history says little: DEFAULTS are used.
ENOUGH_CALLS = 30
HISTORY_CALLS = 500
# Assumed where there is no history: outcome, share in a hundred, seconds of line.
DEFAULTS = (
    ("answered", 35, 75.0),
    ("voicemail", 25, 20.0),
    ("no-answer", 30, 30.0),
    ("busy", 7, 4.0),
    ("failed", 3, 2.0),
)
# More people than this would take minutes: the first ones are rehearsed.
MOST_PEOPLE = 2_000
_STATUS = {
    "answered": Call.Status.COMPLETED,
    "voicemail": Call.Status.COMPLETED,
    "no-answer": Call.Status.NO_ANSWER,
    "busy": Call.Status.BUSY,
    "failed": Call.Status.FAILED,
    "canceled": Call.Status.CANCELED,
}
_REASON = {
    "answered": Call.EndedReason.CALLEE_HANGUP,
    "voicemail": Call.EndedReason.VOICEMAIL_DETECTED,
    "no-answer": Call.EndedReason.NO_ANSWER,
    "busy": Call.EndedReason.BUSY,
    "failed": Call.EndedReason.FAILED,
    "canceled": Call.EndedReason.CANCELED,
}
_PLACEHOLDER = re.compile(r"\{\{([A-Za-z0-9_]+)\}\}|\{([A-Za-z0-9_]+)\}")
# What the engine itself knows in every call (spec 6.8).
_ENGINE = re.compile(
    r"current_\w+|tomorrow_\w+|upcoming_days|caller_\w+|business_phone|call_\w+|agent_id"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """How a call may go: its outcome and how long it holds a line, in seconds."""

    outcome: str
    line_s: float


@dataclass(slots=True)
class Rehearsal:
    """What would happen. ``ends_at`` is None where the campaign stops before everybody is done."""

    starts_at: datetime
    people: int = 0
    of_people: int = 0
    from_history: bool = False
    calls: int = 0
    ends_at: datetime | None = None
    stopped_because: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    cost_micros: int = 0
    missing: dict[str, int] = field(default_factory=dict)  # variable → people without it

    @property
    def calls_per_minute(self) -> float:
        if self.ends_at is None or self.ends_at <= self.starts_at:
            return 0.0
        return self.calls / ((self.ends_at - self.starts_at) / timedelta(minutes=1))


def rehearse(
    campaign: Campaign,
    *,
    now: datetime | None = None,
    samples: list[Sample] | None = None,
    seed: int = 1,
    most_people: int = MOST_PEOPLE,
) -> Rehearsal:
    """Run ``campaign`` on a virtual clock from ``now`` (or its scheduled time) to its end.

    ``samples`` replaces what the account's own last calls say; the same ``seed`` draws the same.
    """
    now = now or timezone.now()
    start = max(now, campaign.starts_at) if campaign.starts_at else now
    found = Rehearsal(start, missing=missing_variables(campaign))
    if samples is None:
        samples, found.from_history = history(campaign)
    with transaction.atomic():
        _run(_copy(campaign, found, most_people), found, samples, random.Random(seed))  # noqa: S311
        transaction.set_rollback(True)
    return found


def history(campaign: Campaign) -> tuple[list[Sample], bool]:
    """Return how the account's last campaign calls went, and whether there were enough of them."""
    last = (
        RecipientCall.objects.filter(
            campaign__account=campaign.account_id, settled_at__isnull=False
        )
        .exclude(outcome="")
        .filter(call__ended_at__isnull=False, call__attempts__status="accepted")
        .order_by("-settled_at")
        .values_list("outcome", "call__attempts__created_at", "call__ended_at")[:HISTORY_CALLS]
    )
    samples = [
        Sample(outcome, (end - begin).total_seconds()) for outcome, begin, end in last if end
    ]
    if len(samples) >= ENOUGH_CALLS:
        return samples, True
    return [Sample(outcome, s) for outcome, share, s in DEFAULTS for _ in range(share)], False


def missing_variables(campaign: Campaign) -> dict[str, int]:
    """Return the variables that the purpose names, and how many people have no value for each."""
    names = {match[1] or match[2] for match in _PLACEHOLDER.finditer(campaign.prompt)}
    lacking = {}
    for name in sorted(names):
        if _ENGINE.fullmatch(name):
            continue
        without = Recipient.objects.filter(
            campaign=campaign, status=Recipient.Status.PENDING, prompt_override=""
        ).exclude(variables__has_key=name)
        if n := without.count():
            lacking[name] = n
    return lacking


def _copy(campaign: Campaign, found: Rehearsal, most_people: int) -> Campaign:
    """Return a running copy with lines and pace of its own, and the people who still wait."""
    original = campaign.pk
    number = campaign.number
    carrier = CarrierAccount.objects.create(
        account=campaign.account,
        sid=f"rehearsal-{original}",
        auth_token="-",  # noqa: S106 (nobody is asked)
    )
    stand_in = PhoneNumber.objects.create(
        account=campaign.account,
        agent=campaign.agent,
        carrier_account=carrier,
        phone_number=f"+999{original:011d}",
        carrier_number_sid=number.carrier_number_sid if number else "",
    )
    copy = Campaign.objects.get(pk=original)
    copy.pk = None
    copy.campaign_id = f"rehearsal_{original}"
    copy.number = stand_in
    copy.status, copy.ended_at = Campaign.Status.RUNNING, None
    # Without the latter no campaign stands still (``dispatch``), whatever the virtual clock does.
    copy.launched_at, copy.breaker_since = found.starts_at, None
    copy.save()
    groups = {}
    for group in ZoneGroup.objects.filter(campaign=original):
        old = group.pk
        group.pk, group.campaign = None, copy
        group.save()
        groups[old] = group.pk
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO campaigns_recipient (campaign_id, group_id, row_index, phone, name,"
            " variables, prompt_override, metadata, status, outcome, reason, due_at, attempts)"
            " SELECT %s, g.new, row_index, phone, name, '{}', '', '{}', 'pending', '', '',"
            " least(due_at, %s), 0 FROM campaigns_recipient r"
            " JOIN unnest(%s::bigint[], %s::bigint[]) AS g(old, new) ON g.old = r.group_id"
            " WHERE r.campaign_id = %s AND r.status IN ('pending', 'calling')"
            " ORDER BY row_index LIMIT %s",
            [copy.pk, found.starts_at, list(groups), list(groups.values()), original, most_people],
        )
        found.people = cursor.rowcount
    found.of_people = Recipient.objects.filter(
        campaign=original, status__in=[Recipient.Status.PENDING, Recipient.Status.CALLING]
    ).count()
    return copy


def _run(campaign: Campaign, found: Rehearsal, samples: list[Sample], dice: random.Random) -> None:
    now = turn = found.starts_at
    # What will happen, by its time: a call's turn to be dialled comes (no sample), or it ends.
    coming: list[tuple[datetime, int, Sample | None]] = []
    known: set[int] = set()
    while True:
        while dispatch(campaign.pk, now):
            new = Call.objects.unfinished().filter(recipient_call__campaign=campaign)
            for pk in new.exclude(pk__in=known).order_by("pk").values_list("pk", flat=True):
                known.add(pk)
                turn = max(turn, now)
                heapq.heappush(coming, (turn, pk, None))
                turn += pace.interval()
        moment = _next_moment(campaign, now, coming)
        if moment is None:
            break
        now = moment
        while coming and coming[0][0] <= now:
            _, pk, sample = heapq.heappop(coming)
            if sample is None:
                waiting = Call.objects.filter(pk=pk, status=Call.Status.QUEUED)
                if not waiting.update(status=Call.Status.INITIATED):  # taken back meanwhile
                    outcomes.settle(pk, now)
                    continue
                sample = dice.choice(samples)
                heapq.heappush(coming, (now + timedelta(seconds=sample.line_s), pk, sample))
                found.calls += 1
            else:
                known.discard(pk)
                _end(pk, sample, now)
    campaign.refresh_from_db()
    if campaign.status == Campaign.Status.COMPLETED:
        found.ends_at = now
    else:
        found.stopped_because = campaign.status_reason or "Nobody else can be called at any hour."
    for status, outcome in campaign.recipients.values_list("status", "outcome"):
        found.counts[status] += 1
        if status == Recipient.Status.DONE:
            found.outcomes[outcome] += 1
    found.cost_micros = sum(campaign.calls.values_list("cost_micros", flat=True))


def _end(call_pk: int, sample: Sample, now: datetime) -> None:
    """End a call of the copy. Not as a real one ends: that counts in the account's own rows, which
    would be locked for everybody until the rehearsal is over."""
    connected_s = sample.line_s if sample.outcome == "answered" else 0.0
    minutes = Decimal(connected_s / 60).quantize(Decimal("0.01"))
    Call.objects.filter(pk=call_pk).update(
        status=_STATUS[sample.outcome],
        ended_reason=_REASON[sample.outcome],
        ended_at=now,
        charged_minutes=minutes,
        voicemail_detected=sample.outcome == "voicemail",
    )
    outcomes.settle(call_pk, now)


def _next_moment(
    campaign: Campaign, now: datetime, coming: list[tuple[datetime, int, Sample | None]]
) -> datetime | None:
    """Return when the next thing can happen: a call is dialled or ends, or hours open."""
    if coming and coming[0][0] <= now:
        return now
    moments = [coming[0][0]] if coming else []
    campaign.refresh_from_db(fields=["status"])
    if campaign.status == Campaign.Status.RUNNING:
        waiting = campaign.recipients.filter(status=Recipient.Status.PENDING)
        due = waiting.values_list("group").annotate(due=Min("due_at"))
        first = dict(due)
        for group in campaign.zone_groups.filter(pk__in=list(first)):
            opening = group.hours(campaign).next_opening(max(now, first[group.pk]))
            if opening is not None:
                moments.append(opening)
    later = [moment for moment in moments if moment > now]
    return min(later, default=None)
