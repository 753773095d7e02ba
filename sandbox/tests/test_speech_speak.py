"""The speaking half of the speech service, driven with the real Deepgram SDK."""

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Text
from websockets.exceptions import ConnectionClosedError

from sandbox import faults
from sandbox.speech import speak, synthesiser
from sandbox.speech.audio import decode, encode, resample
from sandbox.speech.ear import Ear, Heard
from sandbox.speech.spelling import readable
from sandbox.speech.voices import MODELS
from sandbox.speech.wer import wer

KEY = {"Authorization": "Token any-key"}
MULAW = {"model": "aura-2-thalia-en", "encoding": "mulaw", "sample_rate": 8000}


@asynccontextmanager
async def service() -> AsyncIterator[BaseTestServer]:
    app = web.Application()
    app.add_routes(speak.routes())
    async with TestServer(app) as server:
        yield server


def client(server: BaseTestServer) -> AsyncDeepgramClient:
    http = f"http://127.0.0.1:{server.port}"
    ws = f"ws://127.0.0.1:{server.port}"
    env = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    return AsyncDeepgramClient(api_key="any-key", environment=env)


async def understood(mulaw: bytes) -> str:
    ear = Ear(interims=False)
    ear.feed(mulaw + b"\xff" * 8000)
    ear.close()
    heard = [e.text async for e in ear if isinstance(e, Heard) and e.final]
    return " ".join(heard)


def pitch(mulaw: bytes) -> float:
    """Median fundamental in Hz by autocorrelation of the loud 50 ms frames."""
    sound = decode(mulaw)
    frames = sound[: len(sound) // 400 * 400].reshape(-1, 400)
    loud = frames[(frames**2).mean(axis=1) > 0.3 * (frames**2).mean(axis=1).max()]
    found = []
    for frame in loud:
        frame = frame - frame.mean()
        ac = np.correlate(frame, frame, "full")[399:]
        found.append(8000 / (20 + int(np.argmax(ac[20:110]))))
    return float(np.median(found))


async def receive(tts: Any, until: str) -> tuple[bytes, list[Any]]:
    """Audio and messages up to and including the message type ``until``."""
    audio, messages = b"", []
    async for message in tts:
        if isinstance(message, bytes):
            audio += message
        else:
            messages.append(message)
            if message.type == until:
                break
    return audio, messages


async def test_rest_speech_through_the_sdk_is_understood() -> None:
    said = "Good morning. Your table is booked for Friday."

    async with service() as server:
        chunks = client(server).speak.v1.audio.generate(text=said, container="none", **MULAW)
        audio = b"".join([chunk async for chunk in chunks])

    assert wer(said, await understood(audio)) == 0.0
    assert 2.5 < len(audio) / 8000 < 5


async def test_without_container_none_a_wav_header_comes_first() -> None:
    async with service() as server:
        chunks = client(server).speak.v1.audio.generate(text="Hello.", **MULAW)
        audio = b"".join([chunk async for chunk in chunks])

    assert audio[:4] == b"RIFF"
    assert audio[20:22] == b"\x07\x00"  # µ-law
    assert audio[24:28] == (8000).to_bytes(4, "little")


async def test_linear16_at_24_khz_is_the_same_speech_in_better_quality() -> None:
    said = "See you on Monday afternoon."

    async with service() as server:
        chunks = client(server).speak.v1.audio.generate(
            text=said, container="none", encoding="linear16", model="aura-2-thalia-en"
        )
        audio = b"".join([chunk async for chunk in chunks])

    assert (
        wer(said, await understood(encode(resample(decode(audio, "linear16"), 24000, 8000)))) == 0
    )


async def test_live_text_is_spoken_at_sentence_ends_and_the_rest_on_flush() -> None:
    async with service() as server, client(server).speak.v1.connect(**MULAW) as tts:
        opening = await anext(aiter(tts))
        for piece in ("Thank you for cal", "ling. How may ", "I help you"):
            await tts.send_text(SpeakV1Text(text=piece))
        await tts.send_flush()
        audio, messages = await receive(tts, "Flushed")

    assert (opening.type, opening.model_name) == ("Metadata", "aura-2-thalia-en")
    assert [(m.type, m.sequence_id) for m in messages] == [("Flushed", 0)]
    assert wer("Thank you for calling. How may I help you", await understood(audio)) == 0.0


async def test_clear_drops_what_was_not_said_and_no_audio_follows_cleared() -> None:
    async with service() as server, client(server).speak.v1.connect(**MULAW) as tts:
        await tts.send_text(SpeakV1Text(text="This sentence will never be heard"))
        await tts.send_clear()
        before, messages = await receive(tts, "Cleared")
        await tts.send_text(SpeakV1Text(text="Please hold the line."))
        await tts.send_flush()
        audio, _ = await receive(tts, "Flushed")

    assert before == b""
    assert [m.type for m in messages] == ["Metadata", "Cleared"]
    assert wer("Please hold the line", await understood(audio)) == 0.0


async def test_the_twenty_first_flush_in_a_minute_is_only_warned_about() -> None:
    async with service() as server, client(server).speak.v1.connect(**MULAW) as tts:
        for _ in range(21):
            await tts.send_flush()
        _, messages = await receive(tts, "Warning")
        await tts.send_close()
        _, rest = await receive(tts, "never")

    flushed = [m.sequence_id for m in [*messages, *rest] if m.type == "Flushed"]
    assert flushed == list(range(20))


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ({"model": "aura-2-nobody-en"}, {"text": "Hi"}, 400),
        ({"encoding": "mp3"}, {"text": "Hi"}, 400),
        ({"sample_rate": "44100"}, {"text": "Hi"}, 400),
        ({"container": "ogg"}, {"text": "Hi"}, 400),
        ({"speed": "3"}, {"text": "Hi"}, 400),
        ({"voice": "thalia"}, {"text": "Hi"}, 400),
        ({}, {"text": " "}, 400),
        ({}, {"txt": "Hi"}, 400),
        ({}, {"text": "x" * 2001}, 413),
    ],
)
async def test_a_request_deepgram_would_refuse_is_refused(
    query: dict[str, str], body: dict[str, str], status: int
) -> None:
    asked = {k: str(v) for k, v in MULAW.items()} | {"container": "none"} | query

    async with service() as server, aiohttp.ClientSession() as http:
        url = server.make_url("/v1/speak")
        answer = await http.post(url, params=asked, json=body, headers=KEY)
        told = json.loads(await answer.text())

    assert answer.status == status
    assert told["err_msg"]
    assert "audio" not in answer.content_type


async def test_no_key_no_speech() -> None:
    async with service() as server, aiohttp.ClientSession() as http:
        answer = await http.post(server.make_url("/v1/speak"), json={"text": "Hi"})

    assert answer.status == 401


async def test_text_with_nothing_to_say_is_silent() -> None:
    for text in ("", "   ", "😀", "你好", "…", "—"):
        assert await synthesiser.synthesise(text, voice="aura-2-thalia-en") == b""


async def test_a_voice_is_the_same_in_every_call_and_voices_differ_in_pitch_not_in_pace() -> None:
    said = "The quick brown fox jumps over the lazy dog."
    her = await synthesiser.synthesise(said, voice="aura-2-thalia-en")
    again = b"".join([part async for part in synthesiser.stream(said, voice="aura-2-thalia-en")])
    him = await synthesiser.synthesise(said, voice="aura-2-apollo-en")
    slow = await synthesiser.synthesise(said, voice="aura-2-thalia-en", speed=0.7)

    assert again == her
    assert pitch(him) < 0.8 * pitch(her)
    assert len(him) == pytest.approx(len(her), rel=0.03)
    assert len(slow) > 1.25 * len(her)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Call +12025550123.", "Call plus one, two zero two, five five five, zero one two three."),
        ("1-800-555-0134", "one, eight zero zero, five five five, zero one three four"),
        ("At 14:30 on 2026-11-22.", "At 14:30 on 2026-11-22."),
        ("It is $1234567 or 15000.", "It is $1234567 or 15000."),
        ("Order 0091234", "Order zero zero nine one two three four"),
        ("jo.smith2@acme.co.uk", "jo dot smith two at acme dot co dot uk"),
        ("Our FAQ: https://acme.com/help.", "Our F.A.Q.: acme dot com slash help"),
        ("**Yes** – “fine” 😀", 'Yes , "fine"'),
    ],
)
async def test_numbers_addresses_and_acronyms_are_written_out(written: str, read: str) -> None:
    assert readable(written) == read


async def test_every_voice_of_the_sdk_speaks() -> None:
    from typing import get_args

    from deepgram.types.speak_v1model import SpeakV1Model

    known = {name for union in get_args(SpeakV1Model) for name in get_args(union)}
    assert known <= set(MODELS)


async def say(tts: Any, text: str) -> tuple[bytes, list[Any]]:
    await tts.send_text(SpeakV1Text(type="Speak", text=text))
    await tts.send_flush()
    return await receive(tts, "Flushed")


async def test_an_injected_break_cuts_the_clause_that_it_is_meant_for_in_its_middle() -> None:
    nine = "We open at nine in the morning."
    whole = await synthesiser.synthesise(nine, voice="aura-2-thalia-en")
    faults.put({"voice": {"kind": "break_off", "only": "nine"}})
    audio = b""

    async with service() as server, client(server).speak.v1.connect(**MULAW) as tts:
        hello, _ = await say(tts, "Hello there.")
        await tts.send_text(SpeakV1Text(type="Speak", text=nine))
        await tts.send_flush()
        with contextlib.suppress(ConnectionClosedError):
            async for message in tts:
                assert isinstance(message, bytes)
                audio += message

    assert "hello there" in (await understood(hello)).lower()
    assert len(audio) == len(whole) // 2


async def test_an_injected_loss_comes_behind_a_clause() -> None:
    faults.put({"voice": {"kind": "close", "only": ["thalia", "hello"], "count": 1}})

    async with service() as server, client(server).speak.v1.connect(**MULAW) as tts:
        audio, messages = await say(tts, "Hello there.")
        with pytest.raises(ConnectionClosedError, match="injected fault"):
            _ = [message async for message in tts]

    assert "hello there" in (await understood(audio)).lower()
    assert messages[-1].type == "Flushed"


async def test_socket_and_rest_are_refused_each_for_itself() -> None:
    async def by_rest(server: BaseTestServer) -> bytes:
        chunks = client(server).speak.v1.audio.generate(text="Hello.", container="none", **MULAW)
        return b"".join([chunk async for chunk in chunks])

    async with service() as server:
        faults.put({"voice": {"kind": "refuse"}})
        with pytest.raises(ApiError) as no_socket:
            async with client(server).speak.v1.connect(**MULAW):
                pass
        assert await by_rest(server)
        faults.put({"voice_rest": {"kind": "refuse", "status": 400}})
        async with client(server).speak.v1.connect(**MULAW):
            pass
        with pytest.raises(ApiError) as no_rest:
            await by_rest(server)

    assert (no_socket.value.status_code, no_rest.value.status_code) == (429, 400)
