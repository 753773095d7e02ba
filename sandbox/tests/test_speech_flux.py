"""The listening service that decides where a turn ends, driven with the real Deepgram SDK."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v2.types import ListenV2Configure, ListenV2ConfigureThresholds
from websockets.exceptions import ConnectionClosedError

from sandbox import faults
from sandbox.speech import flux, live, synthesiser
from sandbox.speech.wer import wer

SECOND = b"\xff" * 8000
TWILIO: dict[str, Any] = {"model": "flux-general-en", "encoding": "mulaw", "sample_rate": 8000}
EAGER: dict[str, Any] = {**TWILIO, "eager_eot_threshold": 0.4, "eot_threshold": 0.7}


@asynccontextmanager
async def service() -> AsyncIterator[BaseTestServer]:
    app = web.Application()
    app.add_routes(flux.routes())
    async with TestServer(app) as server:
        yield server


def client(server: BaseTestServer, key: str = "any-key") -> AsyncDeepgramClient:
    http = f"http://127.0.0.1:{server.port}"
    ws = f"ws://127.0.0.1:{server.port}"
    env = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    return AsyncDeepgramClient(api_key=key, environment=env)


async def say(text: str) -> bytes:
    """Speech without the pause behind it."""
    speech = await synthesiser.synthesise(text, voice="aura-2-thalia-en")
    return speech[: len(speech) - 1700]


async def turns(server: BaseTestServer, audio: bytes, **options: Any) -> list[Any]:
    """Feed ``audio`` in frames of 80 ms and return every message until the server closes."""
    async with client(server).listen.v2.connect(**{**TWILIO, **options}) as stt:
        for at in range(0, len(audio), 640):
            await stt.send_media(audio[at : at + 640])
        await stt.send_close_stream()
        return [message async for message in stt]


def states(messages: list[Any]) -> list[str]:
    """What happened to turns, in order; updates left out."""
    return [m.event for m in messages if m.type == "TurnInfo" and m.event != "Update"]


def ends(messages: list[Any]) -> list[Any]:
    return [m for m in messages if m.type == "TurnInfo" and m.event == "EndOfTurn"]


async def test_a_sentence_is_one_turn_that_ends_soon_after_the_voice() -> None:
    said = "I would like to speak to a real person, please."
    speech = await say(said)

    async with service() as server:
        messages = await turns(server, SECOND + speech + SECOND)

    (end,) = ends(messages)
    spoken_until = 1.0 + len(speech) / 8000
    assert states(messages) == ["StartOfTurn", "EndOfTurn"]
    assert wer(said, end.transcript) == 0.0
    assert end.trigger == "model"
    assert end.end_of_turn_confidence >= 0.7
    assert (end.turn_index, end.audio_window_start) == (0, 0.0)
    assert spoken_until < end.audio_window_end < spoken_until + 0.5
    assert " ".join(word.word for word in end.words) == end.transcript
    assert messages[0].type == "Connected"
    assert [m.sequence_id for m in messages] == list(range(len(messages)))
    assert messages[-1].turn_index == 1


async def test_without_speech_there_are_updates_every_quarter_of_a_second_and_no_turn() -> None:
    async with service() as server:
        messages = await turns(server, SECOND * 2)

    assert states(messages) == []
    assert len(messages) == 1 + 7  # Connected; the eighth is not due before the close
    assert {m.transcript for m in messages[1:]} == {""}
    assert messages[1].trigger is None


async def test_the_eager_end_comes_first_and_says_the_same() -> None:
    speech = await say("Yes, tomorrow at nine is fine.")

    async with service() as server:
        messages = await turns(server, speech + SECOND, **EAGER)

    eager, end = [m for m in messages if getattr(m, "event", "") in ("EagerEndOfTurn", "EndOfTurn")]
    assert states(messages) == ["StartOfTurn", "EagerEndOfTurn", "EndOfTurn"]
    assert eager.transcript == end.transcript
    assert 0.4 <= eager.end_of_turn_confidence < 0.7 <= end.end_of_turn_confidence
    assert eager.audio_window_end < end.audio_window_end


async def test_who_goes_on_after_an_eager_end_resumes_the_turn() -> None:
    speech = await say("Tomorrow is fine.") + SECOND[:1700] + await say("Call me at nine.")

    async with service() as server:
        messages = await turns(server, speech + SECOND, **EAGER)

    (end,) = ends(messages)
    assert states(messages) == [
        *("StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EagerEndOfTurn", "EndOfTurn")
    ]
    assert wer("Tomorrow is fine call me at nine", end.transcript) == 0.0


async def test_a_sentence_that_sounds_unfinished_is_given_more_time() -> None:
    finished, unfinished = await say("I am looking for a dentist."), await say("I want to see the")

    async with service() as server:
        quick = ends(await turns(server, finished + SECOND * 2))[0].audio_window_end
        slow = ends(await turns(server, unfinished + SECOND * 2))[0].audio_window_end

    assert quick - len(finished) / 8000 < 0.5
    assert slow - len(unfinished) / 8000 > 0.9


async def test_two_sentences_with_a_pause_are_two_turns() -> None:
    speech = await say("Good morning.") + SECOND + await say("Who is calling, please?") + SECOND

    async with service() as server:
        messages = await turns(server, speech)

    first, second = ends(messages)
    assert wer("Good morning", first.transcript) == 0.0
    assert wer("Who is calling please", second.transcript) == 0.0
    assert (first.turn_index, second.turn_index) == (0, 1)
    assert second.audio_window_start == first.audio_window_end


async def test_a_turn_that_the_model_may_not_end_is_ended_by_the_time_out() -> None:
    speech = await say("Good morning.")

    async with service() as server:
        messages = await turns(server, speech + SECOND * 2, eot_threshold=1.0, eot_timeout_ms=1000)

    (end,) = ends(messages)
    assert end.trigger == "timeout"
    assert end.audio_window_end == pytest.approx(len(speech) / 8000 + 1.0, abs=0.3)


async def test_a_turn_can_be_ended_by_force_and_without_a_turn_that_is_ignored() -> None:
    speech = await say("My number is two zero two")
    options = {**TWILIO, "eot_threshold": 1.0}

    async with service() as server, client(server).listen.v2.connect(**options) as stt:
        await stt.send_force_end_turn()
        await stt.send_media(speech + SECOND)
        async for message in stt:
            if getattr(message, "event", "") == "StartOfTurn":
                await stt.send_force_end_turn()
            elif getattr(message, "event", "") == "EndOfTurn":
                break

    assert (message.trigger, message.turn_index) == ("manual", 0)


async def test_thresholds_and_keyterms_can_be_changed_on_a_live_stream() -> None:
    async with service() as server, client(server).listen.v2.connect(**TWILIO) as stt:
        await stt.send_configure(
            ListenV2Configure(
                thresholds=ListenV2ConfigureThresholds(eot_threshold=0.8), keyterms=["Acme"]
            )
        )
        await stt.send_configure({"type": "Configure", "thresholds": {"eot_timeout_ms": 100}})
        messages = aiter(stt)
        _, accepted, refused = [await anext(messages) for _ in range(3)]

    assert accepted.type == "ConfigureSuccess"
    assert accepted.thresholds.eot_threshold == 0.8
    assert accepted.thresholds.eot_timeout_ms == 5000
    assert accepted.keyterms == ["Acme"]
    assert refused.type == "ConfigureFailure"
    assert refused.description == "eot_timeout_ms must be between 500 and 60000, not 100."


async def test_a_message_of_the_other_listening_service_is_a_fatal_error() -> None:
    async with (
        service() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(
            server.make_url("/v2/listen?model=flux-general-en&encoding=mulaw&sample_rate=8000"),
            headers={"Authorization": "Token k"},
        ) as ws,
    ):
        await ws.send_json({"type": "KeepAlive"})
        messages = [await ws.receive(), await ws.receive(), await ws.receive()]

    connected, error = (json.loads(message.data) for message in messages[:2])
    assert (connected["type"], connected["sequence_id"]) == ("Connected", 0)
    assert (error["type"], error["code"]) == ("Error", "UNPARSABLE_CLIENT_MESSAGE")
    assert messages[2].data == 1011


async def test_a_client_that_sends_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "IDLE_S", 0.05)

    async with service() as server, client(server).listen.v2.connect(**TWILIO) as stt:
        messages = aiter(stt)
        connected, error = await anext(messages), await anext(messages)
        with pytest.raises(ConnectionClosedError, match="NET-0001"):
            await anext(messages)

    assert connected.type == "Connected"
    assert (error.type, error.code) == ("Error", "NET-0001")


@pytest.mark.parametrize(
    "query",
    [
        {"model": "nova-3"},
        {"encoding": "pcm"},
        {"sample_rate": "11025"},
        {"language": "en"},
        {"interim_results": "true"},
        {"smart_format": "true"},
        {"endpointing": "300"},
        {"eot_threshold": "0.4"},
        {"eot_threshold": "1.1"},
        {"eager_eot_threshold": "0.2"},
        {"eager_eot_threshold": "0.8"},  # above eot_threshold, which is 0.7
        {"eot_timeout_ms": "100"},
        {"language_hint": "es"},  # only flux-general-multi takes it
        {"model": "flux-general-multi", "language_hint": "ar"},
        {"keyterm": "x" * 4000},
        {"redact": "pii"},
        {"numerals": "yes"},
    ],
)
async def test_a_query_deepgram_would_refuse_is_refused_at_the_upgrade(
    query: dict[str, str],
) -> None:
    asked = {**{k: str(v) for k, v in TWILIO.items()}, **query}
    async with service() as server, aiohttp.ClientSession() as http:
        answer = await http.get(
            server.make_url("/v2/listen"), params=asked, headers={"Authorization": "Token k"}
        )
        body = json.loads(await answer.text())

    assert (answer.status, body["err_code"]) == (400, "Bad Request")


async def test_the_multilingual_model_takes_hints_with_regions() -> None:
    options = {"model": "flux-general-multi", "language_hint": ["es-419", "en"]}

    async with service() as server:
        messages = await turns(server, SECOND, **options)

    assert messages[1].languages_hinted == ["es-419", "en"]


async def test_injected_faults_refuse_close_and_silence() -> None:
    faults.put({"transcriber": {"kind": "refuse"}})

    async with service() as server:
        with pytest.raises(ApiError) as too_many:
            async with client(server).listen.v2.connect(**TWILIO):
                pass
        faults.put({"transcriber": {"kind": "close", "after_s": 0.05}})
        async with client(server).listen.v2.connect(**TWILIO) as stt:
            with pytest.raises(ConnectionClosedError, match="injected fault"):
                _ = [message async for message in stt]
        faults.put({"transcriber": {"kind": "silent"}})
        silent = await turns(server, await say("Good morning.") + SECOND)

    assert too_many.value.status_code == 429
    assert silent == []
