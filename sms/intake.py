"""A carrier brings a text: it is checked, committed as it came, and then the carrier has its
answer, within milliseconds. All else is a worker's (``sms/arrivals.py``).

Only a keyword and a certain refusal are taken in before the carrier is answered: from then on
nothing more is sent to that person.

An ASGI application of its own, in front of Django: a hundred texts a second come in here, and
Django's layers around a request cost more than all that is done with one.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import structlog
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.db import close_old_connections, connection
from django.utils import timezone
from prometheus_client import Histogram

from accounts.encryption import decrypted
from accounts.requests import new_request_id
from carriers import knocks, twilio, twiml
from sms import nudges
from sms.arrivals import take_in_now
from sms.inbound import takes_effect_at_once
from sms.models import Arrival

log = structlog.get_logger(__name__)

PATH = "/twilio/sms/"
# A text has 1,600 characters; its form has some thirty short fields more.
_NOTHING = twiml.nothing_to_send().encode()
_LARGEST_FORM = 64 * 1024
_MEDIA_AT_MOST = 10
# Workers are nudged no more often: what comes in meanwhile they take in together.
NUDGE_EVERY_S = 0.25

INTAKE_SECONDS = Histogram(
    "nixflex_text_intake_seconds",
    "From a text's arrival in this process to the answer to its carrier",
    buckets=(*(ms / 1000 for ms in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50)), 0.1, 0.5, 1),
)


@dataclass(frozen=True, slots=True)
class Knock:
    """A request as it came: where, what, and by what it is signed."""

    url: str
    form: Mapping[str, str]
    signature: str


async def received(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
    """A text came in (ASGI). It is stored once, however often it is brought; the answer is always
    empty, as ours to the person goes out by a request of its own."""
    structlog.contextvars.bind_contextvars(request_id=(request_id := new_request_id()))
    with INTAKE_SECONDS.time():
        status = await _answer(scope, receive)
        content = _NOTHING if status == 200 else b""
        headers = [
            (b"content-type", b"text/xml"),
            (b"content-length", str(len(content)).encode()),
            (b"x-request-id", request_id.encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
    if status == 200:
        await _nudge.give()


async def _answer(scope: Mapping[str, Any], receive: Any) -> int:
    """Store the text; return the HTTP status to answer with."""
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
    # What was signed is the address as the carrier knows it, query included.
    query = scope["query_string"].decode("latin-1")
    url = f"{settings.PUBLIC_URL}{PATH}" + (f"?{query}" if query else "")
    signature = dict(scope["headers"]).get(b"x-twilio-signature", b"").decode("latin-1")
    try:
        outcome = await _writer.write(Knock(url, form, signature))
        if isinstance(outcome, Arrival) and takes_effect_at_once(outcome):
            async with ThreadSensitiveContext():  # a thread of its own: others need not wait
                await sync_to_async(_take_in_now)(outcome)
    except Exception as failure:
        # The carrier tries once more, and then its own list has the text (sms/recovery.py).
        log.error("text_not_stored", error=type(failure).__name__)
        return 500
    return _refused() if outcome is None else 200


def _refused() -> int:
    log.warning("text_webhook_refused")
    return 403


def _take_in_now(arrival: Arrival) -> None:
    try:
        take_in_now(arrival)
    except Exception as failure:
        # It is stored: it will have its turn.
        log.error("text_not_taken_in", error=type(failure).__name__)
    finally:
        _give_back_connection()


def _give_back_connection() -> None:
    """Give a thread's connection back to the pool, as Django does after a request of its own."""
    if not connection.in_atomic_block:
        close_old_connections()


# --- writing ------------------------------------------------------------------------------------

# What a knock comes to: None if it is not signed, False if its number is not imported.
type Outcome = Arrival | bool | None


class _Writer:
    """Commits texts, one batch at a time: what comes while one is written goes with the next."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Knock, asyncio.Future[Outcome]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, knock: Knock) -> Outcome:
        """Return once the text is committed; raise if it is not."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((knock, outcome))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all())
        return await outcome

    async def _write_all(self) -> None:
        while batch := self._waiting:
            self._waiting = []
            try:
                found: Sequence[Outcome | Exception] = await sync_to_async(store)(
                    [knock for knock, _ in batch]
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
    """Wakes workers, at most every ``NUDGE_EVERY_S``, and always after the last text."""

    def __init__(self) -> None:
        self._due = self._busy = False
        self._last = 0.0

    async def give(self) -> None:
        self._due = True
        if self._busy:
            return  # who is busy sees it
        self._busy = True
        try:
            while self._due:
                await asyncio.sleep(max(0.0, self._last + NUDGE_EVERY_S - time.monotonic()))
                self._due, self._last = False, time.monotonic()
                async with ThreadSensitiveContext():
                    await sync_to_async(nudges.take_in)()
        except Exception as failure:
            log.warning("text_nudge_lost", error=type(failure).__name__)  # beat finds the texts
        finally:
            self._busy = False


_writer, _nudge = _Writer(), _Nudge()

_NUMBERS = """
    SELECT number.phone_number, number.id, carrier.sid, carrier.auth_token
    FROM agents_phonenumber AS number
    JOIN accounts_carrieraccount AS carrier ON carrier.id = number.carrier_account_id
    WHERE number.phone_number = ANY(%s)
"""
_STORE = """
    INSERT INTO sms_arrival
        (number_id, carrier_sid, from_number, body, media, opt_out_type, at, due_at, failures)
    SELECT text.*, text.at, 0
    FROM unnest(
        %s::bigint[], %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::text[],
        %s::timestamptz[]
    ) AS text(number_id, carrier_sid, from_number, body, media, opt_out_type, at)
    ON CONFLICT (number_id, carrier_sid) DO NOTHING
"""
_token = lru_cache(maxsize=1_000)(decrypted)


def store(knocks: Sequence[Knock]) -> list[Outcome]:
    """Commit those texts that are signed, in one statement; return what each came to."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_NUMBERS, [[knock.form.get("To", "") for knock in knocks]])
            numbers = {row[0]: row[1:] for row in cursor.fetchall()}
            outcomes = [_check(knock, numbers.get(knock.form.get("To", ""))) for knock in knocks]
            if arrivals := [one for one in outcomes if isinstance(one, Arrival)]:
                cursor.execute(
                    _STORE,
                    [
                        [one.number_id for one in arrivals],
                        [one.carrier_sid for one in arrivals],
                        [one.from_number for one in arrivals],
                        [one.body for one in arrivals],
                        [json.dumps(one.media) for one in arrivals],
                        [one.opt_out_type for one in arrivals],
                        [one.at for one in arrivals],
                    ],
                )
        return outcomes
    finally:
        _give_back_connection()


def _check(knock: Knock, number: tuple[int, str, str] | None) -> Outcome:
    form = knock.form
    if number is None:
        return _of_unknown_number(knock)
    number_pk, sid, ciphertext = number
    if sid != form.get("AccountSid") or not _is_signed(knock, ciphertext):
        return None
    return Arrival(
        number_id=number_pk,
        carrier_sid=form["MessageSid"][:64],
        from_number=form.get("From", "")[:64],
        body=form.get("Body", ""),
        media=_media(form),
        opt_out_type=form.get("OptOutType", "")[:20],
        at=timezone.now(),
    )


def _of_unknown_number(knock: Knock) -> Outcome:
    """Say whether an account of ours brought it: then it need not be brought again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT auth_token FROM accounts_carrieraccount WHERE sid = %s",
            [knock.form.get("AccountSid", "")],
        )
        if not any(_is_signed(knock, ciphertext) for (ciphertext,) in cursor.fetchall()):
            return None
    log.warning("text_to_unknown_number", message_sid=knock.form["MessageSid"][:64])
    return False


def _is_signed(knock: Knock, ciphertext: str) -> bool:
    token = _token(ciphertext)
    return twilio.verify_signature(token, knock.url, knock.form, knock.signature)


def _media(form: Mapping[str, str]) -> list[dict[str, str]]:
    found = min(knocks.whole_number(form.get("NumMedia", "")) or 0, _MEDIA_AT_MOST)
    return [
        {
            "url": form.get(f"MediaUrl{position}", ""),
            "content_type": form.get(f"MediaContentType{position}", ""),
        }
        for position in range(found)
    ]
