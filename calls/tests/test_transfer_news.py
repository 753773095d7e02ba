"""What the carrier tells of a transfer: in any order, more than once, with some missing."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from calls import (
    usage,
)
from calls.factories import TransferFactory
from calls.models import Call, Transfer
from calls.tests.transferring import (
    after,
    ended,
    joined,
    leg,
    state,
    verbs,
)

pytestmark = pytest.mark.django_db


def tells(what: Sequence[Callable[[Transfer], Any]], transfer: Transfer) -> tuple[Any, ...]:
    for tell in what:
        tell(transfer)
    call = Call.objects.get()
    transfer.refresh_from_db()
    return transfer.status, transfer.failure, call.status, call.ended_reason, call.charged_minutes


def at(seconds: int) -> str:
    moment = timezone.now() - timedelta(seconds=60 - seconds)
    return moment.strftime("%a, %d %b %Y %H:%M:%S +0000")


def ringing() -> Transfer:
    """A transfer that was asked for 45 s ago, a quarter of a minute into its call."""
    return TransferFactory.create(rings=True, asked_at=timezone.now() - timedelta(seconds=45))


def _ring(transfer: Transfer) -> None:
    leg(transfer, "ringing", Timestamp=at(18))


def _pick_up(transfer: Transfer) -> None:
    leg(transfer, "in-progress", Timestamp=at(20))


def _part(transfer: Transfer) -> None:
    leg(transfer, "completed", Timestamp=at(60), CallDuration="40")


def _after(transfer: Transfer) -> None:
    after(transfer, "completed", DialBridged="true", DialCallDuration="40")


def _end(transfer: Transfer) -> None:
    ended(transfer.call, 60)


@pytest.mark.parametrize("order", list(permutations([_pick_up, _part, _end])))
def test_a_transfer_that_worked_is_on_record_in_whatever_order_the_carrier_tells(order: Any):
    told = tells([*order, _ring, order[0]], TransferFactory.create())

    assert told[:4] == ("bridged", "", "completed", "transferred")


@pytest.mark.parametrize("order", list(permutations([_pick_up, joined, _end])))
def test_so_is_a_warm_one_whose_whisper_was_heard(order: Any):
    told = tells([*order, _part, _ring], TransferFactory.create(warm=True))

    assert told[:4] == ("bridged", "", "completed", "transferred")


@pytest.mark.parametrize("lost", [_ring, _pick_up, _part, _after, _end])
def test_what_one_lost_callback_would_have_told_another_tells(lost: Any):
    transfer = TransferFactory.create(rings=True)
    told = [tell for tell in (_ring, _pick_up, _part, _after, _end) if tell is not lost]

    status, *_, reason, _ = tells(told, transfer)

    assert status == "bridged"
    assert reason == ("" if lost is _end else "transferred")


@pytest.fixture
def _time_stands_still() -> Iterator[None]:
    """The carrier tells its seconds as counted from one moment, however long the test takes."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


@pytest.mark.usefixtures("_time_stands_still")
def test_the_meter_stops_when_the_colleague_picks_up():
    transfer = ringing()

    for tell in (_pick_up, _part, _end):
        tell(transfer)

    call = Call.objects.get()
    assert call.duration_ms == 60_000
    assert abs(float(call.charged_minutes) - 20 / 60) < 0.04


@pytest.mark.usefixtures("_time_stands_still")
def test_news_after_the_end_corrects_what_was_counted():
    transfer = ringing()
    ended(transfer.call, 60)
    assert float(Call.objects.get().charged_minutes) == 1.0
    assert state(transfer)[0] == "caller_gone"

    _part(transfer)

    call = Call.objects.get()
    assert (state(transfer)[0], call.ended_reason) == ("bridged", "transferred")
    assert float(call.charged_minutes) < 0.4
    assert usage.of(call.account).minutes == call.charged_minutes


def test_late_and_repeated_news_changes_nothing():
    transfer = TransferFactory.create(rings=True)
    assert verbs(after(transfer, "busy")) == ["Connect", "Redirect"]
    events = transfer.call.events.count()

    assert verbs(after(transfer, "busy")) == ["Connect", "Redirect"]
    leg(transfer, "ringing")
    leg(transfer, "in-progress")

    assert state(transfer) == ("failed", "busy")
    assert transfer.call.events.count() == events
