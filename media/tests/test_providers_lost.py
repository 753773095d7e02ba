"""A provider that refuses or falls silent in mid-call, with the real SDKs on loopback."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from conftest import PATIENCE_S
from media.tests.live_calls import LOUD, event_kinds, make

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_refused_voice_socket_is_replaced_by_rest(providers):
    call, token, line = await make()
    providers.refuse_speak_socket = True

    await line.open(token)
    await line.until(lambda line: bool(line.events("mark")))
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()
    assert providers.by_rest == ["Hello, this is Acme."]


async def test_an_overloaded_model_is_asked_twice_and_then_the_fallback_line_is_said(providers):
    call, token, line = await make(agent__fallback_message="Please say that again.")
    providers.replies = [529, 529]

    await line.open(token)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await providers.transcribe("When are you open?")
    await line.until(lambda line: len(line.events("mark")) == 2)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    assert providers.said[1:] == ["Please say that again."]
    assert [prompt["model"] for prompt in providers.prompts] == [
        "claude-haiku-5-5", "claude-sonnet-5-5",
    ]  # fmt: skip
    assert (await event_kinds(call)).count("model_failed") == 2


async def test_a_lost_transcriber_is_connected_again(providers):
    call, token, line = await make()
    await line.open(token)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await line.until(lambda line: bool(line.events("mark")))
    providers.listening.clear()

    await providers.listeners[-1].close(code=1011, message=b"NET-0001")
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("When are you open?")
    await line.until(lambda line: len(line.events("mark")) == 2)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()
    assert "transcriber_lost" in await event_kinds(call)


async def test_a_transcriber_that_hears_nothing_is_replaced_and_hears_it_again(providers):
    call, token, line = await make()
    await line.open(token)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await line.until(lambda line: bool(line.events("mark")))
    providers.listening.clear()

    await line.speak(4_200, LOUD)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("When are you open?")
    await line.until(lambda line: len(line.events("mark")) == 2)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    lost = await sync_to_async(lambda: call.events.get(kind="transcriber_lost").data)()
    assert (lost["error"], lost["tries"]) == ("silent", 1)
    assert len(providers.listeners) == 2
    assert providers.heard > 4_200 * 8  # what the first one got was said again


async def test_a_refused_transcriber_is_asked_again(providers):
    call, token, line = await make()
    providers.refuse_listening = 1

    await line.open(token)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    lost = await sync_to_async(lambda: call.events.get(kind="transcriber_lost").data)()
    assert (lost["error"], lost["tries"]) == ("refused 429", 1)
