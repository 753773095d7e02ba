"""A call that is put through to another person, driven with Twilio's own SDK."""

import asyncio

import pytest

from sandbox import journal
from sandbox.carrier.line import Line
from sandbox.tests.carrier_world import THEIRS, Double, World


async def test_dial_connects_two_people_and_reports_to_its_action(world: World):
    heard = bytearray()

    async def listen(line: Line) -> None:
        for _ in range(25):
            heard.extend(await line.hear() or b"")

    async def speak(line: Line) -> None:
        line.say(b"\x11" * 160 * 400)
        while await line.hear() is not None:
            pass

    world.people[THEIRS] = Double(says=speak)
    world.people["+13125550199"] = Double(says=listen)
    world.product.twiml["/voice"] = (
        '<Response><Dial action="/after" timeout="5"><Number statusCallback="/leg" '
        'statusCallbackEvent="initiated ringing answered completed">'
        "+13125550199</Number></Dial></Response>"
    )

    call = await world.call()
    [after] = await world.product.told("/after")
    legs = await world.product.told("/leg", 4)
    await world.ended(call.sid)

    assert heard.count(b"\x11") > 160 * 5
    assert after.form["DialCallStatus"] == "completed"
    assert {k.form["CallStatus"] for k in legs} == {
        "initiated",
        "ringing",
        "in-progress",
        "completed",
    }
    assert all(k.form["ParentCallSid"] == call.sid for k in legs)
    assert after.form["DialCallSid"] == legs[0].form["CallSid"]


async def test_a_transfer_to_somebody_busy_goes_on_with_the_next_verb(world: World):
    world.people["+13125550199"] = Double(answers="busy")

    call = await world.call(twiml="<Response><Dial>+13125550199</Dial><Hangup/></Response>")
    await world.ended(call.sid)

    assert (await world.saw("dial_ended", call.sid))["DialCallStatus"] == "busy"
    assert [e["verb"] for e in journal.events(kind="verb", call_sid=call.sid)] == ["Dial", "Hangup"]


COLLEAGUE = "+13125550199"


async def test_the_whisper_is_for_the_called_party_alone_and_then_the_two_talk(world: World):
    world.people[COLLEAGUE] = Double()
    world.product.twiml["/voice"] = (
        '<Response><Dial action="/after"><Number url="/whisper">+13125550199</Number></Dial>'
        "</Response>"
    )
    world.product.twiml["/whisper"] = (
        '<Response><Play digits="5"/><Redirect>/joined</Redirect></Response>'
    )

    call = await world.call()
    [whisper] = await world.product.told("/whisper")
    [joined] = await world.product.told("/joined")
    bridged = await world.saw("bridged", call.sid)
    world.carrier.exchange.legs[bridged["child"]].line.hang_up()
    [after] = await world.product.told("/after")
    await world.ended(call.sid)

    assert (whisper.form["To"], whisper.form["ParentCallSid"]) == (COLLEAGUE, call.sid)
    assert whisper.form["CallSid"] == joined.form["CallSid"] == bridged["child"]
    assert whisper.genuine
    assert joined.genuine
    assert any(byte != 0xFF for byte in world.people[COLLEAGUE].heard)
    assert all(byte == 0xFF for byte in world.people[THEIRS].heard)
    assert (after.form["DialCallStatus"], after.form["DialBridged"]) == ("completed", "true")


async def test_a_colleague_who_hangs_up_during_the_whisper_was_never_connected(world: World):
    async def hang_up(line: Line) -> None:
        await line.hear()

    world.people[COLLEAGUE] = Double(says=hang_up)
    world.product.twiml["/voice"] = (
        '<Response><Dial action="/after"><Number url="/whisper">+13125550199</Number></Dial>'
        "</Response>"
    )
    world.product.twiml["/whisper"] = "<Response><Pause length='30'/></Response>"

    call = await world.call()
    [after] = await world.product.told("/after")
    await world.ended(call.sid)

    assert (after.form["DialCallStatus"], after.form["DialBridged"]) == ("completed", "false")
    assert journal.events(kind="bridged", call_sid=call.sid) == []


@pytest.mark.parametrize(
    ("colleague", "status", "code"),
    [
        (Double(answers="no_answer"), "no-answer", None),
        (Double(answers="busy"), "busy", None),
        (None, "failed", None),
        (Double(refusal_code=13224), "failed", 13224),
    ],
)
async def test_a_live_call_is_redirected_to_a_dial_that_comes_back_with_what_became_of_it(
    world: World, colleague: Double | None, status: str, code: int | None
):
    if colleague is not None:
        world.people[COLLEAGUE] = colleague
    world.product.twiml["/transfer"] = (
        '<Response><Dial timeout="1" action="/after"><Number>+13125550199</Number></Dial>'
        "</Response>"
    )

    call = await world.call(twiml="<Response><Pause length='30'/></Response>")
    await world.saw("verb", call.sid)
    update = {"url": f"{world.product.origin}/transfer", "method": "POST", "time_limit": 14_400}
    await asyncio.to_thread(world.client.calls(call.sid).update, **update)
    [after] = await world.product.told("/after")
    await world.ended(call.sid)

    assert (after.form["DialCallStatus"], after.form["DialBridged"]) == (status, "false")
    warned = [w["code"] for w in journal.events(kind="warning", call_sid=call.sid)]
    assert warned == ([code] if code else [])
