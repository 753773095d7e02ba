"""A media socket from its handshake to its last write, with the real SDKs on loopback."""

import asyncio
import gc
import wave
import weakref
from typing import Any

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from deepgram.listen.v2.socket_client import AsyncV2SocketClient
from deepgram.speak.v1.socket_client import AsyncV1SocketClient
from prometheus_client import REGISTRY

from calls.commands import send_command
from calls.flights import flight_pieces
from conftest import PATIENCE_S
from media.audio import LINEAR
from media.conversation import Conversation
from media.flight import FlightRecorder
from media.journal import Journal, in_thread
from media.recorder import Recorder
from media.replay import read, replay, unpacked
from media.session import Session
from media.speaker import Speaker
from media.speaking import Speaking
from media.tests.live_calls import LOUD, event_kinds, greeted, make, turns
from media.tests.providers_side import CLAUSE_MS
from media.transcriber import Transcriber
from media.voice import Voice
from media.writer import Writer

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_whole_call_from_greeting_to_goodbye(providers):
    call, token, line = await make()
    providers.replies = ["We open at nine. Until five.", "Goodbye now! [END_CALL]"]

    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await line.speak(400, LOUD)
    await line.speak(400)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.hears(800 * 8)
    await providers.transcribe("When are you open?")
    await line.until(lambda line: len(line.events("mark")) == 3)
    await providers.transcribe("Thank you, that is all.")
    assert await line.closes() == 1000

    assert providers.said == [
        "Hello, this is Acme.", "We open at nine.", "Until five.", "Goodbye now!",
    ]  # fmt: skip
    assert await turns(call) == [
        ("agent", "Hello, this is Acme."),
        ("caller", "When are you open?"),
        ("agent", "We open at nine. Until five."),
        ("caller", "Thank you, that is all."),
        ("agent", "Goodbye now!"),
    ]
    assert providers.ended == [{"Status": "completed"}]
    assert providers.heard == 800 * 8
    assert len(line.audio) == 4 * 300 * 8
    await call.arefresh_from_db()
    assert call.intended_reason == "completed"
    assert call.avg_latency_ms is not None
    with wave.open(str(call.recording_path)) as recording:
        assert recording.getnchannels() == 2


async def test_the_transcriber_and_the_model_are_asked_as_they_want_to_be(providers):
    call, token, line = await make(agent__language="en")

    await line.open(token)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await line.until(lambda line: bool(line.events("mark")))
    await providers.transcribe("When are you open?")
    await line.until(lambda line: len(line.events("mark")) == 2)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    query = providers.listen_query
    assert (query["model"], query["encoding"], query["sample_rate"], query["eot_threshold"]) == (
        "flux-general-en", "mulaw", "8000", "0.7",
    )  # fmt: skip
    prompt = providers.prompts[0]
    assert prompt["thinking"] == {"type": "disabled"}
    assert prompt["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert prompt["messages"][-1] == {"role": "user", "content": "When are you open?"}


async def test_the_first_clause_is_made_before_the_turn_has_ended_and_heard_once_it_has(providers):
    call, line = await greeted(providers)
    providers.replies = ["We open at nine. Until five."]
    before = len(line.audio)

    await providers.turn("StartOfTurn", "When are you open?")
    await providers.turn("EagerEndOfTurn", "When are you open?")
    await asyncio.wait_for(providers.spoke.wait(), PATIENCE_S)
    assert providers.said[1:] == ["We open at nine."]
    assert len(line.audio) == before
    await providers.turn("EndOfTurn", "When are you open?")
    await line.until(lambda line: len(line.events("mark")) == 3)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    assert providers.said[1:] == ["We open at nine.", "Until five."]
    assert len(line.audio) == before + 2 * CLAUSE_MS * 8
    assert (await turns(call))[-1] == ("agent", "We open at nine. Until five.")


async def test_of_a_clause_that_was_made_too_early_nothing_is_heard_or_recorded(providers):
    vain = "nixflex_media_characters_in_vain_total"
    before = REGISTRY.get_sample_value(vain) or 0.0
    call, line = await greeted(providers)
    providers.replies = ["We open at nine.", "Never on Sundays."]
    providers.stuck_speaking = 1

    await providers.turn("StartOfTurn", "When are you open?")
    await providers.turn("EagerEndOfTurn", "When are you open?")
    await asyncio.wait_for(providers.spoke.wait(), PATIENCE_S)
    await providers.turn("TurnResumed", "When are you open on")
    await asyncio.wait_for(providers.cleared.wait(), PATIENCE_S)
    await providers.turn("EndOfTurn", "When are you open on Sundays?")
    await line.until(lambda line: len(line.events("mark")) == 2)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    assert providers.said[1:] == ["We open at nine.", "Never on Sundays."]
    assert bytes(line.audio) == b"\x10" * 2 * CLAUSE_MS * 8
    assert line.events("clear") == []
    assert [text for _, text in await turns(call)] == [
        "Hello, this is Acme.",
        "When are you open on Sundays?",
        "Never on Sundays.",
    ]
    await call.arefresh_from_db()
    with wave.open(str(call.recording_path)) as recording:
        stereo = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2")
    assert set(stereo[1::2].tolist()) == {0, int(LINEAR[LOUD])}  # what is held is another tone
    assert REGISTRY.get_sample_value(vain) == before + len("We open at nine.")


async def test_an_interruption_clears_the_line_and_keeps_what_was_heard(providers):
    call, token, line = await make()
    line.gives_marks_back = False

    await line.open(token)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await line.until(lambda line: bool(line.events("mark")))
    await providers.transcribe("wait, stop", final=False)
    await line.until(lambda line: bool(line.events("clear")))
    await line.mark("1")  # the carrier gives it back, though nobody heard it
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    assert len(line.events("clear")) == 1
    assert ("agent", "Hello, this is Acme.") not in await turns(call)
    assert "interrupted" in await event_kinds(call)


async def test_a_hang_up_by_command_reaches_the_call(providers):
    call, token, line = await make()
    await line.open(token)
    await line.until(lambda line: bool(line.events("mark")))

    # The listener joins its group a moment after the call began.
    while line.closed_with is None:
        await in_thread(send_command, call, "hang_up", reason="canceled")
        await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0.1))])
    assert await line.closes() == 1000
    await call.arefresh_from_db()
    assert call.intended_reason == "canceled"


async def test_calls_after_a_silence_leave_no_buffer_each_in_the_channel_layer(providers):
    layer: Any = get_channel_layer()
    before = len(layer.receive_buffer)

    for _ in range(3):
        call, token, line = await make()
        await line.open(token)
        await line.until(lambda line: bool(line.events("mark")))
        await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
        await line.closes()

    assert len(layer.receive_buffer) <= before + 1


async def test_the_flight_log_of_a_call_replays_without_a_difference(providers):
    call, token, line = await make()
    providers.replies = ["We open at nine. Until five.", "Goodbye now! [END_CALL]"]

    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await line.speak(400, LOUD)
    await line.speak(400)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("When are you open?")
    await line.until(lambda line: len(line.events("mark")) == 3)
    await providers.transcribe("Thank you, that is all.")
    await line.closes()

    [flight] = await sync_to_async(lambda: read(unpacked(flight_pieces(call))))()
    kinds = [type(step.event).__name__ for step in flight.steps]
    assert (kinds[0], kinds.count("TurnEnded")) == ("Opened", 2)
    assert [one["action"] for step in flight.steps for one in step.actions][-1:] == ["HangUp"]
    assert replay(flight) == []


async def test_audio_never_waits_for_channels_thread(providers, monkeypatch):
    async def refuse() -> None:
        raise AssertionError("a frame went through Channels' dispatch")

    monkeypatch.setattr("channels.consumer.aclose_old_connections", refuse)
    call, token, line = await make()

    await line.open(token)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await line.speak(1_000)
    await line.until(lambda line: bool(line.events("mark")))
    await providers.hears(8_000)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    assert await line.closes() == 1000
    assert providers.heard == 8_000


async def test_a_finished_call_leaves_no_task(providers):
    before = asyncio.all_tasks()
    call, token, line = await make()
    await line.open(token)
    await line.until(lambda line: bool(line.events("mark")))
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    left = {task.get_name() for task in asyncio.all_tasks() - before if not task.done()}
    assert {name for name in left if "media" in name or "hang up" in name} == set()


OF_A_CALL = (
    *(Session, Conversation, Speaking, Journal, Recorder, FlightRecorder),
    *(Transcriber, AsyncV2SocketClient, Voice, Speaker, Writer, AsyncV1SocketClient),
)


@pytest.mark.parametrize("ends", ["by the agent", "in mid-answer"])
async def test_a_finished_call_is_freed_without_the_collector(providers, ends):
    gc.collect()
    gc.disable()
    try:
        call, token, line = await make()
        line.gives_marks_back = False
        await line.open(token)
        await line.until(lambda line: bool(line.events("mark")))
        await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
        await line.speak(400, LOUD)
        await providers.transcribe("wait, stop", final=False)
        await line.until(lambda line: bool(line.events("clear")))
        line.gives_marks_back = ends == "by the agent"
        providers.replies = ["We open at nine. Until five.", "Goodbye now! [END_CALL]"]
        await providers.transcribe("Wait, stop. When are you open?")
        await line.until(lambda line: len(line.events("mark")) > 1)
        # By ``type``: a dead proxy that another test left raises when it is asked for its class.
        parts = [weakref.ref(one) for one in gc.get_objects() if issubclass(type(one), OF_A_CALL)]
        kinds = {type(part()) for part in parts}
        if ends == "by the agent":
            await line.until(lambda line: len(line.events("mark")) == 3)
            await providers.transcribe("Thank you, that is all.")
        else:
            await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
        await line.closes()
        left = [type(part()) for part in parts if part() is not None]
    finally:
        gc.enable()

    assert kinds == set(OF_A_CALL)
    assert left == []
