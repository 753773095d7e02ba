"""Requests from the carrier to the customer's server: signed, timed, retried as Twilio does.

Connect 5 s, whole request 15 s, one retry when no connection came about; the URL's fragment may
change that (``#rc=3&rp=all&ct=2000&rt=5000&tt=15000``).
"""

import asyncio
import contextlib
import uuid
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urldefrag, urlencode

import aiohttp
from yarl import URL

from sandbox import faults
from sandbox.journal import note

from .signing import signature
from .state import Account

USER_AGENT = "TwilioProxy/1.1 (sandbox simulation)"
REORDER_S = (0.05, 1.0)


@dataclass(frozen=True)
class Reply:
    """What the customer's server answered."""

    status: int
    content_type: str
    body: bytes
    url: str


class WebhookFailed(Exception):
    """No usable answer. ``code`` is Twilio's: 11205 connection, 11200 anything else over HTTP."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Webhooks:
    """Sends requests for one account. ``close()`` when done."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._session: aiohttp.ClientSession | None = None
        self._background: set[asyncio.Task[None]] = set()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The HTTP client shared by webhooks, media sockets and ``<Play>``."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def signature(self, url: str, params: Mapping[str, str] | None = None) -> str:
        return signature(self._account.auth_token, url, params)

    async def ask(
        self,
        url: str,
        params: Mapping[str, str],
        *,
        method: str = "POST",
        kind: str,
        call_sid: str | None = None,
    ) -> Reply:
        """Send; return the answer. Raises WebhookFailed: no connection, time-out, 4xx, 5xx."""
        url, fragment = urldefrag(url)
        wishes = dict(parse_qsl(fragment))
        retries = _number(wishes, "rc", 1, 5)
        again_on_anything = wishes.get("rp") == "all"
        token = str(uuid.uuid4())
        if method == "GET":
            url += ("&" if "?" in url else "?") + urlencode(params)
        headers = {
            "X-Twilio-Signature": self.signature(url, params if method == "POST" else None),
            "I-Twilio-Idempotency-Token": token,
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
        }
        timeout = aiohttp.ClientTimeout(
            sock_connect=_number(wishes, "ct", 5000, 10000) / 1000,
            sock_read=_number(wishes, "rt", 15000, 15000) / 1000,
        )
        failure = WebhookFailed(11205, "not tried")
        try:
            async with asyncio.timeout(_number(wishes, "tt", 15000, 15000) / 1000):
                for attempt in range(retries + 1):
                    try:
                        reply = await self._once(url, method, params, headers, timeout)
                    except aiohttp.ClientConnectorError as error:
                        failure = WebhookFailed(11205, f"cannot connect: {error.strerror or error}")
                    except aiohttp.ConnectionTimeoutError:
                        failure = WebhookFailed(11205, "no connection in time")
                    except (aiohttp.ClientError, ConnectionError) as error:
                        failure = WebhookFailed(11200, f"no answer: {type(error).__name__}")
                        if not again_on_anything:
                            break
                    else:
                        note(
                            kind,
                            call_sid=call_sid,
                            url=url,
                            params=dict(params),
                            response=reply.status,
                            attempt=attempt,
                        )
                        if reply.status < 400:
                            return reply
                        failure = WebhookFailed(11200, f"HTTP {reply.status}")
                        if not again_on_anything:
                            break
        except TimeoutError:
            failure = WebhookFailed(11200, "no answer in time")
        note(
            kind,
            call_sid=call_sid,
            url=url,
            params=dict(params),
            response=None,
            error=failure.reason,
            error_code=failure.code,
        )
        raise failure

    async def _once(
        self,
        url: str,
        method: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
    ) -> Reply:
        data = dict(params) if method == "POST" else None
        async with self.session.request(
            method, URL(url, encoded=True), data=data, headers=headers, timeout=limits
        ) as answer:
            body = await answer.read()
            return Reply(answer.status, answer.headers.get("Content-Type", ""), body, url)

    def tell(
        self,
        url: str,
        params: Mapping[str, str],
        *,
        method: str = "POST",
        kind: str,
        call_sid: str | None = None,
    ) -> None:
        """Send in the background, answer unused; this is where injected callback faults strike."""
        if not url:
            return
        fault = faults.get("callbacks")
        if faults.chance(fault.get("drop", 0.0)):
            note("callback_dropped", call_sid=call_sid, params=dict(params))
            return
        copies = 2 if faults.chance(fault.get("double", 0.0)) else 1
        low, high = fault.get("delay_s", (0.0, 0.0))
        for _ in range(copies):
            delay = faults.between(low, high) if high else 0.0
            if faults.chance(fault.get("reorder", 0.0)):
                delay += faults.between(*REORDER_S)
            self.start(self._tell(url, dict(params), method, kind, call_sid, delay))

    async def _tell(
        self,
        url: str,
        params: dict[str, str],
        method: str,
        kind: str,
        call_sid: str | None,
        delay: float,
    ) -> None:
        await asyncio.sleep(delay)
        with contextlib.suppress(WebhookFailed):  # the journal has it; Twilio, too, only logs it
            await self.ask(url, params, method=method, kind=kind, call_sid=call_sid)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run background work that is held, and cancelled at ``close``."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """Cancel what is under way and close the client."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._session is not None:
            await self._session.close()


def _number(wishes: Mapping[str, str], name: str, default: int, highest: int) -> int:
    """A connection override from the URL's fragment; nonsense counts as absent."""
    value = wishes.get(name, "")
    return min(int(value), highest) if value.isdigit() else default
