"""Who can be called when, those who are tried again too, and when it will end at this pace."""

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min
from django.db.models.functions import TruncHour
from django.utils import timezone

from accounts.hours.laws import LAWS, STRICTEST
from accounts.hours.windows import Hours
from calls.lines import lines
from campaigns.models import Campaign, Recipient, ZoneGroup
from campaigns.progress import average_call_s

# A forecast looks no further.
HORIZON = timedelta(days=60)


@dataclass(slots=True)
class Slot:
    """People who may be called at the same times, and when that is next: those whose turn it is, or
    those who were not reached and are tried again later.

    ``due`` says when their turns come: by when so many of them, hour by hour.
    """

    group: ZoneGroup
    tries_again: bool
    due: list[tuple[datetime, int]]
    hours: Hours
    opens_at: datetime | None  # None: never
    closes_at: datetime | None  # None: no end in sight

    @property
    def waiting(self) -> int:
        return sum(n for _, n in self.due)

    @property
    def law_name(self) -> str:
        return "the strictest" if self.group.law == STRICTEST else LAWS[self.group.law].name


@dataclass(slots=True)
class Preview:
    starts_at: datetime
    slots: list[Slot]
    calls_per_minute: float
    ends_at: datetime | None  # None: not within two months, or never

    @property
    def waiting(self) -> int:
        return sum(slot.waiting for slot in self.slots)

    @property
    def never(self) -> int:
        """How many people no hour suits."""
        return sum(slot.waiting for slot in self.slots if slot.opens_at is None)


def preview(campaign: Campaign, now: datetime | None = None) -> Preview:
    """Return who waits in ``campaign`` and when their hours are, from its start on."""
    now = now or timezone.now()
    starts_at = (
        max(now, campaign.starts_at)
        if campaign.launched_at is None and (campaign.starts_at)
        else now
    )
    slots = [
        _slot(campaign, group, due, first_at, tries_again=tries_again)
        for group, tries_again, first_at, due in _waiting(campaign, starts_at)
    ]
    slots.sort(key=lambda slot: (slot.opens_at is None, slot.opens_at or now, -slot.waiting))
    pace = pace_per_minute(campaign)
    return Preview(starts_at, slots, round(pace, 1), forecast_end(slots, pace, starts_at))


def _slot(
    campaign: Campaign,
    group: ZoneGroup,
    due: list[tuple[datetime, int]],
    first_at: datetime,
    *,
    tries_again: bool,
) -> Slot:
    hours = group.hours(campaign)
    opens_at = hours.next_opening(first_at)
    closes_at = hours.closing(opens_at) if opens_at else None
    return Slot(group, tries_again, due, hours, opens_at, closes_at)


def _waiting(
    campaign: Campaign, starts_at: datetime
) -> list[tuple[ZoneGroup, bool, datetime, list[tuple[datetime, int]]]]:
    """Return for each group those whose turn has come by ``starts_at``, and those whose turn comes
    later: the first one's, and how many are due by when."""
    pending = Recipient.objects.filter(campaign=campaign, status=Recipient.Status.PENDING)
    now = pending.filter(due_at__lte=starts_at).order_by().values_list("group")
    later = (
        pending.filter(due_at__gt=starts_at)
        .order_by()
        .values_list("group", TruncHour("due_at"))
        .annotate(first=Min("due_at"), last=Max("due_at"), n=Count("pk"))
    )
    groups = {group.pk: group for group in ZoneGroup.objects.filter(campaign=campaign)}
    found = [
        (groups[pk], False, starts_at, [(starts_at, n)])
        for pk, n in now.annotate(n=Count("pk")).values_list("group", "n")
    ]
    by_group: dict[int, list[tuple[datetime, datetime, int]]] = defaultdict(list)
    for pk, _, first, last, n in later:
        by_group[pk].append((first, last, n))
    for pk, hours in by_group.items():
        due = sorted((last, n) for _, last, n in hours)
        found.append((groups[pk], True, min(first for first, _, _ in hours), due))
    return found


def pace_per_minute(campaign: Campaign) -> float:
    """Return how many calls a minute the limits allow: lines, and the carrier's pace."""
    reserved = settings.INBOUND_RESERVED_CALLS
    limits = [
        lines() - reserved,
        campaign.account.max_concurrent_calls - reserved,
    ]
    if campaign.max_concurrent:
        limits.append(campaign.max_concurrent)
    by_lines = max(0, min(limits)) * 60 / average_call_s(campaign)
    return float(min(by_lines, settings.CARRIER_CALLS_PER_SECOND * 60))


def forecast_end(slots: list[Slot], pace: float, start: datetime) -> datetime | None:
    """Return when the last person's call begins, if every call is made at ``pace`` a minute once
    it is due and while the person's hours are open, those first whose hours end first."""
    hours = {slot.group.pk: slot.hours for slot in slots if slot.opens_at}
    coming = deque(
        sorted((at, slot.group.pk, n) for slot in slots if slot.opens_at for at, n in slot.due)
    )
    left: dict[int, float] = defaultdict(float)
    if not coming or pace <= 0:
        return None if slots else start
    now = start
    while now < start + HORIZON:
        while coming and coming[0][0] <= now:
            _, pk, n = coming.popleft()
            left[pk] += n
        closing = {pk: hours[pk].closing(now) for pk in left if hours[pk].allow(now)}
        changes = [coming[0][0]] if coming else []
        changes += [at for pk in left if pk not in closing and (at := hours[pk].next_opening(now))]
        if not closing:
            if not changes:
                return None
            now = min(changes)
            continue
        first = min(closing, key=lambda pk: (closing[pk] is None, closing[pk] or now))
        edge = min([at for at in closing.values() if at] + changes, default=None)
        done_at = now + timedelta(minutes=left[first] / pace)
        if edge is None or done_at <= edge:
            now = done_at
            del left[first]
            if not left and not coming:
                return now
        else:
            left[first] -= (edge - now) / timedelta(minutes=1) * pace
            now = edge
    return None


def outside_now(campaign: Campaign, at: datetime) -> int:
    """Return how many waiting people are outside the calling hours of their place at ``at``,
    whatever the campaign's own hours say."""
    return sum(
        sum(n for _, n in due)
        for group, _, _, due in _waiting(campaign, at)
        if not group.lawful_hours.allow(at)
    )


def as_json(shown: Preview) -> dict[str, Any]:
    return {
        "starts_at": shown.starts_at.isoformat(),
        "ends_at": shown.ends_at.isoformat() if shown.ends_at else None,
        "calls_per_minute": shown.calls_per_minute,
        "recipients_count": shown.waiting,
        "never_count": shown.never,
        "groups": [
            {
                "timezones": slot.group.zones,
                "law": slot.group.law,
                "recipients_count": slot.waiting,
                "retry": slot.tries_again,
                "opens_at": slot.opens_at.isoformat() if slot.opens_at else None,
                "closes_at": slot.closes_at.isoformat() if slot.closes_at else None,
            }
            for slot in shown.slots
        ],
    }
