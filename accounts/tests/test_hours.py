from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import geocoder

from accounts.hours.enforcement import held_until
from accounts.hours.laws import _STATE, LAWS, STRICTEST, layers_of, profile_of
from accounts.hours.windows import DAY_MINUTES, Hours, Window, layers_from_json
from accounts.hours.zones import Place, place_of
from accounts.models import Account

LONDON, NEW_YORK = "Europe/London", "America/New_York"
WORKING = Window(9 * 60, 17 * 60, frozenset(range(5)))
# Zones whose clocks change at odd times, by odd amounts, or never.
ZONES = [
    LONDON,
    NEW_YORK,
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Santiago",
    "America/Havana",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Antarctica/Troll",
    "UTC",
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(*windows: Window, zones: tuple[str, ...] = (LONDON,)) -> Hours:
    return Hours((windows,), zones)


def test_a_window_opens_at_its_first_minute_and_is_closed_at_its_last():
    open_hours = hours(WORKING)

    assert not open_hours.allow(utc("2026-11-23T08:59:59"))
    assert open_hours.allow(utc("2026-11-23T09:00:00"))
    assert open_hours.allow(utc("2026-11-23T16:59:59"))
    assert not open_hours.allow(utc("2026-11-23T17:00:00"))


def test_after_friday_the_next_opening_is_on_monday():
    assert hours(WORKING).next_opening(utc("2026-11-20T17:00:00")) == utc("2026-11-23T09:00:00")
    assert hours(WORKING).closing(utc("2026-11-23T09:00:00")) == utc("2026-11-23T17:00:00")


def test_several_windows_a_day_leave_a_break_between_them():
    open_hours = hours(Window(600, 780), Window(840, 1200))

    assert open_hours.closing(utc("2026-11-23T10:00:00")) == utc("2026-11-23T13:00:00")
    assert open_hours.next_opening(utc("2026-11-23T13:00:00")) == utc("2026-11-23T14:00:00")


def test_a_window_past_midnight_belongs_to_the_evening_it_begins_on():
    fridays = hours(Window(22 * 60, 2 * 60, frozenset({4})))

    assert fridays.allow(utc("2026-11-20T22:00:00"))
    assert fridays.allow(utc("2026-11-21T01:59:00"))
    assert not fridays.allow(utc("2026-11-21T02:00:00"))
    assert not fridays.allow(utc("2026-11-20T01:00:00"))
    assert not fridays.allow(utc("2026-11-21T22:00:00"))


def test_a_window_until_midnight_joins_one_from_midnight():
    always = hours(Window(0, 720), Window(720, DAY_MINUTES))

    assert always.allow(utc("2026-11-23T23:59:59"))
    assert always.closing(utc("2026-11-23T12:00:00")) is None


def test_whoever_may_be_in_several_zones_is_called_when_it_is_time_in_all_of_them():
    both = hours(WORKING, zones=(NEW_YORK, "America/Los_Angeles"))

    assert both.next_opening(utc("2026-11-23T14:00:00")) == utc("2026-11-23T17:00:00")
    assert both.closing(utc("2026-11-23T17:00:00")) == utc("2026-11-23T22:00:00")


def test_hours_that_never_meet_have_no_opening():
    far_apart = hours(WORKING, zones=(NEW_YORK, "Asia/Tokyo"))

    assert far_apart.next_opening(utc("2026-11-23T12:00:00")) is None


def test_without_windows_it_is_always_time():
    now = utc("2026-11-23T03:00:00")

    assert Hours((), (LONDON,)).next_opening(now) == now
    assert Hours((), (LONDON,)).closing(now) is None


def test_a_window_that_begins_in_the_hour_left_out_opens_when_the_clock_has_jumped():
    # London, 29 March 2026: 00:59:59 is followed by 02:00:00.
    assert hours(Window(90, 600)).next_opening(utc("2026-03-29T00:30:00")) == utc(
        "2026-03-29T01:00:00"
    )


def test_an_hour_that_comes_twice_is_judged_by_the_wall_clock_both_times():
    # London, 25 October 2026: 01:59:59 is followed by 01:00:00.
    early = hours(Window(90, 120))

    assert early.next_opening(utc("2026-10-25T00:00:00")) == utc("2026-10-25T00:30:00")
    assert early.closing(utc("2026-10-25T00:30:00")) == utc("2026-10-25T01:00:00")
    assert early.next_opening(utc("2026-10-25T01:00:00")) == utc("2026-10-25T01:30:00")


@pytest.mark.parametrize(
    ("start", "end"), [(-1, 60), (0, 1441), (1440, 60), (60, 60), (600, 10_000)]
)
def test_a_window_that_is_none_is_refused(start: int, end: int):
    with pytest.raises(ValueError, match="window"):
        Window(start, end)


def test_a_window_is_the_same_after_json():
    assert layers_from_json([WORKING.as_json()]) == ((WORKING,),)
    assert layers_from_json([]) == ()


windows = st.builds(
    lambda pair, days: Window(pair[0], pair[1], days),
    st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(lambda p: p[0] != p[1]),
    st.frozensets(st.integers(0, 6), min_size=1),
)
layers = st.lists(st.lists(windows, min_size=1, max_size=3).map(tuple), max_size=3).map(tuple)
instants = st.integers(0, 3 * 366 * 24 * 3600).map(
    lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
)


def shown_as_open(hours: Hours, at: datetime) -> bool:
    """Whether the walls' clocks say so; written again, from the other end."""
    for name in hours.zones:
        wall = at.astimezone(ZoneInfo(name)).replace(tzinfo=None)
        midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
        for layer in hours.layers:
            spans = (
                (
                    day + timedelta(minutes=w.start),
                    day + timedelta(minutes=w.end, days=w.end < w.start),
                )
                for w in layer
                for day in (midnight - timedelta(days=1), midnight)
                if day.weekday() in w.days
            )
            if not any(begin <= wall < end for begin, end in spans):
                return False
    return True


@settings(max_examples=100, deadline=None)
@given(layers, st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True), instants)
def test_nobody_is_called_outside_their_hours(layers, zones, now):
    person = Hours(layers, tuple(zones))

    assert person.allow(now) == shown_as_open(person, now)
    opening = person.next_opening(now)
    if opening is None:
        return
    assert opening >= now
    assert shown_as_open(person, opening)
    closing = person.closing(opening)
    if closing is not None:
        assert closing > opening
        assert not shown_as_open(person, closing)
        length = closing - opening
        for part in (0.001, 0.25, 0.5, 0.75, 0.999):
            assert shown_as_open(person, opening + length * part)
    # Nothing was missed before the opening either.
    for part in (0.1, 0.5, 0.9):
        before = now + (opening - now) * part
        assert before >= opening or not shown_as_open(person, before)


@pytest.mark.parametrize("zone", ZONES)
def test_the_first_opening_is_never_missed_around_a_clock_change(zone: str):
    year = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=h) for h in range(0, 365 * 24, 6)]
    offsets = [at.astimezone(ZoneInfo(zone)).utcoffset() for at in year]
    changes = [at for at, a, b in zip(year, offsets, offsets[1:], strict=False) if a != b]
    person = Hours(((Window(1 * 60 + 30, 3 * 60 + 30), Window(23 * 60, 45)),), (zone,))

    for change in changes:
        now = change - timedelta(days=1)
        end = change + timedelta(days=1)
        at = person.next_opening(now)
        while at is not None and at < end:
            minute = now
            while minute < at:
                assert not shown_as_open(person, minute)
                minute += timedelta(minutes=1)
            closing = person.closing(at)
            assert closing is not None
            minute = at
            while minute < closing:
                assert shown_as_open(person, minute)
                minute += timedelta(minutes=1)
            now = closing
            at = person.next_opening(now)


# --- places and laws ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "zones", "law"),
    [
        ("+12125550123", (NEW_YORK,), "US"),
        ("+13055550123", (NEW_YORK,), "US-FL"),
        ("+33612345678", ("Europe/Paris",), "FR"),
        ("+80012345678", (), STRICTEST),
        ("+81312345678", ("Asia/Tokyo",), "default"),
    ],
)
def test_a_number_tells_where_it_rings(number: str, zones: tuple[str, ...], law: str):
    place = place_of(number)

    assert (place.zones, place.law) == (zones, law)


def test_a_mobile_of_a_country_with_several_zones_may_be_in_any_of_them():
    place = place_of("+61412345678")

    assert {"Australia/Perth", "Australia/Sydney", "Indian/Christmas"} <= set(place.zones)


def test_a_free_phone_number_may_ring_anywhere_and_has_the_strictest_law():
    place = place_of("+18005550123")

    assert {"Pacific/Honolulu", "America/Halifax"} <= set(place.zones)
    assert place.law == STRICTEST


@pytest.mark.parametrize("number", ["12345", "+99912345678"])
def test_a_number_of_no_numbering_plan_has_the_strictest_law(number: str):
    assert place_of(number) == Place((), STRICTEST)


def test_what_no_hour_suits_is_held_and_not_let_through():
    account = Account(enforce_calling_hours=True)
    at = datetime(2026, 11, 24, 3, tzinfo=UTC)

    assert held_until(account, "+18005550100", "UTC", at) == at + timedelta(days=7)
    account.enforce_calling_hours = False
    assert held_until(account, "+18005550100", "UTC", at) is None


def test_the_strictest_law_is_inside_every_other():
    strictest = Hours(layers_of(STRICTEST), (LONDON,))
    at = utc("2026-11-23T00:00:00")
    allowed = 0

    for _ in range(7 * 24 * 4):
        if strictest.allow(at):
            allowed += 1
            assert all(Hours((law.windows,), (LONDON,)).allow(at) for law in LAWS.values())
        at += timedelta(minutes=15)
    assert allowed == 5 * (3 + 3) * 4  # weekdays 10-13 and 14-17


def test_nobody_in_rhode_island_is_called_on_a_sunday():
    sunday = utc("2026-11-22T15:00:00")
    rhode_island = Hours(layers_of(profile_of("+14015550123", "US")), (NEW_YORK,))

    assert rhode_island.next_opening(sunday) == utc("2026-11-23T14:00:00")


@pytest.mark.parametrize("state", sorted(set(_STATE.values())))
def test_every_area_code_is_in_the_state_that_the_numbering_plan_says(state: str):
    for code in (code for code, its in _STATE.items() if its == state):
        named = set()
        for exchange in ("200", "234", "345", "456", "567", "678", "789", "890", "999"):
            number = phonenumbers.parse(f"+1{code}{exchange}2222")
            named.add(geocoder.description_for_number(number, "en"))

        assert any(LAWS[state].name in one or one.endswith(f", {state[3:]}") for one in named), code


def test_no_area_code_of_a_state_with_hours_of_its_own_is_missing():
    own = {LAWS[state].name: state for state in _STATE.values()} | {"Washington State": "US-WA"}
    missing = {}
    for code in map(str, range(200, 1000)):
        for exchange in ("200", "234", "345", "456", "567", "678", "789", "890", "999"):
            number = phonenumbers.parse(f"+1{code}{exchange}2222")
            named = geocoder.description_for_number(number, "en")
            state = f"US-{named[-2:]}" if ", " in named else own.get(named)
            is_us = phonenumbers.region_code_for_number(number) == "US"
            if is_us and state in own.values() and _STATE.get(code) != state:
                missing[code] = state

    assert missing == {}


def test_every_law_names_its_source():
    assert all(law.source and law.windows for law in LAWS.values())
