"""The ear's door against a service on loopback that hears what the test says it hears."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from conftest import PATIENCE_S
from media import transcriber
from media.flux import thresholds
from media.hearing import Hearing, Told, Unanswered
from media.transcriber import Transcriber

FRAME = b"\xff" * 160
FLUX = Hearing("flux-general-en", "en", 200, None, ("Acme",))
NOVA = Hearing("nova-3", "pl", 200, None, ("Acme",))


class Ears:
    """A transcriber at work, and everything it said."""

    def __init__(self, hearing: Hearing) -> None:
        self.said: list[tuple[str, ...]] = []
        self._news = asyncio.Event()
        told = Told(
            words=lambda text: self._say("words", text),
            turn_end=lambda text, confidence: self._say("end", text, f"{confidence:.2f}"),
            may_end=lambda text: self._say("may end", text),
            resumed=lambda text: self._say("resumed", text),
        )
        self.transcriber = Transcriber(
            hearing,
            told,
            on_trouble=lambda error, tries: self._say("lost", error, str(tries)),
            on_back=lambda: self._say("back"),
        )
        self.task = asyncio.create_task(self.transcriber.run())

    def _say(self, *what: str) -> None:
        self.said.append(what)
        self._news.set()

    def feed(self, frames: int) -> None:
        for _ in range(frames):
            self.transcriber.feed(FRAME)

    async def until(self, count: int) -> None:
        """Wait until so much was said."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.said) < count:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def listen(providers) -> AsyncIterator[object]:
    ears: list[Ears] = []

    async def start(hearing: Hearing) -> Ears:
        ears.append(Ears(hearing))
        await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
        return ears[-1]

    yield start
    for one in ears:
        one.task.cancel()
        await asyncio.wait([one.task])


@pytest.mark.parametrize(
    ("eagerness_ms", "max_silence_ms", "asked"),
    [
        (0, None, (0.3, 0.5, 2_500)),
        (100, None, (0.3, 0.6, 2_500)),
        (200, None, (0.4, 0.7, 2_500)),  # the service's own default
        (600, None, (0.5, 0.8, 2_500)),
        (1_000, None, (0.6, 0.9, 2_500)),
        (200, 300, (0.4, 0.7, 500)),  # the least it takes
        (200, 4_000, (0.4, 0.7, 4_000)),
        (200, 90_000, (0.4, 0.7, 60_000)),
    ],
)
def test_an_agents_patience_becomes_thresholds(eagerness_ms, max_silence_ms, asked):
    assert thresholds(Hearing("flux-general-en", "en", eagerness_ms, max_silence_ms)) == asked


@pytest.mark.parametrize(
    ("model", "language", "hint", "numerals"),
    [
        ("flux-general-en", "en-GB", None, "true"),
        ("flux-general-multi", "es", "es", "true"),
        ("flux-general-multi", "hi", "hi", None),
        ("flux-general-multi", "multi", None, None),
    ],
)
async def test_flux_is_asked_in_its_own_words(providers, listen, model, language, hint, numerals):
    await listen(Hearing(model, language, 200, None, ("Acme",)))

    assert providers.listen_path == "/v2/listen"
    assert providers.listen_query == {
        "model": model, "encoding": "mulaw", "sample_rate": "8000", "keyterm": "Acme",
        "eager_eot_threshold": "0.4", "eot_threshold": "0.7", "eot_timeout_ms": "2500",
        **({"language_hint": hint} if hint else {}), **({"numerals": numerals} if numerals else {}),
    }  # fmt: skip


async def test_where_flux_does_not_know_the_language_nova_listens(providers, listen):
    await listen(NOVA)

    assert providers.listen_path == "/v1/listen"
    assert providers.listen_query["language"] == "pl"
    assert providers.listen_query["endpointing"] == "200"
    assert providers.listen_query["interim_results"] == "true"


async def test_flux_gets_80_ms_at_a_time(providers, listen):
    ears = await listen(FLUX)

    for _ in range(8):
        ears.feed(1)
        await asyncio.sleep(0)
    await providers.hears(1_280)

    assert providers.pieces == [640, 640]


async def test_nova_gets_frames_by_four_while_nobody_speaks(providers, listen):
    ears = await listen(NOVA)
    ears.feed(transcriber.CALM_AFTER)
    await providers.hears(160 * transcriber.CALM_AFTER)
    providers.pieces.clear()

    for _ in range(10):
        ears.feed(1)
        for _ in range(5):
            await asyncio.sleep(0)
    ears.transcriber.feed(FRAME, voice=True)
    await providers.hears(160 * (transcriber.CALM_AFTER + 11))

    assert providers.pieces == [640, 640, 480]


async def test_a_turn_with_an_end_that_was_none(providers, listen):
    ears = await listen(FLUX)

    for event, text in (
        ("Update", ""), ("StartOfTurn", "I'd like"), ("Update", "I'd like"),
        ("EagerEndOfTurn", "I'd like a table."), ("TurnResumed", "I'd like a table for"),
        ("EagerEndOfTurn", "I'd like a table for two."), ("EndOfTurn", "I'd like a table for two."),
    ):  # fmt: skip
        await providers.turn(event, text, confidence=0.9)
    await ears.until(8)

    assert ears.said == [
        ("words", "I'd like"),
        ("words", "I'd like a table."), ("may end", "I'd like a table."),
        ("resumed", "I'd like a table for"), ("words", "I'd like a table for"),
        ("words", "I'd like a table for two."), ("may end", "I'd like a table for two."),
        ("end", "I'd like a table for two.", "0.90"),
    ]  # fmt: skip


@pytest.mark.parametrize("hearing", [FLUX, NOVA])
async def test_a_lost_socket_is_replaced_and_the_unfinished_turn_said_again(
    providers, listen, hearing
):
    ears = await listen(hearing)
    ears.feed(100)
    await providers.hears(16_000)
    await providers.transcribe("I would like", final=False)
    await ears.until(1)
    providers.listening.clear()

    await providers.listeners[-1].close(code=1011, message=b"NET-0001")
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.hears(32_000)
    await providers.transcribe("I would like a table.")
    await ears.until(4 if hearing is NOVA else 5)

    assert ears.said[1:3] == [("lost", "ConnectionClosedError", "1"), ("back",)]
    assert [one for one in ears.said if one[0] == "end"] == [
        ("end", "I would like a table.", "0.98")
    ]


@pytest.mark.parametrize("hearing", [FLUX, NOVA])
async def test_a_turn_that_was_told_is_not_heard_again(providers, listen, hearing):
    ears = await listen(hearing)
    ears.feed(60)
    await providers.hears(60 * 160)
    await providers.transcribe("I would like a table.")  # which ends the first second
    await ears.until(2)
    providers.listening.clear()

    await providers.listeners[-1].close(code=1011)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    ears.feed(4)
    await providers.hears((60 + 10 + 4) * 160)

    assert providers.heard == (60 + 10 + 4) * 160  # 200 ms had come after that second


async def test_of_a_very_long_turn_only_the_rest_is_heard_again(providers, listen, monkeypatch):
    monkeypatch.setattr(Unanswered, "MOST", 60)  # 1.2 s
    ears = await listen(FLUX)
    ears.feed(100)  # 2 s, of which the service has transcribed one
    await providers.hears(16_000)
    await providers.turn("StartOfTurn", "Once upon a time")
    await ears.until(1)
    providers.listening.clear()

    await providers.listeners[-1].close(code=1011)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.hears(24_000)
    await providers.turn("EndOfTurn", "there was a dentist.")
    await ears.until(4)

    assert providers.heard == 24_000
    assert ears.said[-1] == ("end", "Once upon a time there was a dentist.", "0.98")


@pytest.mark.parametrize("hearing", [FLUX, NOVA])
async def test_refused_upgrades_are_asked_again_ever_more_slowly(
    providers, listen, hearing, monkeypatch
):
    monkeypatch.setattr(transcriber, "BACKOFF_S", (0.0, 0.01))
    providers.refuse_listening = 3

    ears = await listen(hearing)
    await providers.transcribe("Hello?")
    await ears.until(6)

    assert ears.said[:4] == [
        *(("lost", "refused 429", str(tries)) for tries in (1, 2, 3)),
        ("back",),
    ]


async def test_a_socket_that_only_greets_and_closes_does_not_count_as_working(
    providers, listen, monkeypatch
):
    monkeypatch.setattr(transcriber, "BACKOFF_S", (0.0,))
    ears = await listen(FLUX)

    for _ in range(2):
        providers.listening.clear()
        await providers.listeners[-1].send_json(
            {"type": "Connected", "request_id": "r", "sequence_id": 0}
        )
        await providers.listeners[-1].close(code=1011)
        await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)

    assert [one[2] for one in ears.said] == ["1", "2"]


async def test_an_error_of_the_service_is_a_lost_socket(providers, listen):
    ears = await listen(FLUX)

    await providers.listeners[-1].send_json(
        {"type": "Error", "sequence_id": 1, "code": "INTERNAL_SERVER_ERROR", "description": "no"}
    )
    await ears.until(1)

    assert ears.said == [("lost", "ConnectionError", "1")]


async def test_what_was_said_more_than_ten_seconds_ago_is_not_heard_as_if_said_now(
    providers, listen, monkeypatch
):
    monkeypatch.setattr(transcriber, "MOST_WAITING", 40)
    monkeypatch.setattr(transcriber, "BACKOFF_S", (0.05,))
    ears = await listen(FLUX)
    providers.listening.clear()
    await providers.listeners[-1].close(code=1011)
    await ears.until(1)

    ears.feed(100)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.turn("Update", "")
    await ears.until(2)
    ears.feed(4)
    await providers.hears(640)

    assert providers.heard == 640
