"""A call that is put through: told, asked about, settled, in any order and with parts missing."""

from typing import Any
from xml.etree import ElementTree

import pytest
import requests
from django.utils import timezone

from accounts.models import Suppression
from agents.tests.twilio_side import form_of, knock
from calls import (
    live,
    services,
    tickets,
)
from calls.factories import CallFactory, TransferFactory, new_sid
from calls.live import MediaRefused
from calls.models import Call, MediaTicket, Transfer
from calls.tests.admitting import admit_next
from calls.tests.transferring import (
    DESK,
    LEG,
    after,
    asks,
    ended,
    hand_over,
    joined,
    leg,
    state,
    talking,
    verbs,
)
from calls.tests.twilio_side import call_json, calls_url, token_of

pytestmark = pytest.mark.django_db


# --- handing over ---------------------------------------------------------------------------------


def test_a_call_is_handed_over_by_a_committed_row_and_then_a_request(telco: Any):
    call = talking()
    url = calls_url(call.number, call.carrier_sid)
    telco.post(url, json=call_json(call.carrier_sid, status="in-progress"))

    assert hand_over(call) is True

    transfer = call.transfers.get()
    assert (transfer.status, transfer.number, transfer.after_turn) == ("asked", 1, 4)
    form = form_of(telco.calls[0].request)
    assert form["Url"][0].endswith(f"/twilio/voice/{token_of(call)}")
    assert int(form["TimeLimit"][0]) > 4 * 3600  # an agent's longest call does not cut people off


@pytest.mark.parametrize("state_of_call", ["over", "ending", "another socket's", "put through"])
def test_a_call_that_is_not_ours_to_give_is_not_handed_over(telco: Any, state_of_call: str):
    call = talking()
    match state_of_call:
        case "over":
            services.end_call(call.pk, "completed")
        case "ending":
            services.intend_end(call.pk, "completed")
        case "another socket's":
            Call.objects.filter(pk=call.pk).update(media_generation=2)
        case "put through":
            TransferFactory.create(call=call, number=1, rings=True)
    before = Transfer.objects.count()

    assert hand_over(call) is False

    assert Transfer.objects.count() == before
    assert not telco.calls


def test_a_fourth_transfer_is_not_made(telco: Any):
    call = talking()
    for number in (1, 2, 3):
        TransferFactory.create(call=call, number=number, failed=True)

    assert hand_over(call) is False
    assert not telco.calls


@pytest.mark.parametrize("answer", [{"status": 503}, {"body": requests.ConnectionError()}])
def test_where_the_request_fails_the_closed_socket_leads_to_the_same(telco: Any, answer: Any):
    call = talking()
    telco.post(calls_url(call.number, call.carrier_sid), **answer)

    assert hand_over(call) is True

    assert verbs(asks(call)) == ["Dial"]
    assert state(call.transfers.get())[0] == "ringing"


def test_the_destination_is_a_colleague_whom_no_list_protects(telco: Any):
    call = talking()
    Suppression.objects.create(
        account=call.account, phone_number=DESK, source=Suppression.Source.SPOKEN
    )
    telco.post(calls_url(call.number, call.carrier_sid), json=call_json(call.carrier_sid))

    assert hand_over(call) is True


# --- what the carrier is told ---------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "ring_s"), [("cold", "10"), ("warm", "15")])
def test_the_carrier_rings_the_colleague_with_our_number(settings: Any, kind: str, ring_s: str):
    transfer = TransferFactory.create(kind=kind)
    call = transfer.call

    answer = asks(call)

    dial = ElementTree.fromstring(answer.content).find("Dial")
    assert dial is not None
    number = dial.find("Number")
    assert number is not None
    base = f"{settings.PUBLIC_URL}/twilio/transfer"
    assert number.text == DESK
    assert (dial.get("timeout"), dial.get("callerId")) == (ring_s, call.our_number)
    assert dial.get("action") == f"{base}/after/?t={transfer.token}"
    assert number.get("statusCallback") == f"{base}/leg/?t={transfer.token}"
    whisper = f"{base}/whisper/?t={transfer.token}" if kind == "warm" else None
    assert number.get("url") == whisper
    assert not MediaTicket.objects.exists()


def test_a_call_that_rings_elsewhere_gets_the_same_ring_when_asked_again_and_no_second_opening():
    transfer = TransferFactory.create()

    assert asks(transfer.call).content == asks(transfer.call).content

    assert transfer.call.events.filter(kind="transfer").count() == 1


def test_a_pass_of_before_opens_no_socket_in_a_call_that_is_put_through():
    transfer = TransferFactory.create(rings=True)
    token = tickets.issue(transfer.call)

    with pytest.raises(MediaRefused, match="put through"):
        live.open_media(token, transfer.call.carrier_sid)

    transfer.call.refresh_from_db()
    assert transfer.call.media_generation == 1


# --- who may knock --------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["leg", "whisper", "joined", "after"])
@pytest.mark.parametrize("wrong", ["signature", "token", "call"])
def test_a_knock_that_is_not_the_carriers_changes_nothing(what: str, wrong: str):
    transfer = TransferFactory.create(rings=True)
    call = transfer.call
    sid = new_sid() if wrong == "call" else call.carrier_sid

    answer = knock(
        f"transfer/{what}",
        call.number,
        query="?t=made-up" if wrong == "token" else f"?t={transfer.token}",
        token="guessed" if wrong == "signature" else None,
        ParentCallSid=sid,
        CallSid=sid if what == "after" else LEG,
        CallStatus="in-progress",
        DialCallStatus="busy",
    )

    assert answer.status_code == 403
    assert state(transfer) == ("ringing", "")


# --- how it goes on -------------------------------------------------------------------------------


def test_an_answered_cold_transfer_is_a_success_and_frees_the_line():
    transfer = TransferFactory.create(rings=True)
    assert list(Call.objects.occupying()) == [transfer.call]

    leg(transfer, "in-progress")

    assert state(transfer) == ("bridged", "")
    assert transfer.carrier_sid == LEG
    assert list(Call.objects.occupying()) == []
    assert list(Call.objects.unfinished()) == [transfer.call]
    CallFactory.create(account=transfer.call.account)
    assert admit_next() is not None


def test_an_answered_warm_transfer_is_one_when_the_whisper_is_over():
    transfer = TransferFactory.create(rings=True, warm=True)

    leg(transfer, "in-progress")
    assert state(transfer)[0] == "whispering"
    answer = joined(transfer)

    assert state(transfer)[0] == "bridged"
    assert verbs(answer) == []


@pytest.mark.parametrize(
    ("status", "failure"),
    [("no-answer", "no-answer"), ("busy", "busy"), ("failed", "failed"), ("canceled", "canceled")],
)
def test_a_caller_whom_nobody_takes_is_the_agents_again(status: str, failure: str):
    transfer = TransferFactory.create(rings=True, after_turn=2)

    answer = after(transfer, status)

    assert verbs(answer) == ["Connect", "Redirect"]
    assert state(transfer) == ("failed", failure)
    call = transfer.call
    back = live.open_media(tickets.issue(call), call.carrier_sid)
    assert back.generation == 2
    [failed] = back.transfers.failed
    assert (failed.after_turn, failed.number, failed.failure) == (2, DESK, failure)


def test_a_colleague_who_hangs_up_during_the_whisper_has_not_taken_the_call():
    transfer = TransferFactory.create(rings=True, warm=True)
    leg(transfer, "in-progress")

    answer = after(transfer, "completed", DialBridged="false", DialCallDuration="3")

    assert verbs(answer) == ["Connect", "Redirect"]
    assert state(transfer) == ("failed", "declined")


def test_nor_has_one_who_hangs_up_as_the_whisper_ends():
    transfer = TransferFactory.create(rings=True, warm=True)
    leg(transfer, "in-progress")
    joined(transfer)

    answer = after(transfer, "completed", DialBridged="false", DialCallDuration="5")

    assert verbs(answer) == ["Connect", "Redirect"]
    assert state(transfer) == ("failed", "declined")
    joined(transfer)  # late
    assert state(transfer) == ("failed", "declined")
    assert list(Call.objects.occupying()) == [transfer.call]


def test_the_callers_leg_is_hung_up_on_when_the_two_have_parted():
    transfer = TransferFactory.create(bridged=True)

    answer = after(transfer, "completed", DialBridged="true")
    ended(transfer.call)

    assert verbs(answer) == ["Hangup"]
    call = Call.objects.get()
    assert (call.status, call.ended_reason) == ("completed", "transferred")
    transfer.refresh_from_db()
    assert transfer.ended_at is not None


def test_a_caller_who_hangs_up_while_it_rings_has_hung_up():
    transfer = TransferFactory.create(call__inbound=True, rings=True)
    Call.objects.update(status="in-progress", answered_at=timezone.now())

    services.end_call(transfer.call_id, "completed")
    answer = after(transfer, "no-answer", CallStatus="completed")

    assert state(transfer) == ("caller_gone", "")
    assert Call.objects.get().ended_reason == "caller_hangup"
    assert verbs(answer) == ["Hangup"]


def test_failed_transfers_are_no_lost_sockets():
    call = talking(media_generation=5)
    TransferFactory.create(call=call, number=1, failed=True)
    TransferFactory.create(call=call, number=2, failed=True)

    assert verbs(asks(call)) == ["Connect", "Redirect"]


# --- in any order, more than once, with some missing ----------------------------------------------


# --- the sweeps -----------------------------------------------------------------------------------
