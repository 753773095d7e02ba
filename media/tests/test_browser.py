"""The browser's line: its messages, its audio, and a whole conversation with the same machine."""

import asyncio
import itertools
import json
from typing import Any

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from channels.routing import get_default_application
from channels.testing import WebsocketCommunicator

from accounts.errors import ApiError
from agents.factories import AgentFactory, PhoneNumberFactory
from calls import browser_calls, live, sweeping, tickets
from calls.models import Call
from conftest import PATIENCE_S
from media.audio import LINEAR, SILENCE
from media.browser import FRAME, BrowserStream
from media.resampling import ToBrowser, ToTelephone
from media.tests.providers_side import Providers
from media.transport import Audio, BadFrame, Marked, Pressed, Started, Stopped


def tone(hz: float, ms: int, rate: int = 16_000) -> bytes:
    t = np.arange(rate * ms // 1000) / rate
    return (8_000 * np.sin(2 * np.pi * hz * t)).astype("<i2").tobytes()


def level(samples: Any) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64)))))


# --- audio ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hz", "passes"), [(300, True), (1_000, True), (3_000, True), (6_000, False)]
)
def test_the_telephones_band_passes_and_what_would_fold_into_it_does_not(hz: float, passes: bool):
    mulaw = ToTelephone().mulaw(tone(hz, 1_000))

    heard = level(LINEAR[np.frombuffer(mulaw, dtype=np.uint8)][200:])
    assert len(mulaw) == 8_000
    assert (heard > 5_000) is passes
    assert passes or heard < 100


def test_audio_in_pieces_is_the_same_as_in_one():
    pcm = tone(700, 200)
    whole, pieces = ToTelephone(), ToTelephone()
    cut = [0, 2, 640, 642, 1_000, 3_002, len(pcm)]

    apart = b"".join(pieces.mulaw(pcm[a:b]) for a, b in itertools.pairwise(cut))

    assert apart == whole.mulaw(pcm)


def test_what_we_say_comes_out_twice_as_dense_and_as_loud():
    mulaw = ToTelephone().mulaw(tone(500, 500))
    pcm = np.frombuffer(ToBrowser().pcm(mulaw), dtype="<i2")

    assert pcm.size == 2 * len(mulaw)
    assert level(pcm[400:]) == pytest.approx(8_000 / 2**0.5, rel=0.03)


# --- messages -------------------------------------------------------------------------------------


def test_messages_become_values_and_unknown_events_nothing():
    stream = BrowserStream()
    said = [
        '{"event":"start","call":"WEB1","token":"abc"}', '{"event":"mark","name":"3"}',
        '{"event":"dtmf","digit":"5"}', '{"event":"stop"}', '{"event":"hello"}',
    ]  # fmt: skip

    assert [stream.decode(text) for text in said] == [
        Started("WEB1", "", {"t": "abc"}), Marked("3"), Pressed("5"), Stopped(), None,
    ]  # fmt: skip
    assert stream.decode(bytes(FRAME)) == Audio(SILENCE * 160, 0)
    assert stream.decode(bytes(FRAME)) == Audio(SILENCE * 160, 20)


@pytest.mark.parametrize("message", ["no json", "[]", '{"event":"start"}', b"", bytes(FRAME + 2)])
def test_what_is_no_message_is_refused_by_name(message: str | bytes):
    with pytest.raises(BadFrame):
        BrowserStream().decode(message)


# --- a conversation -------------------------------------------------------------------------------


@pytest.fixture
def providers(transactional_db, providers) -> Providers:
    return providers


class Page:
    """What the page does: it plays what comes, and gives marks back when that is done."""

    def __init__(self) -> None:
        self.socket = WebsocketCommunicator(get_default_application(), "/media/browser/")
        self.audio = b""
        self.marks: list[str] = []

    async def open(self, begun: browser_calls.BrowserCall) -> None:
        connected, _ = await self.socket.connect(timeout=PATIENCE_S)
        assert connected
        await self.tell(event="start", call=begun.call.carrier_sid, token=begun.token)

    async def tell(self, **message: str) -> None:
        await self.socket.send_to(text_data=json.dumps(message))

    async def hears(self, marks: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.marks) < marks:
                output = await self.socket.receive_output(timeout=PATIENCE_S)
                if output.get("bytes"):
                    self.audio += output["bytes"]
                elif (told := json.loads(output["text"]))["event"] == "mark":
                    self.marks.append(told["name"])
                    await self.tell(event="mark", name=told["name"])

    async def closes(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            while (await self.socket.receive_output(timeout=PATIENCE_S))[
                "type"
            ] != "websocket.close":
                pass
        return 1000


async def begun(**fields: object) -> browser_calls.BrowserCall:
    agent = await sync_to_async(AgentFactory.create)(welcome_message="Hello, Acme here.", **fields)
    return await sync_to_async(browser_calls.begin)(agent)


@pytest.mark.django_db(transaction=True)
async def test_a_person_talks_to_an_agent_from_a_page(providers: Providers):
    call = await begun()
    providers.replies = ["We open at nine. [END_CALL]"]
    page = Page()

    await page.open(call)
    await page.hears(1)
    await page.socket.send_to(bytes_data=tone(400, 20))
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("When are you open?")
    await page.hears(2)
    assert await page.closes() == 1000

    row = call.call
    async with asyncio.timeout(PATIENCE_S):
        while not row.is_over:
            await row.arefresh_from_db()
    said = [(turn.role, turn.text) async for turn in row.turns.all()]
    assert said == [
        ("agent", "Hello, Acme here."),
        ("caller", "When are you open?"),
        ("agent", "We open at nine."),
    ]
    assert (row.status, row.ended_reason, row.from_number) == ("completed", "completed", "web")
    assert providers.ended == []  # no carrier was asked to hang up
    assert len(page.audio) == 2 * 300 * 32


@pytest.mark.django_db(transaction=True)
async def test_a_person_who_leaves_the_page_has_hung_up(providers: Providers):
    call = await begun()
    page = Page()

    await page.open(call)
    await page.hears(1)
    await page.socket.disconnect(code=1000, timeout=PATIENCE_S)

    async with asyncio.timeout(PATIENCE_S):
        while not call.call.is_over:
            await call.call.arefresh_from_db()
    assert call.call.ended_reason == "caller_hangup"


@pytest.mark.django_db
def test_a_page_that_never_opens_its_line_holds_none():
    call = browser_calls.begin(AgentFactory.create()).call
    Call.objects.filter(pk=call.pk).update(created_at="2026-01-01T00:00Z")

    sweeping.check_stale_calls()

    call.refresh_from_db()
    assert (call.status, call.duration_ms) == ("canceled", 0)


@pytest.mark.django_db
def test_a_page_whose_media_process_died_ends_its_call():
    call = browser_calls.begin(AgentFactory.create()).call
    live.open_media(tickets.issue(call), call.carrier_sid)
    Call.objects.filter(pk=call.pk).update(media_seen_at="2026-01-01T00:00Z")

    sweeping.rescue_silent_calls()
    sweeping.rescue_silent_calls()

    call.refresh_from_db()
    assert call.status == "completed"


@pytest.mark.django_db
def test_a_browser_call_takes_a_line_and_is_refused_where_none_is_free():
    number = PhoneNumberFactory.create(account__max_concurrent_calls=1)
    first = browser_calls.begin(number.agent)

    with pytest.raises(ApiError) as refused:
        browser_calls.begin(number.agent)

    assert refused.value.code == "busy"
    assert list(Call.objects.all()) == [first.call]
    assert first.call.number == number


@pytest.mark.django_db
def test_an_inactive_agent_talks_to_nobody():
    with pytest.raises(ApiError) as refused:
        browser_calls.begin(AgentFactory.create(is_active=False))

    assert refused.value.code == "agent_inactive"
    assert Call.objects.count() == 0


@pytest.mark.django_db
def test_nobody_in_a_browser_is_put_through():
    agent = AgentFactory.create(transfer_number="+442087601234", system_prompt="Transfer them.")
    call = browser_calls.begin(agent).call

    opened = live.open_media(tickets.issue(call), call.carrier_sid)

    assert opened.transfers.numbers == ()
    assert "transfer_call" not in [tool.name for tool in opened.tools]
