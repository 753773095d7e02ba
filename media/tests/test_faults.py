"""Providers that fail in the middle of a call: what the caller hears, the event, the metric."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anthropic
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from prometheus_client import REGISTRY

from calls import tickets
from calls.factories import CallFactory
from calls.models import Call
from conftest import PATIENCE_S
from media import deafness, providers, transcriber
from media.tests.line import Line
from media.tests.providers_side import CLAUSE_MS, Broken, Providers, be_patient

pytestmark = pytest.mark.django_db(transaction=True)
LOUD = 0x10
OPENING = "Hello, this is Acme."
FALLBACK = "Sorry, could you say that again?"
HALF = "We open at nine in the morning,"
TROUBLE = ["I'm sorry, something went wrong on my side.", "Could you say that again?"]


@pytest.fixture
async def side(settings, tmp_path, monkeypatch) -> AsyncIterator[Providers]:
    be_patient(monkeypatch)
    monkeypatch.setattr(transcriber, "BACKOFF_S", (0.0, 0.01))
    side = Providers()
    await side.server.start_server()
    settings.DEEPGRAM_API_URL = settings.ANTHROPIC_API_URL = settings.TWILIO_API_URL = side.url
    settings.DEEPGRAM_API_KEY = settings.ANTHROPIC_API_KEY = "key"
    settings.RECORDINGS_DIR = tmp_path
    settings.SPARE_VOICE_SOCKETS = 0
    yield side
    await side.server.close()
    await sync_to_async(connections.close_all)()


class Talk:
    """A call that was greeted and is listened to."""

    def __init__(self, side: Providers, call: Call, line: Line) -> None:
        self.side, self.call, self.line = side, call, line

    async def answered(self, question: str = "When are you open?", *, marks: int = 2) -> None:
        """Ask, and wait until so many clauses of the whole call were played."""
        await self.side.transcribe(question)
        await self.played(marks)

    async def played(self, marks: int) -> None:
        await self.line.until(lambda line: len(line.events("mark")) >= marks)

    async def end(self) -> None:
        if self.line.closed_with is None:
            stop = {"callSid": self.call.carrier_sid}
            await self.line.send(event="stop", streamSid="MZ1", stop=stop)
        await self.line.closes()

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """What is on the call's record."""
        found = self.call.events.filter(kind=kind).order_by("id")
        return await sync_to_async(lambda: [dict(event.data) for event in found])()


@pytest.fixture
async def talk(side, monkeypatch) -> Callable[[], Awaitable[Talk]]:
    async def greet() -> Talk:
        if any(isinstance(reply, Broken) and reply.how == "stall" for reply in side.replies):
            impatient = anthropic.Timeout(PATIENCE_S, read=2.0)
            monkeypatch.setattr(providers, "MODEL_TIMEOUT", impatient)

        def make() -> tuple[Call, str, Any]:
            call: Any = CallFactory(
                inbound=True, agent__welcome_message=OPENING, agent__fallback_message=FALLBACK
            )
            return call, tickets.issue(call), call.number.carrier_account

        call, token, carrier = await sync_to_async(make)()
        line = Line(
            account_sid=carrier.sid, auth_token=carrier.auth_token, call_sid=call.carrier_sid
        )
        await line.open(token)
        await asyncio.wait_for(side.listening.wait(), PATIENCE_S)
        if not side.refuse_speaking:
            await line.until(lambda line: bool(line.events("mark")))
        return Talk(side, call, line)

    return greet


def failures(part: str, error: str) -> float:
    labels = {"part": part, "error": error}
    return REGISTRY.get_sample_value("nixflex_media_provider_errors_total", labels) or 0.0


def continuations(outcome: str) -> float:
    labels = {"outcome": outcome}
    return REGISTRY.get_sample_value("nixflex_media_continuations_total", labels) or 0.0


# --- the transcriber ------------------------------------------------------------------------------


async def test_a_closed_transcriber_socket_is_not_noticed_by_the_caller(side, talk):
    before = failures("transcriber", "ConnectionClosedError")
    side.replies = ["We open at nine."]
    call = await talk()
    side.listening.clear()

    await side.listeners[-1].close(code=1011, message=b"NET-0000")
    await asyncio.wait_for(side.listening.wait(), PATIENCE_S)
    await call.answered()
    await call.end()

    assert side.said == [OPENING, "We open at nine."]
    [lost] = await call.events("transcriber_lost")
    assert (lost["error"], lost["tries"]) == ("ConnectionClosedError", 1)
    assert len(await call.events("hears_again")) == 1
    assert failures("transcriber", "ConnectionClosedError") == before + 1


async def test_a_transcriber_that_hears_nothing_is_replaced_and_hears_it_again(side, talk):
    before = failures("transcriber", "silent")
    side.replies = ["We open at nine."]
    call = await talk()
    side.listening.clear()

    await call.line.speak(4_400, LOUD)
    await asyncio.wait_for(side.listening.wait(), PATIENCE_S)
    await side.hears(8_000 * 8)  # nearly all of it twice
    await call.answered()
    await call.end()

    assert side.said == [OPENING, "We open at nine."]
    [lost] = await call.events("transcriber_lost")
    assert lost["error"] == "silent"
    assert failures("transcriber", "silent") == before + 1


async def test_refused_upgrades_are_tried_again_until_one_is_not(side, talk):
    before = failures("transcriber", "refused 429")
    side.refuse_listening = 2
    side.replies = ["We open at nine."]

    call = await talk()
    await call.answered()
    await call.end()

    assert side.said == [OPENING, "We open at nine."]
    assert [lost["tries"] for lost in await call.events("transcriber_lost")] == [1, 2]
    assert failures("transcriber", "refused 429") == before + 2


async def test_a_caller_who_was_not_heard_for_long_is_asked_to_say_it_again(
    side, talk, monkeypatch
):
    monkeypatch.setattr(deafness, "LONG_MS", 50)
    monkeypatch.setattr(transcriber, "BACKOFF_S", (0.0, 1.0))
    call = await talk()
    side.listening.clear()
    side.refuse_listening = 1

    await side.listeners[-1].close(code=1011)
    await asyncio.wait_for(side.not_listening.wait(), PATIENCE_S)
    await call.line.speak(400, LOUD)
    await call.line.speak(400)
    await asyncio.wait_for(side.listening.wait(), PATIENCE_S)
    await side.turn("Update", "")
    await call.played(3)
    await call.end()

    said = ["I'm sorry, I couldn't hear you for a moment.", "Could you say that again?"]
    assert side.said == [OPENING, *said]
    [back] = await call.events("hears_again")
    assert back["deaf_ms"] >= 50


async def test_a_call_whose_caller_cannot_be_heard_at_all_ends_with_a_word(side, talk, monkeypatch):
    call = await talk()
    monkeypatch.setattr(deafness, "LONGEST_MS", 100)
    side.refuse_listening = 100_000

    await side.listeners[-1].close(code=1011)
    await call.line.closes()

    said = ["I'm sorry, I can't hear you because of a technical problem.", "Goodbye."]
    assert side.said == [OPENING, *said]
    assert len(await call.events("deaf_too_long")) == 1
    await call.call.arefresh_from_db()
    assert call.call.intended_reason == "failed"
    assert side.ended == [{"Status": "completed"}]


# --- the model ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (529, "overloaded_error"),
        (Broken("", "stall"), "stalled"),
        (Broken("", "drop"), "broken off"),
        (Broken("", "error"), "overloaded_error"),
        (Broken("", "refusal"), "refusal"),
    ],
)
async def test_where_the_model_fails_before_a_word_the_second_one_answers(side, talk, fault, error):
    before = failures("model", error)
    side.replies = [fault, "We open at nine."]
    call = await talk()

    await call.answered()
    await call.end()

    assert side.said == [OPENING, "We open at nine."]
    models = [prompt["model"] for prompt in side.prompts]
    assert models == ["claude-haiku-5-5", "claude-sonnet-5-5"]
    [failed] = await call.events("model_failed")
    assert (failed["error"], failed["spoken"], failed["tries"]) == (error, False, 1)
    assert failures("model", error) == before + 1


async def test_where_both_models_fail_the_fallback_line_is_said(side, talk):
    before = failures("model", "overloaded_error")
    side.replies = [529, 529]
    call = await talk()

    await call.answered()
    await call.end()

    assert side.said == [OPENING, FALLBACK]
    assert [failed["tries"] for failed in await call.events("model_failed")] == [1, 2]
    assert failures("model", "overloaded_error") == before + 2


@pytest.mark.parametrize("how", ["stall", "drop", "error"])
async def test_half_a_sentence_is_finished_by_the_second_model_and_not_said_twice(side, talk, how):
    before = continuations("went_on")
    side.replies = [Broken(f"{HALF} and we clo", how), f"{HALF} and we close at five."]
    call = await talk()

    await call.answered(marks=3)
    await call.end()

    assert side.said == [OPENING, HALF, "and we close at five."]
    first, second = side.prompts
    assert (first["model"], second["model"]) == ("claude-haiku-5-5", "claude-sonnet-5-5")
    assert [message["role"] for message in second["messages"]][-3:] == ["user", "assistant", "user"]
    assert second["messages"][-2]["content"] == HALF
    [failed] = await call.events("model_failed")
    assert (failed["spoken"], failed["tries"]) == (True, 1)
    [on] = await call.events("model_continued")
    assert (on["went_on"], on["words_left_out"]) == (True, 7)
    assert continuations("went_on") == before + 1
    turns = await sync_to_async(lambda: list(call.call.turns.order_by("sequence")))()
    assert [turn.text for turn in turns][-1] == f"{HALF} and we close at five."


async def test_whole_sentences_before_a_break_are_gone_on_with_by_the_second_model(side, talk):
    side.replies = [Broken("We open at nine. And we clo", "drop"), "We close at five."]
    call = await talk()

    await call.answered(marks=3)
    await call.end()

    assert side.said == [OPENING, "We open at nine.", "We close at five."]


async def test_where_the_second_model_cannot_go_on_the_fallback_line_is_said(side, talk):
    side.replies = [Broken(f"{HALF} and we clo", "drop"), 529]
    call = await talk()

    await call.answered(marks=3)
    await call.end()

    assert side.said == [OPENING, HALF, FALLBACK]
    assert [failed["spoken"] for failed in await call.events("model_failed")] == [True, True]
    assert await call.events("model_continued") == []


# --- the voice ------------------------------------------------------------------------------------


async def test_a_refused_voice_socket_is_replaced_by_rest(side, talk):
    side.refuse_speak_socket = True
    side.replies = ["We open at nine."]
    before = failures("voice", "ApiError")

    call = await talk()
    await call.answered()
    await call.end()

    assert side.by_rest == [OPENING, "We open at nine."]
    assert [lost["error"] for lost in await call.events("voice_lost")] == ["ApiError"] * 2
    assert failures("voice", "ApiError") >= before + 2


async def test_a_voice_that_breaks_off_says_no_half_clause_twice(side, talk):
    side.replies = ["We open at nine. Until five."]
    before = failures("voice", "ConnectionClosedError")
    call = await talk()
    side.break_speaking = 1

    await call.answered(marks=2)
    await call.end()

    assert side.said == [OPENING, "We open at nine.", "Until five."]
    assert side.by_rest == []
    assert len(call.line.audio) == round(2.5 * CLAUSE_MS * 8)
    [failed] = await call.events("voice_failed")
    assert failed["said_ms"] == CLAUSE_MS // 2
    assert failures("voice", "ConnectionClosedError") == before + 1


async def test_a_voice_that_is_refused_everywhere_lets_the_carrier_take_leave(side, talk):
    side.refuse_speak_socket, side.refuse_speaking = True, 100
    before = failures("voice_rest", "ApiError")

    call = await talk()
    await call.line.closes()

    assert (side.said, side.by_rest, call.line.audio) == ([], [], b"")
    assert len(await call.events("voice_failed")) == 2
    assert failures("voice_rest", "ApiError") == before + 2
    [update] = side.ended
    assert update["Twiml"] == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Say language="en-US">I\'m sorry, because '
        "of a technical problem we have to end this call. Goodbye.</Say><Hangup /></Response>"
    )
    await call.call.arefresh_from_db()
    assert call.call.intended_reason == "failed"
