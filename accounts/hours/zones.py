"""In which time zones may the phone of a number be? (Numbering plans, as of libphonenumber.)"""

from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

import phonenumbers
from phonenumbers import timezone as plan

from accounts.hours.laws import profile_of
from accounts.phone_numbers import parsed


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number may ring: all zones that it may be in (none: unknown), and whose law holds."""

    zones: tuple[str, ...]
    law: str


def place_of(phone_number: str) -> Place:
    """Return the place of a number in E.164; unknown for what is none, as a short code."""
    try:
        number = parsed(phone_number)
    except phonenumbers.NumberParseException:
        return Place((), profile_of(phone_number, None))
    region = phonenumbers.region_code_for_number(number)
    if region is None and phone_number.startswith("+1"):
        # Numbers set aside for tests (…555-01xx) that the plan does not list as assigned.
        region, zones = "US", plan.time_zones_for_geographical_number(number)
    else:
        zones = plan.time_zones_for_number(number)
    return Place(_known(tuple(zones)), profile_of(phone_number, region))


@cache
def is_timezone(name: str) -> bool:
    """Say whether ``name`` is an IANA time zone, as ``Europe/London``."""
    return name in available_timezones()


@cache
def _known(zones: tuple[str, ...]) -> tuple[str, ...]:
    """The zones without the plan's word for an unknown one (``Etc/Unknown``)."""
    return tuple(zone for zone in zones if is_timezone(zone))
