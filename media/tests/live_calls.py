"""Calls with sound in tests: made, greeted, and looked at afterwards."""

import asyncio
from typing import Any

from asgiref.sync import sync_to_async

from calls import tickets
from calls.factories import CallFactory
from calls.models import Call
from conftest import PATIENCE_S
from media.tests.line import Line
from media.tests.providers_side import Providers

LOUD = 0x10  # a byte of µ-law that is a voice to our ear


def _make(**fields: object) -> tuple[Call, str, Line]:
    call: Any = CallFactory(inbound=True, agent__welcome_message="Hello, this is Acme.", **fields)
    carrier = call.number.carrier_account
    line = Line(account_sid=carrier.sid, auth_token=carrier.auth_token, call_sid=call.carrier_sid)
    return call, tickets.issue(call), line


async def make(**fields: object) -> tuple[Call, str, Line]:
    return await sync_to_async(_make)(**fields)


async def turns(call: Call) -> list[tuple[str, str]]:
    return [
        (turn.role, turn.text) for turn in await sync_to_async(lambda: list(call.turns.all()))()
    ]


async def event_kinds(call: Call) -> list[str]:
    return await sync_to_async(lambda: [event.kind for event in call.events.all()])()


async def greeted(providers: Providers) -> tuple[Call, Line]:
    """A call that Flux listens to, whose greeting was heard."""
    call, token, line = await make()
    await line.open(token)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await line.until(lambda line: bool(line.events("mark")))
    providers.spoke.clear()
    return call, line
