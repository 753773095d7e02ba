"""Whatever dies, is lost, late or doubled: a campaign's call reaches a person's phone once.

As ``calls/tests/test_dial_once.py``, but to the person: where a dial counts as lost, a campaign
calls again.
"""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import responses
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calls.models import Call
from calls.tests import test_dial_once as dial_once
from campaigns import outcomes, services
from campaigns.dispatch import dispatch
from campaigns.factories import CampaignFactory, RecipientFactory

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 23, 10, tzinfo=UTC)


class World(dial_once.World):
    """One number calls one person for a campaign that calls nobody twice."""

    def __init__(self) -> None:
        self.campaign = CampaignFactory.create(
            account__max_concurrent_calls=100, stop_on_failures=False
        )
        RecipientFactory.create(campaign=self.campaign, phone=dial_once.THEM)
        self.number = self.campaign.number
        self.now = START
        self.rang = []
        self.mood = "answers"
        self.lists = True
        self.requests = 0

    def create(self, request: Any) -> tuple[int, dict[str, str], str]:
        before = len(self.rang)
        try:
            if self.mood != "doubled on its way":
                return super().create(request)
            self.mood = "answers"
            super().create(request)
            super().create(request)
            raise requests.ReadTimeout
        finally:
            self.requests += len(self.rang) > before

    def rang_once(self) -> None:
        assert self.requests <= 1


STEPS = st.one_of(
    dial_once.STEPS,
    st.tuples(st.just("dial"), st.just("doubled on its way")),
    st.tuples(st.just("campaign"), st.sampled_from(["dispatch", "sweep", "pause", "resume"])),
)


def step(world: World, clock: Any, what: str, how: Any) -> None:
    if what != "campaign":
        dial_once.step(world, clock, what, how)
        return
    match how:
        case "dispatch":
            dispatch(world.campaign.pk)
        case "sweep":
            outcomes.sweep()
        case "pause" | "resume":
            world.campaign.refresh_from_db()
            if world.campaign.status == {"pause": "running", "resume": "paused"}[how]:
                getattr(services, how)(world.campaign.pk)


def recover(world: World, clock: Any) -> None:
    """What beat does for as long as the person has not been called."""
    for _ in range(20):
        person = world.campaign.recipients.get()
        if person.status == "done" or Call.objects.exclude(carrier_sid="").exists():
            return
        for what, how in (
            ("campaign", "resume"),
            ("time passes", 301),
            ("reconcile", True),
            ("campaign", "sweep"),
            ("campaign", "dispatch"),
            ("dial", "answers"),
        ):
            step(world, clock, what, how)
            world.rang_once()
    raise AssertionError("somebody was forgotten: neither called nor given up")


@given(steps=st.lists(STEPS, max_size=10))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_order_of_deaths_doubled_requests_and_pauses_calls_a_person_twice(
    steps: list[tuple[str, Any]],
):
    with (
        transaction.atomic(),
        time_machine.travel(START, tick=False) as clock,
        responses.RequestsMock(assert_all_requests_are_fired=False) as carrier,
    ):
        world = World()
        address = re.compile(r".*/Calls\.json")
        carrier.add_callback("POST", address, callback=world.answer)
        carrier.add_callback("GET", address, callback=world.listed)
        dispatch(world.campaign.pk)
        for what, how in steps:
            step(world, clock, what, how)
            world.rang_once()
        recover(world, clock)
        transaction.set_rollback(True)
