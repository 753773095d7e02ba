"""What is told of a call whose process was killed, from its rows."""

import io
from datetime import timedelta

import pytest
from django.utils import timezone

from calls.factories import CallEventFactory, CallFactory, TurnFactory
from calls.models import Call
from demo.api import Api
from demo.console import Console
from demo.lost_process import _show_gap
from demo.sandbox import SandboxView
from demo.stage import Stage

pytestmark = pytest.mark.django_db

BEGAN = timezone.now() - timedelta(minutes=1)
KILLED_AT = BEGAN + timedelta(seconds=10)


@pytest.fixture
def stage() -> Stage:
    return Stage(Console(io.StringIO()), Api("key"), SandboxView.__new__(SandboxView), "agent_1")


def call_in(*pids: int) -> Call:
    call = CallFactory.create(over=True)
    for generation, pid in enumerate(pids, 1):
        CallEventFactory.create(
            call=call,
            kind="media opened",
            at=BEGAN + timedelta(seconds=11 * (generation - 1)),
            data={"generation": generation, "process": f"host:{pid}"},
        )
    return call


def apologise(call: Call, started_ms: int) -> None:
    TurnFactory.create(
        call=call, role="agent", text="I'm sorry, I lost you for a moment.", started_ms=started_ms
    )


def test_the_gap_is_from_the_kill_to_the_first_word_in_another_process(stage):
    call = call_in(701, 702)
    apologise(call, 12_400)

    _show_gap(stage, "Laura", call, (701, KILLED_AT))

    assert stage.console.broken == []
    told = " ".join(stage.console.out.getvalue().split())
    assert "Process 701 died, process 702 went on; Laura heard nothing for 2.4 s" in told


def test_an_apology_that_is_talked_over_is_one(stage):
    call = call_in(701, 702)
    TurnFactory.create(
        call=call, role="agent", text="I'm sorry,", started_ms=12_400, interrupted=True,
        full_text="I'm sorry, I lost you for a moment.",
    )  # fmt: skip

    _show_gap(stage, "Laura", call, (701, KILLED_AT))

    assert stage.console.broken == []


@pytest.mark.parametrize(
    ("pids", "started_ms"), [((701, 702), 15_100), ((701, 701), 12_400), ((701,), None)]
)
def test_too_long_a_gap_the_same_process_or_none_break_the_promise(stage, pids, started_ms):
    call = call_in(*pids)
    if started_ms is not None:
        apologise(call, started_ms)

    _show_gap(stage, "Laura", call, (701, KILLED_AT))

    assert len(stage.console.broken) == 1
