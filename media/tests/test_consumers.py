"""A media socket from its handshake to its last write, with the real SDKs on loopback."""

import asyncio
import gc
import wave
import weakref
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from deepgram.listen.v2.socket_client import AsyncV2SocketClient
from deepgram.speak.v1.socket_client import AsyncV1SocketClient
from django.db import connections
from prometheus_client import REGISTRY

from accounts.models import Suppression
from agents.factories import CalendarFactory, CallerFactory, CustomFunctionFactory, NoteFactory
from agents.tests.customer_server import running_customer_server
from calls import tickets, transfers
from calls.commands import send_command
from calls.factories import CallFactory
from calls.flights import flight_pieces
from calls.models import Call
from conftest import PATIENCE_S
from media import consumers
from media.audio import LINEAR
from media.conversation import Conversation
from media.flight import FlightRecorder
from media.journal import Journal, in_thread
from media.recorder import Recorder
from media.replay import read, replay, unpacked
from media.session import Session
from media.speaker import Speaker
from media.speaking import Speaking
from media.tests.line import Line
from media.tests.providers_side import CLAUSE_MS, Providers, be_patient
from media.transcriber import Transcriber
from media.voice import Voice
from media.writer import Writer
from sms.models import Message

pytestmark = pytest.mark.django_db(transaction=True)
LOUD = 0x10


@pytest.fixture
async def providers(settings, tmp_path, monkeypatch) -> AsyncIterator[Providers]:
    be_patient(monkeypatch)
    side = Providers()
    await side.server.start_server()
    settings.DEEPGRAM_API_URL = settings.ANTHROPIC_API_URL = settings.TWILIO_API_URL = side.url
    settings.DEEPGRAM_API_KEY = settings.ANTHROPIC_API_KEY = "key"
    settings.RECORDINGS_DIR = tmp_path
    yield side
    await side.server.close()
    await sync_to_async(connections.close_all)()


def _make(**fields: object) -> tuple[Call, str, Line]:
    call: Any = CallFactory(inbound=True, agent__welcome_message="Hello, this is Acme.", **fields)
    carrier = call.number.carrier_account
    line = Line(account_sid=carrier.sid, auth_token=carrier.auth_token, call_sid=call.carrier_sid)
    return call, tickets.issue(call), line


async def make(**fields: object) -> tuple[Call, str, Line]:
    return await sync_to_async(_make)(**fields)


async def turns(call: Call) -> list[tuple[str, str]]:
    return [
        (turn.role, turn.text) for turn in await sync_to_async(lambda: list(call.turns.all()))()
    ]


async def event_kinds(call: Call) -> list[str]:
    return await sync_to_async(lambda: [event.kind for event in call.events.all()])()


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


async def greeted(providers: Providers) -> tuple[Call, Line]:
    """A call that Flux listens to, whose greeting was heard."""
    call, token, line = await make()
    await line.open(token)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await line.until(lambda line: bool(line.events("mark")))
    providers.spoke.clear()
    return call, line


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


async def test_a_pass_opens_one_socket_only(providers):
    call, token, line = await make()
    await line.open(token)
    await line.until(lambda line: bool(line.events("mark")))
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    carrier = call.number.carrier_account
    again = Line(account_sid=carrier.sid, auth_token=carrier.auth_token, call_sid=call.carrier_sid)
    await again.open(token)
    assert await again.closes() == consumers.REFUSED
    assert again.messages == []


@pytest.mark.parametrize(
    ("token", "code"),
    [(None, consumers.NO_TICKET), ("invented", consumers.REFUSED)],
)
async def test_a_socket_without_a_good_pass_is_refused_and_nothing_is_said(providers, token, code):
    call, _, line = await make()

    await line.open(token)
    assert await line.closes() == code
    await call.arefresh_from_db()
    assert (providers.said, call.status, call.media_generation) == ([], "ringing", 0)


async def test_a_handshake_that_the_carrier_did_not_sign_is_refused(providers):
    call, token, _ = await make()
    carrier = call.number.carrier_account
    forged = Line(account_sid=carrier.sid, auth_token="0" * 32, call_sid=call.carrier_sid)

    await forged.open(token)
    assert await forged.closes() == consumers.REFUSED
    await call.arefresh_from_db()
    assert (providers.said, call.status) == ([], "ringing")


async def test_a_pass_for_another_call_is_refused(providers):
    _, token, line = await make()
    line.call_sid = "CA" + "0" * 32

    await line.open(token)
    assert await line.closes() == consumers.REFUSED
    assert providers.said == []


async def test_a_socket_that_never_starts_is_closed(providers, monkeypatch):
    monkeypatch.setattr(consumers, "START_TIMEOUT_S", 0.05)
    _, _, line = await make()

    await line.socket.connect(timeout=PATIENCE_S)
    output = await line.socket.receive_output(timeout=PATIENCE_S)
    assert output == {"type": "websocket.close", "code": consumers.NO_START}


async def test_what_is_no_message_before_the_start_closes_the_socket(providers):
    _, _, line = await make()

    await line.socket.connect(timeout=PATIENCE_S)
    await line.socket.send_to(text_data="hello there")
    output = await line.socket.receive_output(timeout=PATIENCE_S)
    assert output == {"type": "websocket.close", "code": consumers.BAD_MESSAGE}


async def test_bad_frames_are_noted_and_then_end_the_socket(providers):
    call, token, line = await make()
    await line.open(token)
    await line.until(lambda line: bool(line.events("mark")))

    for _ in range(consumers.MOST_BAD_FRAMES):
        await line.socket.send_to(text_data='{"event":"media","media":{"payload":"?"}}')
    assert await line.closes() == consumers.BAD_MESSAGE
    assert (await event_kinds(call)).count("bad_frame") == 1
    assert await turns(call) == [("agent", "Hello, this is Acme.")]


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


async def test_a_customers_function_is_called_in_mid_call_and_its_answer_spoken(
    providers, settings
):
    settings.OUTBOUND_ALLOW_PRIVATE = True
    call, token, line = await make()
    with running_customer_server() as customer:
        await sync_to_async(CustomFunctionFactory)(
            number=call.number, url=customer.url, speak_during="One moment, I am looking."
        )
        customer.answer = (200, {"result": "Order 17 comes on Friday."})
        providers.replies = [{"check_order": {"order": "17"}}, "It comes on Friday."]

        await line.open(token)
        await line.until(lambda line: len(line.events("mark")) == 1)
        await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
        await providers.transcribe("Where is order seventeen?")
        await line.until(lambda line: len(line.events("mark")) == 2)
        await line.close()

    [asked] = customer.got
    assert (asked.json["name"], asked.json["args"]) == ("check_order", {"order": "17"})
    assert asked.json["variables"]["call_id"] == call.call_id
    assert providers.said[1:] == ["It comes on Friday."]  # it took no time to look
    first, second = providers.prompts
    assert [tool["name"] for tool in first["tools"]] == ["check_order", "opt_out"]
    assert second["messages"][-1]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "content": "Order 17 comes on Friday.",
        }
    ]
    assert await turns(call) == [
        ("agent", "Hello, this is Acme."),
        ("caller", "Where is order seventeen?"),
        ("agent", "It comes on Friday."),
    ]
    assert "tool" in await event_kinds(call)


async def test_private_notes_reach_the_model_only_after_the_caller_said_who_they_are(providers):
    call, token, line = await make()
    await sync_to_async(CallerFactory)(number=call.number, caller_number=call.from_number)
    await sync_to_async(NoteFactory)(
        account=call.account, person=call.from_number, text="Is in therapy.", is_private=True
    )
    providers.replies = [
        {"confirm_identity": {"answer": "Sarah Johnson"}},  # made up: nobody said it
        "Who is speaking, please?",
        {"confirm_identity": {"answer": "Sarah Johnson"}},
        "Thank you, Sarah.",
    ]

    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("When is my next session?")
    await line.until(lambda line: len(line.events("mark")) == 2)
    await providers.transcribe("It is Sarah Johnson.")
    await line.until(lambda line: len(line.events("mark")) == 3)
    await line.close()

    answers = [prompt["messages"][-1]["content"] for prompt in providers.prompts]
    assert "therapy" not in str(providers.prompts[:3])
    assert answers[1][0]["content"] == "Not confirmed. Do not use or mention anything private."
    assert "Is in therapy." in answers[3][0]["content"]


async def test_a_person_who_refuses_is_entered_by_the_models_tool_too(providers):
    call, token, line = await make()
    providers.replies = [{"opt_out": {"scope": "both"}}, "You will not be called again. [END_CALL]"]

    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("I want none of this any more, ever.")
    assert await line.closes() == 1000

    entry = await sync_to_async(lambda: Suppression.objects.get())()
    assert (entry.phone_number, entry.scope, entry.source) == (call.from_number, "all", "spoken")
    assert entry.evidence["call_id"] == call.call_id
    assert entry.evidence["text"] == "I want none of this any more, ever."


async def test_a_booking_is_read_back_confirmed_written_once_and_on_the_calls_record(
    providers, settings
):
    call, token, line = await make(number__require_booking_confirmation=True)
    await sync_to_async(CalendarFactory)(number=call.number)
    book = {"start": "2026-05-29T10:00", "name": "Sam", "email": "sam@example.com"}
    wish = {"book_appointment": book}
    providers.replies = [wish, wish, "Your appointment is booked."]
    with running_customer_server() as calcom:
        settings.CALCOM_API_URL = calcom.url.removesuffix("/hook")
        calcom.answer = (201, {"data": {"uid": "b1"}})

        await line.open(token)
        await line.until(lambda line: len(line.events("mark")) == 1)
        await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
        await providers.transcribe("Friday at ten for Sam, sam@example.com.")
        await line.until(lambda line: len(line.events("mark")) == 4)
        assert calcom.got == []
        await providers.transcribe("Yes, please.")
        await line.until(lambda line: len(line.events("mark")) == 5)
        await line.close()

    assert " ".join(providers.said[1:4]) == (
        "Just to confirm: shall I book an appointment for Sam, using sam@example.com, on Friday 29 "
        "May at 10:00? Please say yes to confirm."
    )
    assert [asked.path for asked in calcom.got] == ["/v2/bookings"]
    await sync_to_async(call.refresh_from_db)()
    assert call.bookings == [
        {
            "action": "created",
            "booking_uid": "b1",
            "start": "2026-05-29T09:00:00.000Z",
            "attendee_name": "Sam",
            "attendee_email": "sam@example.com",
            "service": "30min",
            "timezone": "Europe/London",
        }
    ]
    assert {"held", "tool", "booking"} <= set(await event_kinds(call))


async def test_a_text_is_sent_in_mid_call_where_the_agent_may(providers):
    call, token, line = await make(agent__incall_sms_enabled=True)
    wish = {"send_sms": {"text": "12 High Street"}}
    providers.replies = [wish, wish, "I have texted it to you."]

    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("Text me your address, please.")
    await line.until(lambda line: len(line.events("mark")) == 2)
    await line.close()

    [text] = await sync_to_async(lambda: list(Message.objects.select_related("thread")))()
    assert (text.body, text.call_id, text.origin) == ("12 High Street", call.call_id, "in_call")
    assert text.thread.their_number == call.from_number
    assert "already" in providers.prompts[-1]["messages"][-1]["content"][0]["content"]


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


DESK = "+442087601234"


async def asks_for_a_person(providers: Providers, line: Line, token: str) -> None:
    providers.replies = [
        f"I will put you through. [TRANSFER:{DESK}]",
        "Nobody is free, I am sorry.",
    ]
    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("Can I speak to a person?")


async def test_a_call_is_let_go_of_when_the_line_was_heard_and_comes_back_knowing_why(providers):
    call, token, line = await make(agent__transfer_number=DESK)
    line.gives_marks_back = False
    await asks_for_a_person(providers, line, token)
    await line.mark(line.events("mark")[0]["mark"]["name"])
    await line.until(lambda line: len(line.events("mark")) == 2)
    assert providers.ended == []

    await line.mark(line.events("mark")[1]["mark"]["name"])
    assert await line.closes() == 1000

    [update] = providers.ended
    assert set(update) == {"Url", "Method", "TimeLimit"}
    transfer = await sync_to_async(call.transfers.get)()
    assert (transfer.to_number, transfer.status, transfer.after_turn) == (DESK, "asked", 3)
    await call.arefresh_from_db()
    assert call.intended_reason == ""
    assert (await turns(call))[-1] == ("agent", "I will put you through.")

    await sync_to_async(transfers.failed)(transfer.pk, "busy")
    carrier = await sync_to_async(lambda: call.number.carrier_account)()
    again = Line(account_sid=carrier.sid, auth_token=carrier.auth_token, call_sid=call.carrier_sid)
    await again.open(await sync_to_async(tickets.issue)(call))
    await again.until(lambda line: len(line.events("mark")) == 1)
    await again.close()

    note = providers.prompts[-1]["messages"][-1]["content"]
    assert f"The transfer to {DESK} did not work: the line was busy." in str(note)
    assert providers.said[-1] == "Nobody is free, I am sorry."


async def test_a_call_that_cannot_be_handed_over_is_the_carriers_to_ask_about(
    providers, monkeypatch
):
    def broken(*_: object, **__: object) -> bool:
        raise OSError("the database is away")

    monkeypatch.setattr("media.session.hand_over", broken)
    call, token, line = await make(agent__transfer_number=DESK)

    await asks_for_a_person(providers, line, token)

    assert await line.closes() == 1000
    assert providers.ended == []
    assert not await sync_to_async(call.transfers.exists)()
