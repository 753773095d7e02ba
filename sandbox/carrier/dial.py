"""``<Dial>``: ring the numbers, let the one who answers hear the whisper, then connect the two."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from sandbox.journal import note

from .audio import Bridge, Silence
from .line import Person
from .order import Callback, Fetch, Order
from .state import E164
from .twiml import Verb

if TYPE_CHECKING:
    from .leg import Leg

Whisper = Callable[["Leg", Fetch], Coroutine[Any, Any, None]]


async def dial(leg: "Leg", verb: Verb, whisper: Whisper) -> dict[str, str]:
    """Ring, and stay until the parties have parted. Returns what the ``action`` is told.

    ``whisper`` runs a document on the called party's leg, to its end.
    """
    numbers = [noun for noun in verb.nouns if noun.name == "Number"]
    numbers = numbers or [Verb("Number", {}, verb.text)]
    caller_id = verb.get("callerId") or (
        leg.call.from_ if leg.call.direction != "inbound" else leg.call.to
    )
    if caller_id not in leg.exchange.account.numbers:
        _warn(leg, 13247, "callerId is not a number of this account")
        form = {"DialCallStatus": "failed"}
    else:
        form = await _ring_and_talk(leg, verb, numbers, caller_id, whisper)
    note("dial_ended", call_sid=leg.call.sid, **form)
    return form


def _warn(leg: "Leg", code: int, text: str) -> None:
    note("warning", call_sid=leg.call.sid, code=code, text=f"Dial: {text}")


def _child(leg: "Leg", verb: Verb, noun: Verb, caller_id: str) -> "Leg":
    url = noun.get("statusCallback")
    order = Order(
        callback=Callback(
            urljoin(leg.base_url, url) if url else "",
            noun.get("statusCallbackMethod", "POST"),
            frozenset(noun.get("statusCallbackEvent", "completed").split()),
        ),
        ring_s=verb.seconds("timeout", 30),
    )
    child = leg.exchange.child(leg, to=noun.text, from_=caller_id, order=order)
    child.base_url = leg.base_url
    child.progress("initiated", "initiated")
    return child


async def _ring_and_talk(
    leg: "Leg", verb: Verb, numbers: list[Verb], caller_id: str, whisper: Whisper
) -> dict[str, str]:
    children: dict[asyncio.Task[tuple[str, Person | None]], tuple[Leg, Verb]] = {}
    for noun in numbers:
        child = _child(leg, verb, noun, caller_id)
        children[asyncio.create_task(_ring(leg, child))] = child, noun
    statuses: dict[str, str] = {}
    winner: tuple[Leg, Verb, Person] | None = None
    try:
        waiting = set(children)
        while waiting and winner is None:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                (child, noun), (status, person) = children[task], task.result()
                if person is not None and winner is None:
                    winner = child, noun, person
                    statuses[child.call.sid] = "completed"
                else:
                    statuses[child.call.sid] = "canceled" if person else status
        for task in waiting:
            task.cancel()
        for child, _ in children.values():
            if winner is None or child is not winner[0]:
                await child.finish(statuses.get(child.call.sid, "canceled"))
        if winner is None:
            [(sid, status), *_] = statuses.items()
            return {"DialCallStatus": status, "DialCallSid": sid, "DialBridged": "false"}
        bridged = await _talk(leg, verb, *winner, whisper)
        return {
            "DialCallStatus": "completed",
            "DialCallSid": winner[0].call.sid,
            "DialCallDuration": str(winner[0].call.seconds),
            "DialBridged": str(bridged).lower(),
        }
    finally:
        leg.audio.medium = Silence()
        for task, (child, _) in children.items():
            task.cancel()
            if not child.call.over:
                await child.finish(statuses.get(child.call.sid, "canceled"))


async def _ring(leg: "Leg", child: "Leg") -> tuple[str, Person | None]:
    person = leg.exchange.directory(child.call.to)
    if not E164.fullmatch(child.call.to) or (person and person.refusal_code):
        code = (person and person.refusal_code) or 13224
        _warn(leg, code, "this number cannot be called")
        return "failed", None
    return await child.ring()


async def _talk(
    leg: "Leg", verb: Verb, child: "Leg", noun: Verb, person: Person, whisper: Whisper
) -> bool:
    """From the called party's answer until one of the two hangs up; whether they ever talked."""
    child.answer()
    child.help(child.be(person))
    if (url := noun.get("url")) and not await _heard_whisper(leg, child, noun, url, whisper):
        return False
    note("bridged", call_sid=leg.call.sid, child=child.call.sid)
    leg.audio.medium = Bridge(child.line)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(verb.seconds("timeLimit", 4 * 3600)):
            await child.ended()
    return True


async def _heard_whisper(leg: "Leg", child: "Leg", noun: Verb, url: str, whisper: Whisper) -> bool:
    """Whether the called party is still there when the document has come to its end."""
    method = noun.get("method").upper() or "POST"
    document = asyncio.create_task(whisper(child, Fetch(urljoin(leg.base_url, url), method)))
    gone = asyncio.create_task(child.ended())
    sound = asyncio.create_task(child.audio.run())
    try:
        await asyncio.wait({document, gone}, return_when=asyncio.FIRST_COMPLETED)
        return document.done() and document.exception() is None and not gone.done()
    finally:
        tasks = (document, gone, sound)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
