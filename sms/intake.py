"""A carrier brings a text, or a report on one of ours: it is checked, committed as it came, and
then the carrier has its answer, within milliseconds. All else is a worker's (``sms/arrivals.py``,
``sms/reports.py``).

Only a keyword and a certain refusal are taken in before the carrier is answered: from then on
nothing more is sent to that person.

An ASGI application of its own, in front of Django: a hundred texts a second come in here, and
Django's layers around a request cost more than all that is done with one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import structlog
from prometheus_client import Histogram

from accounts.requests import new_request_id
from carriers import twiml
from sms import knocks, nudges
from sms.arrivals import take_in_now
from sms.inbound import takes_effect_at_once
from sms.intake_connection import Database, IntakeConnection, beside
from sms.knocks import Knock, Outcome
from sms.models import Arrival

log = structlog.get_logger(__name__)

TEXTS, REPORTS = "/twilio/sms/", "/twilio/sms-status/"
_NOTHING = twiml.nothing_to_send().encode()
# A text has 1,600 characters; its form has some thirty short fields more.
_LARGEST_FORM = 64 * 1024
# Workers are nudged no more often: what comes in meanwhile they take in together.
NUDGE_EVERY_S = 0.25

INTAKE_SECONDS = Histogram(
    "nixflex_text_intake_seconds",
    "From a text's arrival in this process to the answer to its carrier",
    buckets=(*(ms / 1000 for ms in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50)), 0.1, 0.5, 1),
)


async def text(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
    """A text came in (ASGI). It is stored once, however often it is brought; the answer is always
    empty, as ours to the person goes out by a request of its own."""
    with INTAKE_SECONDS.time():
        status = await _commit(_texts, scope, receive)
        await _say(send, status, b"text/xml", _NOTHING if status == 200 else b"")
    await _nudge.give()


async def report(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
    """The carrier reports how a text of ours fares (ASGI), in any order and number."""
    status = await _commit(_reports, scope, receive)
    await _say(send, 204 if status == 200 else status, b"text/plain", b"")
    await _nudge.give()


# The addresses that are answered here.
APPLICATIONS = {TEXTS: text, REPORTS: report}


async def _say(send: Any, status: int, content_type: bytes, content: bytes) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(content)).encode()),
        (b"x-request-id", structlog.contextvars.get_contextvars()["request_id"].encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _commit(writer: "_Writer", scope: Mapping[str, Any], receive: Any) -> int:
    """Check and store what was brought; return the HTTP status to answer with."""
    structlog.contextvars.bind_contextvars(request_id=new_request_id())
    if scope["method"] != "POST":
        return 405
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return 400
        body += message.get("body", b"")
        if len(body) > _LARGEST_FORM:
            return 413
        if not message.get("more_body"):
            break
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if any("\0" in text for text in form.values()) or not form.get("MessageSid"):
        return _refused()
    signature = dict(scope["headers"]).get(b"x-twilio-signature", b"").decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    try:
        outcome = await writer.write(Knock(scope["path"], query, form, signature))
        if isinstance(outcome, Arrival) and takes_effect_at_once(outcome):
            await beside(_take_in_now, outcome)
    except Exception as failure:
        # The carrier tries once more, and then its own list has the text (sms/recovery.py), and we
        # ask how ours fares (sms/statuses.py).
        log.error("text_not_stored", error=type(failure).__name__)
        return 500
    if outcome is None:
        return _refused()
    if outcome:
        _nudge.due = True
    return 200


def _refused() -> int:
    log.warning("text_webhook_refused")
    return 403


def _take_in_now(arrival: Arrival) -> None:
    try:
        take_in_now(arrival)
    except Exception as failure:
        # It is stored: it will have its turn.
        log.error("text_not_taken_in", error=type(failure).__name__)


# --- writing ------------------------------------------------------------------------------------


type _Store = Callable[[Sequence[Knock], Database], Awaitable[list[Outcome]]]


class _Writer:
    """Commits knocks, one batch at a time: what comes while one is written goes with the next."""

    def __init__(self, store: _Store) -> None:
        self._store = store
        # Its own: a text waits behind no report, and behind no page's queries.
        self.database: Database = IntakeConnection()
        self._waiting: list[tuple[Knock, asyncio.Future[Outcome]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, knock: Knock) -> Outcome:
        """Return what the knock comes to, once that is committed; raise if it is not."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((knock, outcome))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all())
        return await outcome

    async def _write_all(self) -> None:
        while batch := self._waiting:
            self._waiting = []
            try:
                found: Sequence[Outcome | Exception] = await self._store(
                    [knock for knock, _ in batch], self.database
                )
            except Exception as failure:
                found = [failure] * len(batch)
            for (_, outcome), one in zip(batch, found, strict=True):
                if outcome.done():  # the carrier has hung up
                    continue
                if isinstance(one, Exception):
                    outcome.set_exception(one)
                else:
                    outcome.set_result(one)


class _Nudge:
    """Wakes workers, at most every ``NUDGE_EVERY_S``, and always after the last that is ``due``."""

    def __init__(self) -> None:
        self.due = self._busy = False
        self._last = 0.0

    async def give(self) -> None:
        if self._busy:
            return  # who is busy sees it
        self._busy = True
        try:
            while self.due:
                await asyncio.sleep(max(0.0, self._last + NUDGE_EVERY_S - time.monotonic()))
                self.due, self._last = False, time.monotonic()
                await beside(nudges.take_in)
        except Exception as failure:
            log.warning("text_nudge_lost", error=type(failure).__name__)  # beat finds the texts
        finally:
            self._busy = False


_nudge = _Nudge()
_texts, _reports = _Writer(knocks.store_texts), _Writer(knocks.store_reports)
