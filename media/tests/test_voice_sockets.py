"""Sockets to the voice wait for calls, with the real SDK on loopback."""

from collections.abc import AsyncIterator

import pytest

from media.metrics import PROVIDER_ERRORS
from media.tests.providers_side import Providers
from media.voice import Voice
from media.voice_sockets import LOST, VoiceSockets, voice_sockets

THALIA, APOLLO = ("aura-2-thalia-en", None), ("aura-2-apollo-en", 1.2)


@pytest.fixture
async def sockets(providers: Providers) -> AsyncIterator[VoiceSockets]:
    those = VoiceSockets(2)
    yield those
    await those.aclose()


def opened(providers: Providers) -> list[str]:
    return [query["model"].split("-")[2] for query, _ in providers.voices]


async def test_the_next_call_in_a_voice_finds_its_socket_open(providers, sockets):
    first = await sockets.take(THALIA)
    await sockets.mend()
    assert opened(providers) == ["thalia"] * 3

    second, third = await sockets.take(THALIA), await sockets.take(THALIA)

    assert len(providers.voices) == 3
    for socket in (first, second, third):
        await socket.aclose()


async def test_two_voices_share_what_is_kept_open(providers, sockets):
    await (await sockets.take(THALIA)).aclose()
    await sockets.mend()
    await (await sockets.take(APOLLO)).aclose()
    await sockets.mend()
    before = opened(providers)

    apollo, thalia = await sockets.take(APOLLO), await sockets.take(THALIA)

    assert before == ["thalia", "thalia", "thalia", "apollo", "apollo"]
    assert len(providers.voices) == 5
    assert providers.voices[-1][0]["speed"] == "1.2"
    await apollo.aclose()
    await thalia.aclose()


async def test_another_speed_is_another_socket(providers, sockets):
    await (await sockets.take(THALIA)).aclose()
    await sockets.mend()

    socket = await sockets.take((THALIA[0], 0.9))

    assert [query.get("speed") for query, _ in providers.voices] == [None, None, None, "0.9"]
    await socket.aclose()


async def test_a_socket_that_the_service_closed_is_replaced(providers, sockets):
    await (await sockets.take(THALIA)).aclose()
    await sockets.mend()
    waiting = list(sockets._ready)
    for _, ws in providers.voices:
        await ws.close()
    for one in waiting:
        await one.sdk._websocket.wait_closed()

    await sockets.mend()
    socket = await sockets.take(THALIA)

    assert len(providers.voices) == 5
    assert socket.is_open
    await socket.aclose()


async def test_a_refused_socket_ahead_is_counted_and_left_for_later(providers, sockets):
    refused = PROVIDER_ERRORS.labels("voice_ahead", "ApiError")
    before = refused._value.get()
    await (await sockets.take(THALIA)).aclose()

    providers.refuse_speak_socket = True
    await sockets.mend()
    with pytest.raises(LOST):
        await sockets.take(THALIA)
    assert refused._value.get() == before + 1

    providers.refuse_speak_socket = False
    await sockets.mend()
    assert len(providers.voices) == 3


async def test_a_voice_speaks_by_a_socket_that_was_open_before(providers):
    voice_sockets().start(1)
    first = Voice(*THALIA)
    await first.open()
    await voice_sockets().mend()
    second = Voice(*THALIA)
    providers.refuse_speak_socket = True

    chunks = [chunk async for chunk in second.speak("Hello.")]

    assert providers.said == ["Hello."]
    assert providers.by_rest == []
    assert b"".join(chunks)
    for voice in (first, second):
        await voice.aclose()
    await voice_sockets().aclose()
