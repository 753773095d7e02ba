"""Transfers that nobody finished: found, told, brought back."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.tests.twilio_side import form_of
from calls import (
    sweeping,
    transfer_sweep,
    transfers,
)
from calls.factories import TransferFactory
from calls.models import Call, Transfer
from calls.tests.transferring import (
    DESK,
    LEG,
    asks,
    state,
    talking,
    verbs,
)
from calls.tests.twilio_side import call_json, calls_url

pytestmark = pytest.mark.django_db


def rescued(call: Call) -> int:
    Call.objects.filter(pk=call.pk).update(media_seen_at=timezone.now() - timedelta(seconds=20))
    return sweeping.rescue_silent_calls() + sweeping.rescue_silent_calls()


@pytest.mark.parametrize("way", ["rings", "bridged"])
def test_a_call_that_is_or_was_put_through_is_never_rescued(telco: Any, way: str):
    transfer = TransferFactory.create(**{way: True})

    assert rescued(transfer.call) == 0
    assert not telco.calls


def test_a_transfer_whose_process_died_before_it_told_the_carrier_is_told(telco: Any):
    transfer = TransferFactory.create()
    call = transfer.call
    telco.post(calls_url(call.number, call.carrier_sid), json=call_json(call.carrier_sid))

    assert rescued(call) == 1

    assert form_of(telco.calls[0].request)["Url"][0].startswith("http")
    assert verbs(asks(call)) == ["Dial"]


def lost(**traits: Any) -> Transfer:
    asked_at = timezone.now() - timedelta(seconds=100)
    return TransferFactory.create(rings=True, asked_at=asked_at, **traits)


def legs_are(telco: Any, call: Call, *legs: dict[str, Any]) -> None:
    telco.get(
        calls_url(call.number),
        json={"calls": [call_json(LEG, to=DESK) | leg for leg in legs], "next_page_uri": None},
    )


def now_text() -> str:
    return timezone.now().strftime("%a, %d %b %Y %H:%M:%S +0000")


def test_two_who_talk_unknown_to_us_are_found_and_let_talk(telco: Any):
    transfer = lost()
    earlier = {"status": "no-answer", "date_created": "Sun, 22 Nov 2020 10:00:00 +0000"}
    talk = {"status": "in-progress", "date_created": now_text(), "start_time": now_text()}
    legs_are(telco, transfer.call, earlier, talk)

    assert transfer_sweep.settle_lost() == 1
    assert transfer_sweep.settle_lost() == 0  # not asked again at once

    assert state(transfer)[0] == "bridged"
    assert telco.calls[0].request.params["ParentCallSid"] == transfer.call.carrier_sid
    assert len(telco.calls) == 1


def test_a_caller_left_in_a_dead_ring_comes_back_to_the_agent(telco: Any):
    transfer = lost()
    call = transfer.call
    legs_are(telco, call, {"status": "no-answer", "date_created": now_text()})
    redirect = telco.post(
        calls_url(call.number, call.carrier_sid), json=call_json(call.carrier_sid)
    )

    transfer_sweep.settle_lost()

    assert redirect.call_count == 1
    assert verbs(asks(call)) == ["Connect", "Redirect"]
    assert state(transfer) == ("failed", "no-answer")


def test_a_transfer_that_cannot_be_settled_holds_up_no_other(
    telco: Any, monkeypatch: pytest.MonkeyPatch
):
    broken, other = lost(), lost()
    for transfer in (broken, other):
        legs_are(telco, transfer.call, {"status": "in-progress", "date_created": now_text()})
    joined = transfers.joined

    def breaks_on_the_first(pk: int, **of_leg: Any) -> None:
        if pk == broken.pk:
            raise ValueError("odd")
        joined(pk, **of_leg)

    monkeypatch.setattr(transfers, "joined", breaks_on_the_first)
    assert transfer_sweep.settle_lost() == 2

    assert (state(broken)[0], state(other)[0]) == ("ringing", "bridged")


def test_a_transfer_under_way_is_not_asked_about(telco: Any):
    TransferFactory.create(rings=True)
    TransferFactory.create(bridged=True)

    assert transfer_sweep.settle_lost() == 0
    assert not telco.calls


def test_people_who_talk_for_hours_are_not_cut_off(telco: Any):
    long_ago = timezone.now() - timedelta(hours=3)
    call = talking(created_at=long_ago, answered_at=long_ago, media_seen_at=long_ago)
    TransferFactory.create(call=call, bridged=True)
    Transfer.objects.update(bridged_at=long_ago)
    telco.get(
        calls_url(call.number, call.carrier_sid),
        json=call_json(call.carrier_sid, status="in-progress"),
    )

    sweeping.check_stale_calls()

    assert len(telco.calls) == 1  # asked, not hung up on
