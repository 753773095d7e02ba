import re
from datetime import timedelta
from itertools import permutations
from typing import Any
from xml.etree import ElementTree

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.factories import AccountFactory, CarrierAccountFactory
from agents.factories import PhoneNumberFactory
from agents.tests.twilio_side import knock
from calls import services, tickets
from calls.commands import GROUP
from calls.factories import CallFactory, DialAttemptFactory, new_sid
from calls.models import Call, CallEvent, MediaTicket
from calls.tests.twilio_side import token_of

pytestmark = pytest.mark.django_db

CALLER = "+447386172392"


def verbs(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/xml"
    return [verb.tag for verb in ElementTree.fromstring(answer.content)]


def stream_token(answer: HttpResponse) -> str:
    parameter = ElementTree.fromstring(answer.content).find("Connect/Stream/Parameter")
    assert parameter is not None
    assert parameter.get("name") == "t"
    return str(parameter.get("value"))


def rings(number: Any, sid: str | None = None, **form: str) -> HttpResponse:
    return knock(
        "voice",
        number,
        CallSid=sid or new_sid(),
        From=CALLER,
        To=number.phone_number,
        CallStatus="ringing",
        Direction="inbound",
        **form,
    )


# --- who may knock --------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["voice", "status", "amd"])
def test_a_call_with_a_name_that_no_carrier_gives_is_turned_away(what: str):
    number = PhoneNumberFactory.create()

    answer = knock(what, number, CallSid="CA" + "0" * 63, From=CALLER, To=number.phone_number)

    assert answer.status_code == 403
    assert not Call.objects.exists()


@pytest.mark.parametrize("what", ["voice", "status", "amd"])
def test_a_wrong_signature_changes_nothing(what: str):
    call = CallFactory.create(dialled=True)

    answer = knock(
        what,
        call.number,
        query=token_of(call),
        token="guessed",
        CallSid=call.carrier_sid,
        CallStatus="completed",
        AnsweredBy="machine_start",
    )

    assert answer.status_code == 403
    call.refresh_from_db()
    assert (call.status, call.amd_result) == ("initiated", "")
    assert not CallEvent.objects.exists()
    assert not MediaTicket.objects.exists()


def test_a_request_without_signature_or_call_is_refused():
    number = PhoneNumberFactory.create()

    assert Client().post("/twilio/voice/", {"CallSid": "CA1"}).status_code == 403
    assert Client().post("/twilio/status/", "{", content_type="application/json").status_code == 403
    assert knock("status", number, CallStatus="completed").status_code == 403
    assert knock("voice", number, CallSid="CA\0", To="+1\0").status_code == 403
    assert Client().get("/twilio/voice/").status_code == 405


def test_another_tenant_with_the_same_carrier_account_cannot_speak_for_a_call():
    call = CallFactory.create(dialled=True)
    theirs = CarrierAccountFactory.create(sid=call.number.carrier_account.sid)
    assert theirs.auth_token != call.number.carrier_account.auth_token

    answer = knock(
        "status",
        call.number,
        query=token_of(call),
        token=theirs.auth_token,
        CallSid=call.carrier_sid,
        CallStatus="completed",
    )

    assert answer.status_code == 403
    call.refresh_from_db()
    assert call.status == "initiated"


def test_a_token_nobody_issued_is_refused_though_signed():
    call = CallFactory.create(dialled=True)

    answer = knock(
        "status", call.number, query="?a=made-up", CallSid=call.carrier_sid, CallStatus="busy"
    )

    assert answer.status_code == 403


def test_fields_we_do_not_know_are_signed_too():
    call = CallFactory.create(dialled=True)

    answer = knock(
        "status",
        call.number,
        query=token_of(call),
        CallSid=call.carrier_sid,
        CallStatus="ringing",
        SomethingNew="1",
    )

    assert answer.status_code == 204


# --- outbound -------------------------------------------------------------------------------------


def test_an_answered_call_is_connected_to_the_media_socket_with_a_pass_of_its_own(settings: Any):
    call = CallFactory.create(dialled=True)
    begun = timezone.now()

    answer = knock("voice", call.number, query=token_of(call), CallSid=call.carrier_sid)

    assert verbs(answer) == ["Connect", "Redirect"]
    tree = ElementTree.fromstring(answer.content)
    stream, redirect = tree.find("Connect/Stream"), tree.find("Redirect")
    assert stream is not None
    assert redirect is not None
    assert stream.get("url") == settings.MEDIA_STREAM_URL
    assert redirect.text == f"{settings.PUBLIC_URL}/twilio/voice/{token_of(call)}&w=0"
    ticket = MediaTicket.objects.get(call=call)
    assert ticket.token_sha256 == tickets.sha256(stream_token(answer))
    valid = timedelta(seconds=120)
    assert begun + valid <= ticket.expires_at <= timezone.now() + valid


def test_every_answer_mints_another_pass():
    call = CallFactory.create(dialled=True)

    first = knock("voice", call.number, query=token_of(call), CallSid=call.carrier_sid)
    second = knock("voice", call.number, query=token_of(call), CallSid=call.carrier_sid)

    assert stream_token(first) != stream_token(second)


def test_the_voice_request_binds_a_call_whose_answer_was_lost():
    call, sid = CallFactory.create(), new_sid()
    DialAttemptFactory.create(call=call, status="unknown")

    answer = knock("voice", call.number, query=token_of(call), CallSid=sid)

    assert verbs(answer) == ["Connect", "Redirect"]
    call.refresh_from_db()
    assert call.carrier_sid == sid


@pytest.mark.parametrize("state", ["over", "ending", "given up", "another call"])
def test_nobody_is_greeted_on_a_call_that_is_not_to_be(state: str):
    call = CallFactory.create(dialled=True)
    sid = call.carrier_sid
    match state:
        case "over":
            services.end_call(call.pk, Call.Status.COMPLETED)
        case "ending":
            services.intend_end(call.pk, "completed")
        case "given up":
            call.attempts.update(status="lost", carrier_sid="")
        case "another call":
            sid = new_sid()

    answer = knock("voice", call.number, query=token_of(call), CallSid=sid)

    assert verbs(answer) == ["Hangup"]
    assert not MediaTicket.objects.exists()


# --- status ---------------------------------------------------------------------------------------

STORY = {
    "initiated": "Sun, 22 Nov 2026 10:00:00 +0000",
    "ringing": "Sun, 22 Nov 2026 10:00:01 +0000",
    "in-progress": "Sun, 22 Nov 2026 10:00:05 +0000",
    "completed": "Sun, 22 Nov 2026 10:00:42 +0000",
}


@pytest.mark.parametrize("order", list(permutations(STORY)))
def test_status_callbacks_in_any_order_and_twice_end_in_the_same_record(
    order: tuple[str, ...], time_machine: Any
):
    time_machine.move_to("2026-11-22 09:59:59 +0000", tick=False)
    call = CallFactory.create(dialled=True)
    time_machine.move_to("2026-11-22 10:00:50 +0000", tick=False)

    for status in order + order:
        ending = {"CallDuration": "37", "Duration": "1"} if status == "completed" else {}
        knock(
            "status",
            call.number,
            query=token_of(call),
            CallSid=call.carrier_sid,
            CallStatus=status,
            Timestamp=STORY[status],
            **ending,
        )

    call.refresh_from_db()
    assert (call.status, call.ended_reason, call.duration_ms) == (
        "completed",
        "callee_hangup",
        37_000,
    )
    assert call.answered_at is not None
    assert call.ended_at is not None
    assert call.answered_at.isoformat() == "2026-11-22T10:00:05+00:00"
    assert call.ended_at.isoformat() == "2026-11-22T10:00:42+00:00"
    assert call.events.filter(kind="ended").count() == 1


def test_a_call_the_carrier_could_not_connect_says_why():
    call = CallFactory.create(dialled=True)

    knock(
        "status",
        call.number,
        query=token_of(call),
        CallSid=call.carrier_sid,
        CallStatus="failed",
        SipResponseCode="404",
    )

    call.refresh_from_db()
    assert call.status == "failed"
    assert call.error_message == (
        "The carrier could not connect the call: the number cannot be reached. (SIP 404)"
    )


@pytest.mark.parametrize(
    "form",
    [
        {"CallStatus": "completed", "Timestamp": "yesterday", "CallDuration": "-1"},
        {"CallStatus": "completed", "Timestamp": "Sun, 22 Nov 2099 10:00:00 +0000"},
        {"CallStatus": "completed", "CallDuration": "²"},
        {"CallStatus": "completed", "CallDuration": "9" * 5_000},
        {"CallStatus": "completed", "CallDuration": "9" * 9},
        {"CallStatus": "completed", "ErrorCode": "x"},
        {"CallStatus": "completed", "ErrorCode": "9" * 12},
    ],
)
def test_senseless_values_do_not_lose_an_ending(form: dict[str, str]):
    call = CallFactory.create(live=True)

    answer = knock("status", call.number, query=token_of(call), CallSid=call.carrier_sid, **form)

    assert answer.status_code == 204
    call.refresh_from_db()
    assert call.status == "completed"
    assert call.ended_at is not None
    assert call.ended_at <= timezone.now()


def test_a_status_nobody_knows_changes_nothing():
    call = CallFactory.create(dialled=True)

    answer = knock(
        "status", call.number, query=token_of(call), CallSid=call.carrier_sid, CallStatus="dancing"
    )

    assert answer.status_code == 204
    call.refresh_from_db()
    assert call.status == "initiated"


def test_the_numbers_own_status_callback_ends_an_inbound_call():
    call = CallFactory.create(inbound=True)

    knock("status", call.number, CallSid=call.carrier_sid, CallStatus="completed", CallDuration="9")

    call.refresh_from_db()
    assert (call.status, call.ended_reason, call.duration_ms) == (
        "completed",
        "caller_hangup",
        9000,
    )


# --- answering machines ---------------------------------------------------------------------------


def test_a_verdict_is_stored_and_told_to_the_media_processes():
    call = CallFactory.create(live=True)
    layer = get_channel_layer()
    assert layer is not None
    channel = async_to_sync(layer.new_channel)()
    async_to_sync(layer.group_add)(GROUP, channel)

    for _ in range(2):
        knock(
            "amd",
            call.number,
            query=token_of(call),
            CallSid=call.carrier_sid,
            AnsweredBy="machine_start",
        )
    message = async_to_sync(layer.receive)(channel)

    assert message == {
        "type": "call.command",
        "call_id": call.call_id,
        "kind": "amd",
        "answered_by": "machine_start",
    }
    call.refresh_from_db()
    assert (call.amd_result, call.voicemail_detected) == ("machine_start", False)
    assert call.events.filter(kind="amd").count() == 1


def test_a_verdict_never_overwrites_an_ending():
    call = CallFactory.create(over=True)

    answer = knock(
        "amd",
        call.number,
        query=token_of(call),
        CallSid=call.carrier_sid,
        AnsweredBy="machine_start",
    )

    assert answer.status_code == 204
    call.refresh_from_db()
    assert (call.status, call.ended_reason) == ("completed", "callee_hangup")
    assert (call.amd_result, call.voicemail_detected) == ("machine_start", False)


# --- inbound --------------------------------------------------------------------------------------


def test_a_call_to_our_number_rings_and_is_connected():
    number, sid = PhoneNumberFactory.create(agent__pickup_delay=7), new_sid()

    answer = rings(number, sid)

    assert verbs(answer) == ["Pause", "Connect", "Redirect"]
    assert b'<Pause length="7" />' in answer.content
    call = Call.objects.get()
    assert (call.direction, call.status, call.carrier_sid) == ("inbound", "ringing", sid)
    assert (call.from_number, call.to_number) == (CALLER, number.phone_number)
    assert (call.account, call.agent, call.number) == (number.account, number.agent, number)
    assert MediaTicket.objects.get(call=call).token_sha256 == tickets.sha256(stream_token(answer))


def test_a_repeated_ring_is_the_same_call_and_does_not_ring_again():
    number, sid = PhoneNumberFactory.create(), new_sid()

    rings(number, sid)
    again = rings(number, sid)

    assert Call.objects.count() == 1
    assert verbs(again) == ["Connect", "Redirect"]


@pytest.mark.parametrize("caller", ["anonymous", "", "client:alice", "sip:" + "x" * 200])
def test_whoever_hides_their_number_may_call(caller: str):
    number = PhoneNumberFactory.create()

    answer = knock("voice", number, CallSid=new_sid(), From=caller, To=number.phone_number)

    assert "Connect" in verbs(answer)
    assert Call.objects.get().from_number == caller[:64]


@pytest.mark.parametrize("why", ["disabled", "orphaned", "agent inactive", "account inactive"])
def test_a_number_that_serves_nobody_says_so_and_leaves_no_row(why: str):
    number: Any = PhoneNumberFactory.create()
    match why:
        case "disabled":
            number.inbound_enabled = False
        case "orphaned":
            number.agent = None
        case "agent inactive":
            number.agent.is_active = False
            number.agent.save()
        case "account inactive":
            number.account.is_active = False
            number.account.save()
    number.save()

    answer = rings(number)

    assert verbs(answer) == ["Say", "Hangup"]
    assert not Call.objects.exists()


def test_a_number_that_was_removed_here_is_told_apart_from_a_stranger():
    known = PhoneNumberFactory.create()

    answer = knock("voice", known, CallSid=new_sid(), From=CALLER, To="+447446999999")

    assert verbs(answer) == ["Say", "Hangup"]
    assert not Call.objects.exists()


def test_at_the_limit_the_caller_hears_a_busy_tone_and_no_row_is_made():
    number = PhoneNumberFactory.create(account=AccountFactory.create(max_concurrent_calls=1))
    CallFactory.create(account=number.account, live=True)

    answer = rings(number)

    assert verbs(answer) == ["Reject"]
    assert re.search(rb'reason="busy"', answer.content)
    assert Call.objects.count() == 1


def test_waiting_calls_do_not_keep_callers_out():
    number = PhoneNumberFactory.create(account=AccountFactory.create(max_concurrent_calls=1))
    CallFactory.create(account=number.account)

    assert "Connect" in verbs(rings(number))
