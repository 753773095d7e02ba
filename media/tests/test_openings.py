"""What is said first is written and spoken while it rings, with the real SDKs on loopback."""

import asyncio
from queue import SimpleQueue
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from calls import live, openings, services, tickets
from calls.factories import CallFactory
from calls.models import Call
from calls.openings import Opening
from conftest import PATIENCE_S
from media.openings import Preparer, prepare
from media.openings import take as take_for
from media.tests.line import Line
from media.tests.providers_side import CLAUSE_MS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_is_asked_for_yet() -> None:
    openings._valkey().delete(openings.WANTED)


def _ringing(**fields: object) -> Call:
    call: Any = CallFactory(
        **{"status": Call.Status.RINGING, "carrier_sid": "CA" + "7" * 32, **fields}
    )
    openings.forget(call.pk)
    return call


async def ringing(**fields: object) -> Call:
    return await sync_to_async(_ringing)(**fields)


def _line(call: Call) -> tuple[Line, str]:
    assert call.number is not None
    carrier = call.number.carrier_account
    line = Line(account_sid=carrier.sid, auth_token=carrier.auth_token, call_sid=call.carrier_sid)
    return line, tickets.issue(call)


async def turns(call: Call) -> list[tuple[str, str]]:
    return [
        (turn.role, turn.text) for turn in await sync_to_async(lambda: list(call.turns.all()))()
    ]


async def taken(call: Call) -> Opening | None:
    foreseen = await sync_to_async(live.foresee)(call.pk)
    assert foreseen is not None
    return await sync_to_async(take_for)(foreseen)


async def test_a_prepared_opening_is_said_without_asking_anybody(providers):
    call = await ringing()
    providers.replies = ["Hello, Acme here. Do you have a minute?"]
    await prepare(call.pk)
    asked, said = len(providers.prompts), list(providers.said)
    providers.refuse_speak_socket = True  # from here on a voice would be asked by REST

    line, token = await sync_to_async(_line)(call)
    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 2)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    assert (asked, len(providers.prompts)) == (1, 1)
    assert said == providers.said == ["Hello, Acme here.", "Do you have a minute?"]
    assert providers.by_rest == []
    assert len(line.audio) == 2 * CLAUSE_MS * 8
    assert await turns(call) == [("agent", "Hello, Acme here. Do you have a minute?")]
    events = await sync_to_async(lambda: list(call.events.filter(kind="opening_ready")))()
    assert [event.data["audio_ms"] for event in events] == [2 * CLAUSE_MS]


async def test_without_a_prepared_opening_the_call_asks_by_itself(providers):
    call = await ringing()
    providers.replies = ["Hello, Acme here."]

    line, token = await sync_to_async(_line)(call)
    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    assert len(providers.prompts) == 1
    assert providers.said == ["Hello, Acme here."]
    assert await turns(call) == [("agent", "Hello, Acme here.")]


async def test_the_answer_after_a_prepared_opening_is_the_models(providers):
    call = await ringing()
    providers.replies = ["Hello, Acme here."]
    await prepare(call.pk)
    providers.replies = ["We open at nine."]

    line, token = await sync_to_async(_line)(call)
    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("When do you open?")
    await line.until(lambda line: len(line.events("mark")) == 2)
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    assert [message["content"] for message in providers.prompts[1]["messages"]] == [
        "[The call has just been answered. Speak first.]",
        "Hello, Acme here.",
        "When do you open?",
    ]


async def test_the_welcome_message_of_a_caller_who_hears_it_ring_needs_no_model(providers):
    call = await ringing(inbound=True, agent__welcome_message="Hello, this is Acme.")

    await prepare(call.pk)

    assert providers.prompts == []
    opening = await taken(call)
    assert opening is not None
    assert (opening.text, opening.fixed) == ("Hello, this is Acme.", "Hello, this is Acme.")
    assert opening.audio == {"Hello, this is Acme.": b"\x10" * CLAUSE_MS * 8}


async def test_an_opening_is_taken_once(providers):
    call = await ringing()
    await prepare(call.pk)

    assert await taken(call) is not None
    assert await taken(call) is None


async def test_an_opening_in_another_voice_is_of_no_use(providers):
    call = await ringing()
    await prepare(call.pk)
    assert call.agent is not None
    call.agent.speaking_rate = 1.2
    await call.agent.asave(update_fields=["speaking_rate"])

    assert await taken(call) is None


async def test_no_opening_is_prepared_for_a_call_that_does_not_ring(providers):
    over, live_one = (
        await sync_to_async(CallFactory)(over=True),
        await sync_to_async(CallFactory)(live=True),
    )
    listens = await ringing(agent__ai_speaks_first=False)

    for call in (over, live_one, listens):
        await prepare(call.pk)

    assert providers.prompts == providers.said == []


async def test_a_call_that_was_called_off_while_its_opening_was_written_keeps_none(providers):
    call = await ringing()

    async def call_off() -> None:
        await sync_to_async(services.end_call)(call.pk, Call.Status.CANCELED)

    providers.before_reply = call_off
    await prepare(call.pk)

    assert len(providers.prompts) == 1
    assert not await sync_to_async(openings._valkey().exists)(openings._key(call.pk))


async def test_a_model_that_wants_a_tool_first_waits_for_the_person(providers):
    call = await ringing()
    providers.replies = [{"end_call": {}}]

    await prepare(call.pk)

    assert await taken(call) is None
    assert providers.said == []


async def test_a_model_that_fails_leaves_the_opening_to_the_call(providers):
    call = await ringing()
    providers.replies = [529]

    await prepare(call.pk)

    assert await taken(call) is None


async def test_the_words_are_a_head_start_where_the_voice_fails(providers):
    call = await ringing()
    providers.replies = ["Hello, Acme here."]
    providers.refuse_speak_socket = providers.refuse_speak = True

    await prepare(call.pk)

    opening = await taken(call)
    assert opening is not None
    assert (opening.text, opening.audio) == ("Hello, Acme here.", {})


async def test_a_call_that_begins_to_ring_has_its_opening_prepared_by_one_process(
    providers, monkeypatch
):
    call = await ringing(status=Call.Status.INITIATED)
    kept: SimpleQueue[int] = SimpleQueue()
    monkeypatch.setattr(openings, "keep", lambda call_pk, _opening: kept.put(call_pk))
    preparers = [Preparer(), Preparer()]
    for preparer in preparers:
        preparer.start()

    await sync_to_async(services.move_call)(call.pk, Call.Status.RINGING)
    await sync_to_async(services.move_call)(call.pk, Call.Status.RINGING)  # the carrier repeats it
    assert await sync_to_async(kept.get)(timeout=PATIENCE_S) == call.pk
    for preparer in preparers:
        await preparer.aclose()

    assert len(providers.prompts) == 1


async def test_the_end_of_a_call_forgets_its_opening(providers):
    call = await ringing()
    await prepare(call.pk)

    await sync_to_async(services.end_call)(call.pk, Call.Status.NO_ANSWER)

    assert not await sync_to_async(openings._valkey().exists)(openings._key(call.pk))


async def test_switched_off_nobody_is_asked(providers, settings):
    settings.PREPARE_OPENINGS = False
    call = await ringing(status=Call.Status.INITIATED)

    await sync_to_async(services.move_call)(call.pk, Call.Status.RINGING)

    assert not await sync_to_async(openings._valkey().exists)(openings.WANTED)
