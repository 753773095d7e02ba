"""A call that is put through: told, asked about, settled, in any order and with parts missing."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import time_machine
from django.http import HttpResponse
from django.utils import timezone

from accounts.models import Suppression
from agents.tests.twilio_side import form_of, knock
from calls import (
    handing_over,
    live,
    services,
    sweeping,
    tickets,
    transfer_sweep,
    usage,
)
from calls.factories import CallFactory, TransferFactory, new_sid
from calls.live import MediaRefused
from calls.models import Call, MediaTicket, Transfer
from calls.tests.admitting import admit_next
from calls.tests.twilio_side import call_json, calls_url, token_of

pytestmark = pytest.mark.django_db

DESK = "+442087601234"
LEG = new_sid()


def verbs(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 200
    return [verb.tag for verb in ElementTree.fromstring(answer.content)]


def asks(call: Call) -> HttpResponse:
    """The carrier asks what the call does next."""
    return knock("voice", call.number, query=token_of(call), CallSid=call.carrier_sid)


def leg(transfer: Transfer, status: str, **form: str) -> HttpResponse:
    """The carrier tells how the colleague's leg stands."""
    call = transfer.call
    told = {"ParentCallSid": call.carrier_sid, "CallSid": LEG, "CallStatus": status} | form
    return knock("transfer/leg", call.number, query=f"?t={transfer.token}", **told)


def after(transfer: Transfer, status: str, **form: str) -> HttpResponse:
    """The carrier's Dial is over."""
    call = transfer.call
    told = {"CallSid": call.carrier_sid, "CallStatus": "in-progress", "DialCallStatus": status}
    return knock("transfer/after", call.number, query=f"?t={transfer.token}", **told | form)


def joined(transfer: Transfer) -> HttpResponse:
    call = transfer.call
    told = {"ParentCallSid": call.carrier_sid, "CallSid": LEG}
    return knock("transfer/joined", call.number, query=f"?t={transfer.token}", **told)


def ended(call: Call, seconds: int = 60) -> None:
    knock(
        "status",
        call.number,
        query=token_of(call),
        CallSid=call.carrier_sid,
        CallStatus="completed",
        CallDuration=str(seconds),
    )


def state(transfer: Transfer) -> tuple[str, str]:
    transfer.refresh_from_db()
    return transfer.status, transfer.failure


def hand_over(call: Call, **fields: Any) -> bool:
    asked: dict[str, Any] = {
        "generation": 1,
        "to_number": DESK,
        "kind": "cold",
        "after_turn": 4,
    } | fields
    return handing_over.hand_over(call.pk, **asked)


def talking(**fields: Any) -> Call:
    return CallFactory.create(**{"live": True, "media_generation": 1} | fields)


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


# --- the sweeps -----------------------------------------------------------------------------------


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
