"""Wherever a process dies and whatever the carrier's answers do, no call rings a phone twice."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import responses
import time_machine
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.tests.twilio_side import form_of, knock
from calls import dialling
from calls.factories import CallFactory, DialAttemptFactory, new_sid
from calls.models import Call, DialAttempt
from calls.tests.admitting import admit_next
from calls.tests.twilio_side import call_json

pytestmark = pytest.mark.django_db

THEM = "+447386172392"


def test_a_second_call_to_somebody_waits_until_the_first_dial_is_settled():
    first = CallFactory.create(to_number=THEM)
    second = CallFactory.create(account=first.account, number=first.number, to_number=THEM)
    other = CallFactory.create(
        account=first.account, number=first.number, to_number="+447386172393"
    )
    attempt = admit_next()
    assert attempt is not None

    following = admit_next()

    assert attempt.call_id == first.pk
    assert following is not None
    assert following.call_id == other.pk
    assert admit_next() is None
    dialling.accept(attempt.pk, new_sid())
    third = admit_next()
    assert third is not None
    assert third.call_id == second.pk


@pytest.mark.parametrize("status", ["pending", "unknown"])
def test_the_database_refuses_a_second_unsettled_attempt_between_two_numbers(status: str):
    first = CallFactory.create()
    second = CallFactory.create(account=first.account, number=first.number)
    DialAttemptFactory.create(call=first, status=status)

    with pytest.raises(IntegrityError, match="one_unsettled_per_pair"), transaction.atomic():
        DialAttemptFactory.create(call=second)


class Killed(BaseException):
    """The process is gone, at once: nothing after this line runs, no ``except Exception`` helps."""


class World:
    """One number calls one person for several reasons, through a carrier with moods."""

    def __init__(self, calls: int) -> None:
        first = CallFactory.create(to_number=THEM)
        self.calls = [first] + [
            CallFactory.create(account=first.account, number=first.number, to_number=THEM)
            for _ in range(calls - 1)
        ]
        self.number = first.number
        self.now = datetime(2026, 11, 22, 10, tzinfo=UTC)
        # The carrier's side: each phone that rang, by the token it was asked with.
        self.rang: list[tuple[str, str, datetime]] = []
        self.mood = "answers"
        self.lists = True

    def create(self, request: Any) -> tuple[int, dict[str, str], str]:
        self.no_second_unsettled()
        token = re.search(r"\?a=(.+)", form_of(request)["Url"][0])
        assert token is not None
        if self.mood in ("never arrives", "cannot be reached", "fails at once", "refuses"):
            raise {
                "never arrives": requests.ReadTimeout(),
                "cannot be reached": requests.ConnectTimeout(),
            }.get(self.mood) or _Answer(500 if self.mood == "fails at once" else 400)
        sid = new_sid()
        self.rang.append((token[1], sid, self.now))
        match self.mood:
            case "answer lost":
                raise requests.ConnectionError("reset")
            case "answers 500":
                raise _Answer(500)
            case "killed":
                raise Killed
            case "callback first":
                self.call_back(len(self.rang) - 1)
        return 201, {}, f'{{"sid": "{sid}"}}'

    def answer(self, request: Any) -> tuple[int, dict[str, str], str]:
        try:
            return self.create(request)
        except _Answer as answer:
            return answer.status, {}, '{"code": 21211, "message": "no", "status": 400}'

    def listed(self, _: Any) -> tuple[int, dict[str, str], str]:
        shown = [
            call_json(sid, date_created=at.strftime("%a, %d %b %Y %H:%M:%S +0000"))
            for _token, sid, at in self.rang
        ]
        return 200 if self.lists else 503, {}, json.dumps({"calls": shown})

    def call_back(self, which: int) -> None:
        if self.rang:
            token, sid, _ = self.rang[which % len(self.rang)]
            knock("status", self.number, query=f"?a={token}", CallSid=sid, CallStatus="ringing")

    def no_second_unsettled(self) -> None:
        assert DialAttempt.objects.unsettled().count() <= 1

    def each_rang_at_most_once(self) -> None:
        for call in self.calls:
            tokens = set(call.attempts.values_list("token", flat=True))
            rang = [sid for token, sid, _ in self.rang if token in tokens]
            assert len(rang) <= 1
            call.refresh_from_db()
            assert call.carrier_sid in ("", *rang)


class _Answer(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


MOODS = st.sampled_from(
    [
        "answers",
        "callback first",
        "answer lost",
        "answers 500",
        "killed",
        "never arrives",
        "cannot be reached",
        "fails at once",
        "refuses",
    ]
)
STEPS = st.one_of(
    st.tuples(st.just("dial"), MOODS),
    st.tuples(st.just("killed before the commit"), st.none()),
    st.tuples(st.just("killed before the request"), st.none()),
    st.tuples(st.just("callback"), st.integers(0, 3)),
    st.tuples(st.just("reconcile"), st.booleans()),
    st.tuples(st.just("time passes"), st.sampled_from([1, 5, 20, 61, 300, 700])),
)


@contextmanager
def crash() -> Iterator[None]:
    try:
        yield
    except Killed:
        return


def step(world: World, clock: Any, what: str, how: Any) -> None:
    match what:
        case "dial":
            world.mood = how
            with crash():
                dialling.dial_next()
        case "killed before the commit":
            with crash(), transaction.atomic():
                admit_next()
                raise Killed
        case "killed before the request":
            admit_next()
        case "callback":
            world.call_back(how)
        case "reconcile":
            world.lists = how
            dialling.reconcile()
        case "time passes":
            world.now += timedelta(seconds=how)
            clock.move_to(world.now)


def recover(world: World, clock: Any) -> None:
    """What beat does for as long as something is left to do: sweep, and dial what waits."""
    for _ in range(20):
        if not any(not call.is_over and not call.carrier_sid for call in world.calls):
            return
        step(world, clock, "time passes", 301)
        step(world, clock, "reconcile", True)
        step(world, clock, "dial", "answers")
        world.each_rang_at_most_once()
    raise AssertionError("a call was lost: it neither rang nor ended")


def in_a_world(story: Callable[[World, Any], None], calls: int) -> None:
    with (
        transaction.atomic(),
        time_machine.travel(datetime(2026, 11, 22, 10, tzinfo=UTC), tick=False) as clock,
        responses.RequestsMock(assert_all_requests_are_fired=False) as carrier,
    ):
        world = World(calls)
        address = re.compile(r".*/Calls\.json")
        carrier.add_callback("POST", address, callback=world.answer)
        carrier.add_callback("GET", address, callback=world.listed)
        story(world, clock)
        transaction.set_rollback(True)


@given(calls=st.integers(1, 3), steps=st.lists(STEPS, max_size=8))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_order_of_deaths_lost_answers_and_callbacks_rings_a_phone_twice(
    calls: int, steps: list[tuple[str, Any]]
):
    def story(world: World, clock: Any) -> None:
        for what, how in steps:
            step(world, clock, what, how)
            world.no_second_unsettled()
            world.each_rang_at_most_once()
        recover(world, clock)

    in_a_world(story, calls)


@pytest.mark.parametrize(
    ("death", "status", "rings"),
    [
        (("killed before the commit", None), "initiated", 1),
        (("killed before the request", None), "failed", 0),
        (("dial", "killed"), "initiated", 1),
        (("dial", "answer lost"), "initiated", 1),
        (("dial", "answers 500"), "initiated", 1),
        (("dial", "never arrives"), "failed", 0),
        (("dial", "cannot be reached"), "initiated", 1),
    ],
)
def test_after_each_point_at_which_a_process_may_die(
    death: tuple[str, Any], status: str, rings: int
):
    def story(world: World, clock: Any) -> None:
        step(world, clock, *death)
        recover(world, clock)

        assert [call.status for call in world.calls] == [status]
        assert len(world.rang) == rings

    in_a_world(story, calls=1)


def test_a_call_that_ends_makes_room_for_the_next_to_the_same_person():
    first = CallFactory.create(to_number=THEM)
    CallFactory.create(account=first.account, number=first.number, to_number=THEM)
    attempt = admit_next()
    assert attempt is not None
    dialling.doubt_outcome(attempt.pk, "time-out")
    assert admit_next() is None

    dialling._give_up(attempt.pk)

    assert Call.objects.get(pk=first.pk).status == "failed"
    assert admit_next() is not None
