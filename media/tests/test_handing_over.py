"""A call that is put through lets go of its socket, with the real SDKs on loopback."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from calls import tickets, transfers
from conftest import PATIENCE_S
from media.tests.line import Line
from media.tests.live_calls import make, turns
from media.tests.providers_side import Providers

pytestmark = pytest.mark.django_db(transaction=True)


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

    monkeypatch.setattr("media.parting.hand_over", broken)
    call, token, line = await make(agent__transfer_number=DESK)

    await asks_for_a_person(providers, line, token)

    assert await line.closes() == 1000
    assert providers.ended == []
    assert not await sync_to_async(call.transfers.exists)()
