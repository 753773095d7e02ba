"""A call in real voices through the sandbox, whose model and ears fail on request in its middle."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from agents.tests.outside import Sandbox, running_sandbox
from calls import tickets
from calls.factories import CallFactory
from calls.models import Call
from conftest import PATIENCE_S
from media.providers import speech_client
from media.tests.line import Line
from media.tests.providers_side import be_patient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
PROMPT = (
    "You are Mia of Acme Dental. We are open from nine to five. "
    "Parking is behind the house. Children can play in the garden, under the old apple tree."
)
FALLBACK = "Sorry, could you say that again?"
SILENCE = b"\xff" * 160
LOOK_S = 0.1


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox("speech", "model") as running:
        yield running


class Caller:
    """Speaks in real time, is silent in between, and hears what the line plays."""

    def __init__(self, sandbox: Sandbox, call: Call, line: Line) -> None:
        self._sandbox, self._call, self.line = sandbox, call, line
        self._words = bytearray()
        self._task = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            frame = bytes(self._words[:160]) or SILENCE
            del self._words[:160]
            await self.line.send_audio(frame)
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    def fault(self, **faults: Any) -> None:
        body = json.dumps(faults).encode()
        request = urllib.request.Request(f"{self._sandbox.url}/_sandbox/faults", body, method="PUT")
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()

    async def asks(self, question: str) -> str:
        """Say it, wait for the answer's end, and return what was heard of it."""
        before, marks = len(self.line.audio), len(self.line.events("mark"))
        self._words += await _spoken(question)

        async def answered() -> bool:
            """The agent's turn is on record: it was heard to its end."""
            roles = self._call.turns.order_by("sequence").values_list("role", flat=True)
            spoke = len(self.line.events("mark")) > marks
            return spoke and (await sync_to_async(lambda: list(roles))())[-1:] == ["agent"]

        await until(answered)
        return await _heard(bytes(self.line.audio[before:]))

    async def events(self, kind: str) -> list[dict[str, Any]]:
        found = self._call.events.filter(kind=kind).order_by("id")
        return await sync_to_async(lambda: [dict(event.data) for event in found])()

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.line.send(event="stop", streamSid="MZ1", stop={"callSid": self.line.call_sid})
        await self.line.closes()


async def until(happened: Callable[[], Awaitable[Any]]) -> None:
    for _ in range(round(PATIENCE_S / LOOK_S)):
        if await happened():
            return
        await asyncio.sleep(LOOK_S)
    raise AssertionError("it never happened")


async def _spoken(text: str) -> bytes:
    stream = speech_client().speak.v1.audio.generate(
        text=text, model="aura-2-apollo-en", encoding="mulaw", sample_rate=8000, container="none"
    )
    return b"".join([chunk async for chunk in stream])


async def _heard(mulaw: bytes) -> str:
    words = []
    async with speech_client().listen.v1.connect(
        model="nova-3", encoding="mulaw", sample_rate=8000, endpointing=500
    ) as ear:
        await ear.send_media(mulaw + SILENCE * 50)
        await ear.send_close_stream()
        async for message in ear:
            if message.type == "Results" and message.is_final:
                words.append(message.channel.alternatives[0].transcript)
    return " ".join(words).lower()


@pytest.fixture
async def caller(sandbox, settings, tmp_path, monkeypatch) -> AsyncIterator[Caller]:
    be_patient(monkeypatch)
    settings.DEEPGRAM_API_URL = settings.ANTHROPIC_API_URL = sandbox.url
    settings.DEEPGRAM_API_KEY = settings.ANTHROPIC_API_KEY = "key"
    settings.RECORDINGS_DIR = tmp_path

    def make() -> tuple[Call, str, Any]:
        call: Any = CallFactory(
            inbound=True,
            agent__welcome_message="Hello, this is Acme.",
            agent__fallback_message=FALLBACK,
            agent__system_prompt=PROMPT,
            agent__language="en",
        )
        return call, tickets.issue(call), call.number.carrier_account

    call, token, carrier = await sync_to_async(make)()
    line = Line(account_sid=carrier.sid, auth_token=carrier.auth_token, call_sid=call.carrier_sid)
    await line.open(token)
    await line.until(lambda line: bool(line.events("mark")))
    caller = Caller(sandbox, call, line)
    yield caller
    caller.fault()
    await caller.leave()
    await sync_to_async(connections.close_all)()


async def test_the_caller_gets_an_answer_whatever_of_the_model_and_the_ears_fails(caller):
    assert "from 9 to 5" in await caller.asks("When are you open?")
    assert (await caller.events("speculation"))[-1]["used"] is True

    caller.fault(model={"kind": "overloaded", "count": 1})
    assert "behind the house" in await caller.asks("Where can I park my car?")
    assert [failed["error"] for failed in await caller.events("model_failed")] == [
        "overloaded_error"
    ]

    caller.fault(model={"kind": "drop", "after_tokens": 14, "count": 1})
    heard = await caller.asks("Where can my children play?")
    assert heard.count("in the garden") == heard.count("apple tree") == 1, heard
    assert [on["went_on"] for on in await caller.events("model_continued")] == [True]

    caller.fault(model={"kind": "overloaded", "count": 2})
    assert "say that again" in await caller.asks("When are you open?")

    caller.fault(transcriber={"kind": "close", "after_s": 0.5})
    await until(lambda: caller.events("transcriber_lost"))
    caller.fault()
    assert "from 9 to 5" in await caller.asks("When are you open?")
    assert await caller.events("hears_again")
