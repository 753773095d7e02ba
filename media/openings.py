"""Prepares what agents say first, while the calls still ring.

Each media process takes part in it: its doors to the model and the voice are open, and a call waits
for nobody else's. A process without room for calls leaves it to the others.
"""

import asyncio
import contextlib
import logging

import redis
import redis.asyncio
from django.conf import settings

from agents.model import ModelFailed
from agents.tools.base import ToolCall
from calls import live, openings
from calls.live import LiveCall
from calls.openings import Opening
from media.brain import write_reply
from media.clauses import Clause, ClauseSplitter
from media.history import History
from media.journal import in_thread
from media.metrics import OPENINGS
from media.roster import roster
from media.voice import Voice, VoiceFailed

logger = logging.getLogger(__name__)

AT_ONCE = 4
WAIT_S = 2.0
RETRY_S = 1.0
PATIENCE_S = 15.0  # for one of them: model and voice


class Preparer:
    """Prepares openings from ``start`` until ``aclose``, ``AT_ONCE`` side by side."""

    def __init__(self) -> None:
        self._valkey = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_timeout=None)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        for _ in range(AT_ONCE):
            self._tasks.add(asyncio.create_task(self._run(), name="openings"))

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._valkey.aclose()

    async def _run(self) -> None:
        while True:
            try:
                if not roster().has_room:
                    await asyncio.sleep(WAIT_S)
                    continue
                call_pk = await openings.next_wanted(self._valkey, WAIT_S)
                if call_pk is not None:
                    async with asyncio.timeout(PATIENCE_S):
                        await prepare(call_pk)
            except TimeoutError:
                OPENINGS.labels("failed").inc()
            except redis.RedisError as error:
                logger.warning("cannot ask for openings: %s", type(error).__name__)
                await asyncio.sleep(RETRY_S)
            except Exception:  # what goes wrong with one call must not end it for the others
                logger.exception("an opening was not prepared")


async def prepare(call_pk: int) -> None:
    """Prepare the opening of a call, and keep it if the call still rings then."""
    call = await in_thread(live.foresee, call_pk)
    if call is None or not call.speaks_first:
        return
    opening = await opening_of(call)
    if opening is None:
        OPENINGS.labels("failed").inc()
    elif await in_thread(live.foresee, call_pk) is not None:
        await in_thread(openings.keep, call_pk, opening)
        OPENINGS.labels("prepared").inc()


async def opening_of(call: LiveCall) -> Opening | None:
    """Return the call's first words and their sound; None if the model does not write them, or
    wants to use a tool first: nothing is done in the world for somebody who has not picked up.
    """
    text = call.opening or await _written(call)
    if not text:
        return None
    splitter = ClauseSplitter(tags=not call.opening)
    pieces = splitter.feed(text) + splitter.finish()
    audio: dict[str, bytes] = {}
    voice = Voice(call.voice, call.speaking_rate)
    async with contextlib.aclosing(voice):  # also where patience ends first
        with contextlib.suppress(VoiceFailed):  # the words alone are a head start as well
            for clause in (piece for piece in pieces if isinstance(piece, Clause)):
                mulaw = b"".join([chunk async for chunk in voice.speak(clause.text)])
                if sum(map(len, audio.values())) + len(mulaw) > openings.MOST_BYTES:
                    break
                audio[clause.text] = mulaw
    return Opening(text, audio, call.voice, call.speaking_rate, call.opening)


async def _written(call: LiveCall) -> str:
    """The same request that the call would make, so that its next one finds the prompt cached."""
    pieces: list[str] = []
    try:
        async for piece in write_reply(
            model=call.model,
            system_stable=call.system_stable,
            system_call=call.system_call,
            messages=History(call).messages(),
            tools=[tool.definition for tool in call.tools],
        ):
            if isinstance(piece, ToolCall):
                return ""
            pieces.append(piece)
    except ModelFailed:
        return ""
    return "".join(pieces)


def take(call: LiveCall) -> Opening | None:
    """The prepared opening of a call whose first socket just opened, once. Blocking."""
    if not settings.PREPARE_OPENINGS or not call.speaks_first or call.generation > 1:
        return None
    opening = openings.take(call.pk, voice=call.voice, rate=call.speaking_rate, fixed=call.opening)
    OPENINGS.labels("missed" if opening is None else "used").inc()
    return opening
