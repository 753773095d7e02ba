"""Who may be called or texted now.

With ``Account.enforce_calling_hours`` nobody is, outside the lawful hours of their place, whoever
asks for it and however. Without it what is asked for now is done now, at any hour; but not late and
at night: a queue that stood still for hours must not ring phones when it goes on.
"""

from datetime import datetime, timedelta

from django.utils import timezone

from accounts.errors import ApiError
from accounts.hours.laws import layers_of
from accounts.hours.windows import Hours
from accounts.hours.zones import place_of
from accounts.models import Account

# No hour suits in the days that are looked ahead: looked at again then.
NOT_SOON = timedelta(days=7)
# What is asked for now is late after so long.
PATIENCE = timedelta(hours=1)


def lawful_hours(phone_number: str, zone: str) -> Hours:
    """Return when the law lets a number in E.164 be called. ``zone`` is where a phone is taken to
    be whose number does not tell; it has the strictest law."""
    place = place_of(phone_number)
    return Hours(layers_of(place.law), place.zones or (zone,))


def refuse_outside_hours(
    account: Account, phone_number: str, zone: str, now: datetime | None = None
) -> datetime | None:
    """Return when the hours end in which the person may be called now; None: they do not end soon,
    or the account enforces none.

    Raises ApiError 403 ``outside_calling_hours``, with the next opening, outside of them.
    """
    if not account.enforce_calling_hours:
        return None
    now = now or timezone.now()
    hours = lawful_hours(phone_number, zone)
    if hours.allow(now):
        return hours.closing(now)
    opening = hours.next_opening(now)
    when = f"from {opening:%Y-%m-%d %H:%M} UTC on" if opening else "at no time: no hour suits"
    raise ApiError(
        "outside_calling_hours",
        f"It is outside the calling hours of this person's place, which this account keeps to. "
        f"Nothing was placed. Ask again {when}.",
        403,
        {
            "next_allowed_at": opening.isoformat() if opening else None,
            "timezones": list(hours.zones),
            "law": place_of(phone_number).law,
        },
    )


def held_until(
    account: Account, phone_number: str, zone: str, now: datetime | None = None
) -> datetime | None:
    """Return the next opening for what waits while the person's hours are over; None: it may go."""
    if not account.enforce_calling_hours:
        return None
    now = now or timezone.now()
    hours = lawful_hours(phone_number, zone)
    return None if hours.allow(now) else hours.next_opening(now) or now + NOT_SOON


def last_moment(phone_number: str, zone: str, asked_at: datetime) -> datetime | None:
    """Return until when a call may be made that was asked for at any hour: within ``PATIENCE``, and
    later as long as the law would let it; None: that does not end soon."""
    late = asked_at + PATIENCE
    hours = lawful_hours(phone_number, zone)
    return hours.closing(late) if hours.allow(late) else late


def late_until(phone_number: str, zone: str, asked_at: datetime, now: datetime) -> datetime | None:
    """Return the next lawful opening for a text that should have gone at ``asked_at`` and would
    come late and at night; None: it may go."""
    if now - asked_at <= PATIENCE:
        return None
    hours = lawful_hours(phone_number, zone)
    return None if hours.allow(now) else hours.next_opening(now) or now + NOT_SOON
