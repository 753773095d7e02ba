"""A call's life as the customer sees it, driven with Twilio's own SDK."""

import asyncio
import itertools

import pytest
from twilio.base.exceptions import TwilioRestException

from sandbox import faults, journal
from sandbox.carrier.line import SILENCE, Line
from sandbox.tests.carrier_world import OURS, THEIRS, Double, World, open_world

ALL_EVENTS = ["initiated", "ringing", "answered", "completed"]


async def test_an_answered_call_is_told_from_start_to_end_and_every_request_is_signed(world: World):
    world.product.twiml["/voice"] = '<Response><Pause length="1"/><Hangup/></Response>'

    call = await world.call(
        status_callback=f"{world.product.origin}/status?token=t1", status_callback_event=ALL_EVENTS
    )
    assert call.status == "queued"
    told = await world.product.told("/status", 4)

    told.sort(key=lambda knock: int(knock.form["SequenceNumber"]))
    assert [k.form["CallStatus"] for k in told] == [
        "initiated",
        "ringing",
        "in-progress",
        "completed",
    ]
    assert [k.form["SequenceNumber"] for k in told] == ["0", "1", "2", "3"]
    assert all(k.genuine and k.form["CallSid"] == call.sid for k in world.product.knocks)
    assert len({k.token for k in world.product.knocks}) == 5
    assert told[3].form["CallDuration"] == "1"
    assert told[3].form["Duration"] == "1"
    assert told[3].form["SipResponseCode"] == "200"
    fetched = await asyncio.to_thread(world.client.calls(call.sid).fetch)
    assert (fetched.status, fetched.duration, fetched.direction) == (
        "completed",
        "1",
        "outbound-api",
    )


async def test_without_a_subscription_only_the_end_is_told(world: World):
    call = await world.call(
        twiml="<Response><Hangup/></Response>", status_callback=f"{world.product.origin}/status"
    )

    await world.ended(call.sid)
    [told] = await world.product.told("/status")

    assert (told.form["CallStatus"], told.form["SequenceNumber"]) == ("completed", "0")


@pytest.mark.parametrize(
    ("answers", "status", "sip"),
    [("busy", "busy", "486"), ("no_answer", "no-answer", "487"), ("failed", "failed", "404")],
)
async def test_a_call_that_nobody_takes_ends_with_its_reason(
    world: World, answers: str, status: str, sip: str
):
    world.people[THEIRS] = Double(answers=answers)

    call = await world.call(timeout=1, status_callback=f"{world.product.origin}/status")
    await world.ended(call.sid)
    [told] = await world.product.told("/status")

    assert (told.form["CallStatus"], told.form["SipResponseCode"]) == (status, sip)
    assert told.form["CallDuration"] == "0"
    assert not [k for k in world.product.knocks if k.path == "/voice"]


async def test_a_call_cancelled_in_the_queue_tells_nobody(world: World):
    async with open_world(cps=0.2) as slow:
        first = await slow.call(twiml='<Response><Pause length="60"/></Response>')
        second = await slow.call(
            status_callback=f"{slow.product.origin}/status", status_callback_event=ALL_EVENTS
        )

        cancelled = await asyncio.to_thread(slow.client.calls(second.sid).update, status="canceled")
        await asyncio.to_thread(slow.client.calls(first.sid).update, status="completed")
        await slow.ended(first.sid)

        assert cancelled.status == "canceled"
        assert slow.product.knocks == []


async def test_a_ringing_call_can_be_cancelled(world: World):
    world.people[THEIRS] = Double(rings_s=30)
    call = await world.call(
        status_callback=f"{world.product.origin}/s", status_callback_event=ALL_EVENTS
    )
    await world.product.told("/s", 2)

    await asyncio.to_thread(world.client.calls(call.sid).update, status="canceled")
    told = await world.product.told("/s", 3)

    assert told[2].form["CallStatus"] == "canceled"


async def test_calls_leave_the_queue_at_the_accounts_rate_and_in_order():
    async with open_world(cps=5) as world:
        calls = [await world.call(twiml="<Response><Hangup/></Response>") for _ in range(4)]
        for call in calls:
            await world.ended(call.sid)
        made = [world.carrier.account.calls[call.sid] for call in calls]

    gaps = [
        (later.started - earlier.started).total_seconds()
        for earlier, later in itertools.pairwise(made)
        if later.started and earlier.started
    ]
    assert len(gaps) == 3
    assert all(gap >= 0.19 for gap in gaps)


async def test_an_ended_call_cannot_be_updated(world: World):
    call = await world.call(twiml="<Response><Hangup/></Response>")
    await world.ended(call.sid)

    with pytest.raises(TwilioRestException) as refusal:
        await asyncio.to_thread(world.client.calls(call.sid).update, status="completed")

    assert (refusal.value.code, refusal.value.status) == (21220, 400)


async def test_a_redirect_replaces_the_running_twiml_at_once(world: World):
    world.product.twiml["/next"] = "<Response><Hangup/></Response>"
    call = await world.call(twiml='<Response><Pause length="60"/></Response>')
    await world.saw("verb", call.sid)

    await asyncio.to_thread(world.client.calls(call.sid).update, url=f"{world.product.origin}/next")
    ended = await world.ended(call.sid)

    assert ended["status"] == "completed"
    assert [k.path for k in world.product.knocks] == ["/next"]


async def test_the_time_limit_ends_the_call(world: World):
    call = await world.call(twiml='<Response><Pause length="60"/></Response>', time_limit=1)

    await world.ended(call.sid)

    assert journal.events(kind="hang_up", call_sid=call.sid)[0]["by"] == "time_limit"


async def test_a_person_who_hangs_up_ends_the_call(world: World):
    async def say_and_go(line: Line) -> None:
        line.say(SILENCE * 5)

    world.people[THEIRS] = Double(says=say_and_go)

    call = await world.call(twiml='<Response><Pause length="60"/></Response>')
    ended = await world.ended(call.sid)

    assert ended["status"] == "completed"
    assert journal.events(kind="hang_up", call_sid=call.sid)[0]["by"] == "person"


async def test_a_new_time_limit_replaces_the_old_one(world: World):
    call = await world.call(twiml='<Response><Pause length="2"/></Response>', time_limit=1)
    await world.saw("verb", call.sid)

    await asyncio.to_thread(world.client.calls(call.sid).update, time_limit=60)
    await world.ended(call.sid)

    assert journal.events(kind="hang_up", call_sid=call.sid) == []


async def test_a_caller_may_give_up_before_anybody_answers(world: World):
    world.carrier.account.numbers[OURS].settings["voice_url"] = f"{world.product.origin}/inbound"
    world.product.twiml["/inbound"] = "<Response><Redirect>/inbound</Redirect></Response>"

    call = world.carrier.exchange.receive(to=OURS, from_=THEIRS)
    await world.product.told("/inbound", 2)
    world.carrier.exchange.legs[call.sid].line.hang_up()
    ended = await world.ended(call.sid)

    assert (ended["status"], call.answered) == ("no-answer", None)


# Answering machine detection.


async def test_async_amd_reports_beside_the_call(world: World):
    world.people[THEIRS] = Double(answered_by="machine_start")
    call = await world.call(
        twiml='<Response><Pause length="60"/></Response>',
        machine_detection="Enable",
        async_amd="true",
        async_amd_status_callback=f"{world.product.origin}/amd",
        status_callback=f"{world.product.origin}/status",
    )

    [verdict] = await world.product.told("/amd")
    await asyncio.to_thread(world.client.calls(call.sid).update, status="completed")
    [end] = await world.product.told("/status")

    assert verdict.genuine
    assert set(verdict.form) == {"AccountSid", "CallSid", "AnsweredBy", "MachineDetectionDuration"}
    assert verdict.form["AnsweredBy"] == "machine_start"
    assert end.form["AnsweredBy"] == "machine_start"


async def test_sync_amd_holds_the_twiml_back_until_the_verdict(world: World):
    call = await world.call(machine_detection="Enable")
    [fetch] = await world.product.told("/voice")
    await world.ended(call.sid)

    assert fetch.form["AnsweredBy"] == "human"
    assert int(fetch.form["MachineDetectionDuration"]) >= 60


async def test_detect_message_end_waits_until_the_greeting_is_over(world: World):
    async def greet(line: Line) -> None:
        line.say(SILENCE * 30)
        while await line.hear() is not None:
            pass

    world.people[THEIRS] = Double(answered_by="machine_start", says=greet)
    call = await world.call(machine_detection="DetectMessageEnd")
    [fetch] = await world.product.told("/voice")
    await world.ended(call.sid)

    assert fetch.form["AnsweredBy"] == "machine_end_beep"
    assert int(fetch.form["MachineDetectionDuration"]) >= 1500


# TwiML trouble.


async def test_a_failing_voice_url_is_followed_by_the_fallback(world: World):
    world.product.twiml["/rescue"] = "<Response><Hangup/></Response>"
    call = await world.call(
        url=f"{world.product.origin}/broken", fallback_url=f"{world.product.origin}/rescue"
    )
    await world.ended(call.sid)
    [rescue] = await world.product.told("/rescue")

    assert rescue.form["ErrorCode"] == "11200"
    assert rescue.form["ErrorUrl"] == f"{world.product.origin}/broken"


@pytest.mark.parametrize(
    ("twiml", "code"),
    [("<Response><Hangup></Response>", 12100), ("<Reply/>", 12100), ("x" * 3000, 12100)],
)
async def test_bad_twiml_is_an_application_error_that_ends_the_call(
    world: World, twiml: str, code: int
):
    call = await world.call(twiml=twiml)

    error = await world.saw("application_error", call.sid)
    ended = await world.ended(call.sid)

    assert error["code"] == code
    assert ended["status"] == "completed"


async def test_an_unreachable_voice_url_is_tried_twice(world: World):
    call = await world.call(url="http://127.0.0.1:9/voice")

    error = await world.saw("application_error", call.sid)
    await world.ended(call.sid)

    assert error["code"] == 11205


# Inbound.


async def test_an_inbound_call_asks_the_number_and_tells_its_end(world: World):
    numbers = await asyncio.to_thread(world.client.incoming_phone_numbers.list, phone_number=OURS)
    await asyncio.to_thread(
        numbers[0].update,
        voice_url=f"{world.product.origin}/inbound",
        status_callback=f"{world.product.origin}/status",
    )
    world.product.twiml["/inbound"] = '<Response><Play digits="ww"/></Response>'

    call = world.carrier.exchange.receive(to=OURS, from_=THEIRS)
    [asked] = await world.product.told("/inbound")
    [told] = await world.product.told("/status")

    assert asked.genuine
    assert (asked.form["CallStatus"], asked.form["Direction"]) == ("ringing", "inbound")
    assert (asked.form["From"], asked.form["To"], asked.form["CallSid"]) == (THEIRS, OURS, call.sid)
    assert (told.form["CallStatus"], told.form["CallDuration"]) == ("completed", "1")


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
async def test_a_rejected_inbound_call_is_never_answered(world: World, reason: str, status: str):
    world.carrier.account.numbers[OURS].settings["voice_url"] = f"{world.product.origin}/inbound"
    world.product.twiml["/inbound"] = f'<Response><Reject reason="{reason}"/></Response>'

    call = world.carrier.exchange.receive(to=OURS, from_=THEIRS)
    ended = await world.ended(call.sid)

    assert (ended["status"], call.answered) == (status, None)


async def test_an_inbound_call_that_is_only_hung_up_was_answered_first(world: World):
    world.carrier.account.numbers[OURS].settings["voice_url"] = f"{world.product.origin}/inbound"
    world.product.twiml["/inbound"] = "<Response><Hangup/></Response>"

    call = world.carrier.exchange.receive(to=OURS, from_=THEIRS)
    ended = await world.ended(call.sid)

    assert (ended["status"], call.answered is not None) == ("completed", True)


# Transfer.


# Injected faults.


@pytest.mark.parametrize("how", ["reset", "500"])
async def test_a_lost_answer_leaves_exactly_one_call_behind(world: World, how: str):
    faults.put({"create_call": {"lose_answer": how, "count": 1}})

    with pytest.raises(Exception) as lost:  # noqa: PT011 - requests or Twilio, by how it is lost
        await world.call(twiml="<Response><Hangup/></Response>")

    found = await asyncio.to_thread(world.client.calls.list, to=THEIRS, from_=OURS)
    assert lost.value is not None
    assert len(found) == 1


async def test_a_refusal_before_acceptance_leaves_no_call(world: World):
    faults.put({"create_call": {"refuse": 20429, "count": 1}})

    with pytest.raises(TwilioRestException) as refusal:
        await world.call()

    assert (refusal.value.status, refusal.value.code) == (429, 20429)
    assert world.carrier.account.calls == {}


async def test_doubled_callbacks_arrive_twice_with_different_deliveries(world: World):
    faults.put({"callbacks": {"double": 1.0}})

    call = await world.call(
        twiml="<Response><Hangup/></Response>", status_callback=f"{world.product.origin}/status"
    )
    await world.ended(call.sid)
    told = await world.product.told("/status", 2)

    assert told[0].form == told[1].form


async def test_dropped_callbacks_do_not_arrive(world: World):
    faults.put({"callbacks": {"drop": 1.0}})

    call = await world.call(
        twiml="<Response><Hangup/></Response>", status_callback=f"{world.product.origin}/status"
    )
    await world.saw("callback_dropped", call.sid)

    assert world.product.knocks == []
