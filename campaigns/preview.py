"""Before launch: who can be called when, and when it will end at this pace."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone

from accounts.hours.laws import LAWS, STRICTEST, layers_of
from accounts.hours.windows import Hours
from calls.lines import lines
from campaigns.models import Campaign, Recipient, ZoneGroup
from campaigns.progress import average_call_s

# A forecast looks no further.
HORIZON = timedelta(days=60)


@dataclass(slots=True)
class Slot:
    """People who may be called at the same times, and when that is next."""

    group: ZoneGroup
    waiting: int
    hours: Hours
    opens_at: datetime | None  # None: never
    closes_at: datetime | None  # None: no end in sight

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
    slots = []
    for group, waiting in _groups(campaign):
        hours = group.hours(campaign)
        opens_at = hours.next_opening(starts_at)
        closes_at = hours.closing(opens_at) if opens_at else None
        slots.append(Slot(group, waiting, hours, opens_at, closes_at))
    slots.sort(key=lambda slot: (slot.opens_at is None, slot.opens_at or now, -slot.waiting))
    pace = pace_per_minute(campaign)
    return Preview(starts_at, slots, round(pace, 1), forecast_end(slots, pace, starts_at))


def _groups(campaign: Campaign) -> list[tuple[ZoneGroup, int]]:
    waiting = Count("recipients", filter=Q(recipients__status=Recipient.Status.PENDING))
    groups = ZoneGroup.objects.filter(campaign=campaign).annotate(waiting=waiting)
    return [(group, group.waiting) for group in groups if group.waiting]


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
    """Return when the last person's call begins, if every call is made at ``pace`` a minute while
    somebody's hours are open, those first whose hours end first."""
    left = {slot.group.pk: float(slot.waiting) for slot in slots if slot.opens_at}
    hours = {slot.group.pk: slot.hours for slot in slots}
    if not left or pace <= 0:
        return None if slots else start
    now = start
    while now < start + HORIZON:
        closing = {pk: hours[pk].closing(now) for pk in left if hours[pk].allow(now)}
        if not closing:
            openings = [at for pk in left if (at := hours[pk].next_opening(now))]
            if not openings:
                return None
            now = min(openings)
            continue
        first = min(closing, key=lambda pk: (closing[pk] is None, closing[pk] or now))
        others = [at for pk in left if pk not in closing and (at := hours[pk].next_opening(now))]
        edge = min([at for at in closing.values() if at] + others, default=None)
        done_at = now + timedelta(minutes=left[first] / pace)
        if edge is None or done_at <= edge:
            now = done_at
            del left[first]
            if not left:
                return now
        else:
            left[first] -= (edge - now) / timedelta(minutes=1) * pace
            now = edge
    return None


def outside_now(campaign: Campaign, at: datetime) -> int:
    """Return how many waiting people are outside the calling hours of their place at ``at``,
    whatever the campaign's own hours say."""
    return sum(
        waiting
        for group, waiting in _groups(campaign)
        if not Hours(layers_of(group.law), tuple(group.zones)).allow(at)
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
                "opens_at": slot.opens_at.isoformat() if slot.opens_at else None,
                "closes_at": slot.closes_at.isoformat() if slot.closes_at else None,
            }
            for slot in shown.slots
        ],
    }
