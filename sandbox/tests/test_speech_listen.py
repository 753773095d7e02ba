"""The listening half of the speech service, driven with the real Deepgram SDK."""

import asyncio
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
from websockets.exceptions import ConnectionClosedError

from sandbox import faults
from sandbox.speech import listen, live, speak, synthesiser
from sandbox.speech.ear import Ear, Heard
from sandbox.speech.wer import wer

SECOND = b"\xff" * 8000


@asynccontextmanager
async def service() -> AsyncIterator[BaseTestServer]:
    app = web.Application()
    app.add_routes([*listen.routes(), *speak.routes()])
    async with TestServer(app) as server:
        yield server


def client(server: BaseTestServer, key: str = "any-key") -> AsyncDeepgramClient:
    http = f"http://127.0.0.1:{server.port}"
    ws = f"ws://127.0.0.1:{server.port}"
    env = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    return AsyncDeepgramClient(api_key=key, environment=env)


TWILIO = {
    "model": "nova-3",
    "encoding": "mulaw",
    "sample_rate": 8000,
    "channels": 1,
    "interim_results": True,
    "endpointing": 300,
    "utterance_end_ms": 1000,
    "vad_events": True,
    "smart_format": True,
}


async def transcript(server: BaseTestServer, audio: bytes, **options: Any) -> list[Any]:
    """Feed ``audio`` in 20 ms frames and return every message until the server closes."""
    async with client(server).listen.v1.connect(**{**TWILIO, **options}) as stt:
        for at in range(0, len(audio), 160):
            await stt.send_media(audio[at : at + 160])
        await stt.send_close_stream()
        return [message async for message in stt]


def kinds(messages: list[Any]) -> list[str]:
    return [m.type for m in messages]


def finals(messages: list[Any]) -> list[Any]:
    return [m for m in messages if m.type == "Results" and m.is_final]


def text(result: Any) -> str:
    return str(result.channel.alternatives[0].transcript)


async def test_spoken_sentence_comes_back_as_text_with_its_place_in_time() -> None:
    said = "I would like to speak to a real person, please."
    speech = await synthesiser.synthesise(said, voice="aura-2-thalia-en")

    async with service() as server:
        messages = await transcript(server, SECOND + speech + SECOND * 2)

    (final,) = finals(messages)
    words = final.channel.alternatives[0].words
    spoken_s = len(speech) / 8000
    assert wer(said, text(final)) == 0.0
    assert final.speech_final
    assert not final.from_finalize
    assert words[0].word == "i"
    assert words[0].punctuated_word == "I"
    assert 0.9 < words[0].start < 1.4
    assert spoken_s < words[-1].end < 1.2 + spoken_s
    assert final.start == 0.0
    assert kinds(messages)[0] == "SpeechStarted"
    assert kinds(messages)[-2:] == ["UtteranceEnd", "Metadata"]
    assert messages[-2].last_word_end == words[-1].end
    assert messages[-1].channels == 1
    assert messages[-1].duration == pytest.approx(3 + spoken_s, abs=0.04)


async def test_silence_noise_and_tones_are_never_text() -> None:
    import numpy as np

    from sandbox.speech.audio import encode

    rng = np.random.default_rng(7)
    hiss = encode((rng.standard_normal(8000 * 4) * 0.01).astype("float32"))
    t = np.arange(8000) / 8000
    beep = encode((np.sin(2 * np.pi * 1000 * t) * 0.4).astype("float32"))
    key = encode(((np.sin(2 * np.pi * 770 * t) + np.sin(2 * np.pi * 1336 * t)) * 0.2).astype("f4"))

    async with service() as server:
        messages = await transcript(server, SECOND * 3 + hiss + beep + SECOND + key + SECOND * 2)

    assert [text(m) for m in messages if m.type == "Results" and text(m)] == []


async def test_two_utterances_are_two_finals_that_tile_the_stream() -> None:
    one = await synthesiser.synthesise("Good morning.", voice="aura-2-apollo-en")
    two = await synthesiser.synthesise("Who is calling, please?", voice="aura-2-apollo-en")

    async with service() as server:
        messages = await transcript(server, one + SECOND + two + SECOND)

    first, second = finals(messages)
    assert (wer("Good morning", text(first)), wer("Who is calling please", text(second))) == (0, 0)
    assert second.start == pytest.approx(first.start + first.duration, abs=0.002)
    assert kinds(messages).count("SpeechStarted") == 2


async def test_without_interims_and_formatting_there_are_only_plain_finals() -> None:
    speech = await synthesiser.synthesise("Yes, of course.", voice="aura-2-thalia-en")

    async with service() as server:
        messages = await transcript(
            server,
            speech + SECOND,
            interim_results=False,
            utterance_end_ms=None,
            vad_events=False,
            smart_format=False,
        )

    assert kinds(messages) == ["Results", "Metadata"]
    assert text(messages[0]) == "yes of course"
    assert messages[0].channel.alternatives[0].words[0].punctuated_word is None


async def test_finalize_makes_the_words_so_far_final_at_once() -> None:
    speech = await synthesiser.synthesise("Tell me more about it", voice="aura-2-thalia-en")
    spoken = speech[: len(speech) - 1700]  # without the pause that would end it

    async with service() as server, client(server).listen.v1.connect(**TWILIO) as stt:
        await stt.send_media(spoken)
        await stt.send_finalize()
        async for message in stt:
            if message.type == "Results" and message.is_final:
                break

    assert message.from_finalize
    assert wer("tell me more about it", text(message)) == 0.0


async def test_finalize_in_silence_is_answered_with_an_empty_final() -> None:
    async with service() as server, client(server).listen.v1.connect(**TWILIO) as stt:
        await stt.send_media(SECOND)
        await stt.send_finalize()
        message = await anext(aiter(stt))

    assert (message.is_final, message.from_finalize, text(message)) == (True, True, "")


async def test_keyterms_can_be_changed_on_a_live_stream() -> None:
    async with (
        service() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(
            server.make_url("/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000"),
            headers={"Authorization": "Token k"},
        ) as ws,
    ):
        await ws.send_json({"type": "Configure", "keyterms": ["Acme"]})
        accepted = await ws.receive_json()
        await ws.send_json({"type": "Configure", "keyterms": ["x" * 4000]})
        refused = await ws.receive_json()

    assert (accepted["type"], accepted["keyterms"]) == ("ConfigureSuccess", ["Acme"])
    assert refused["code"] == "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"


async def test_a_control_message_that_is_not_json_is_named_and_the_stream_goes_on() -> None:
    url = "/v1/listen?model=nova-2&encoding=linear16&sample_rate=16000"
    async with (
        service() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(server.make_url(url), headers={"Authorization": "Bearer k"}) as ws,
    ):
        await ws.send_str("not json")
        error = await ws.receive_json()
        await ws.send_json({"type": "CloseStream"})
        metadata = await ws.receive_json()
        end = await ws.receive()

    assert (error["type"], error["variant"]) == ("Error", "SchemaError")
    assert error["message"] == "not json"
    assert metadata["type"] == "Metadata"
    assert end.data == 1000


async def test_a_client_that_sends_nothing_is_closed_with_net_0001(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "IDLE_S", 0.05)

    async with service() as server, client(server).listen.v1.connect(**TWILIO) as stt:
        with pytest.raises(ConnectionClosedError, match="NET-0001") as closed:
            await anext(aiter(stt))

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"model": "nova-9"}, 400),
        ({"encoding": "pcm"}, 400),
        ({"encoding": "opus"}, 400),
        ({"sample_rate": "11025"}, 400),
        ({"endpointing": "soon"}, 400),
        ({"utterance_end_ms": "500"}, 400),
        ({"interim_results": "false"}, 400),  # utterance_end_ms needs them
        ({"smart_format": "yes"}, 400),
        ({"language": "english"}, 400),
        ({"model": "nova-2", "keyterm": "Acme"}, 400),
        ({"keywords": "Acme:2"}, 400),
        ({"smartformat": "true"}, 400),
    ],
)
async def test_a_query_deepgram_would_refuse_is_refused_at_the_upgrade(
    query: dict[str, str], status: int
) -> None:
    asked = {**{k: str(v).lower() for k, v in TWILIO.items()}, **query}
    async with service() as server, aiohttp.ClientSession() as http:
        answer = await http.get(
            server.make_url("/v1/listen"), params=asked, headers={"Authorization": "Token k"}
        )
        body = json.loads(await answer.text())

    assert answer.status == status
    assert body["err_code"] == "Bad Request"
    assert answer.headers["dg-request-id"] == body["request_id"]


async def test_a_wrong_key_and_an_injected_limit_refuse_the_handshake() -> None:
    faults.put({"transcriber": {"kind": "refuse", "only": "nova-3", "count": 1}})

    async with service() as server:
        with pytest.raises(ApiError) as wrong_key:
            async with client(server, "invalid").listen.v1.connect(**TWILIO):
                pass
        with pytest.raises(ApiError) as too_many:
            async with client(server).listen.v1.connect(**TWILIO):
                pass

        messages = await transcript(server, SECOND)

    assert (wrong_key.value.status_code, too_many.value.status_code) == (401, 429)
    assert kinds(messages) == ["Metadata"]


async def test_an_injected_loss_comes_in_the_middle_of_speech_and_lasts_as_long_as_asked() -> None:
    speech = await synthesiser.synthesise("When are you open, please?", voice="aura-2-thalia-en")
    faults.put({"transcriber": {"kind": "gone", "after_speech_s": 0.3, "count": 1}})
    cut_at = len(speech) // 2

    async with service() as server:
        async with client(server).listen.v1.connect(**TWILIO) as stt:
            await stt.send_media(SECOND)
            await asyncio.sleep(0.3)  # silence is no reason
            await stt.send_media(speech[:cut_at])
            with pytest.raises(ConnectionClosedError, match="injected fault"):
                _ = [message async for message in stt]
        with pytest.raises(ApiError) as away:
            async with client(server).listen.v1.connect(**TWILIO):
                pass
        faults.clear()
        messages = await transcript(server, SECOND)

    assert away.value.status_code == 503
    assert kinds(messages) == ["Metadata"]


async def test_an_injected_silence_is_one_sockets_own() -> None:
    speech = await synthesiser.synthesise("Good morning.", voice="aura-2-thalia-en")
    faults.put({"transcriber": {"kind": "silent", "count": 1}})

    async with service() as server:
        silent = await transcript(server, speech + SECOND)
        messages = await transcript(server, speech + SECOND)

    assert kinds(silent) == ["Metadata"]
    assert [text(final) for final in finals(messages)] == ["Good morning."]


async def test_three_people_at_once_each_hear_their_own_words() -> None:
    said = ["My name is Robert Miller.", "How much does it cost?", "Please do not call me again."]
    speech = [await synthesiser.synthesise(s, voice="aura-2-thalia-en") for s in said]

    async def ear(audio: bytes) -> str:
        ear = Ear()
        ear.feed(SECOND + audio + SECOND)
        ear.close()
        heard = [e.text async for e in ear if isinstance(e, Heard) and e.final]
        return " ".join(heard)

    heard = await asyncio.gather(*(ear(audio) for audio in speech))

    assert [wer(a, b) for a, b in zip(said, heard, strict=True)] == [0.0, 0.0, 0.0]


async def test_a_long_speech_is_cut_and_still_ends_once() -> None:
    sentence = "I would like to move my appointment from Monday to Tuesday, because I work late and"
    speech = await synthesiser.synthesise(
        f"{sentence} {sentence} {sentence}", voice="aura-2-luna-en"
    )

    async with service() as server:
        messages = await transcript(server, speech + SECOND * 2, endpointing=900)

    parts = finals(messages)
    assert len(speech) / 8000 > 12
    assert len(parts) > 1
    assert [p.speech_final for p in parts] == [False] * (len(parts) - 1) + [True]
    assert wer(f"{sentence} {sentence} {sentence}", " ".join(text(p) for p in parts)) < 0.15
    assert kinds(messages).count("SpeechStarted") == 1
