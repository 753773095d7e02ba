"""What the sandbox saw and did, in order, for a demo or a test to print or assert on.

Kept in memory, newest 50,000 events. Call from the event loop's thread only.
"""

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

KEPT = 50_000
LONGEST_WAIT_S = 60.0

_events: deque[dict[str, Any]] = deque(maxlen=KEPT)
_last = 0
_waiters: set[asyncio.Future[None]] = set()


def note(kind: str, *, call_sid: str | None = None, **fields: Any) -> None:
    """Append one event; ``fields`` must be JSON values. ``n`` counts up and never repeats."""
    global _last
    _last += 1
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    _events.append({"n": _last, "at": at, "kind": kind, "call_sid": call_sid, **fields})
    for waiter in _waiters:
        if not waiter.done():
            waiter.set_result(None)
    _waiters.clear()


def forget() -> None:
    """Drop every event; numbering goes on."""
    _events.clear()


def last() -> int:
    """The number of the newest event, 0 before the first."""
    return _last


def events(
    after: int = 0, *, kind: str | None = None, call_sid: str | None = None
) -> list[dict[str, Any]]:
    """Events numbered above ``after``, oldest first, optionally of one kind or one call."""
    found: list[dict[str, Any]] = []
    for event in reversed(_events):
        if event["n"] <= after:
            break
        if kind in (None, event["kind"]) and call_sid in (None, event["call_sid"]):
            found.append(event)
    return found[::-1]


async def wait_for_news(after: int, timeout_s: float) -> None:
    """Return as soon as an event above ``after`` exists, or when ``timeout_s`` has passed."""
    if _last > after:
        return
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    _waiters.add(waiter)
    try:
        async with asyncio.timeout(timeout_s):
            await waiter
    except TimeoutError:
        pass
    finally:
        _waiters.discard(waiter)


async def read(request: web.Request) -> web.Response:
    """``GET /_sandbox/journal?after=N&wait=S&kind=&call_sid=`` answers ``{"events", "last"}``.

    With ``wait`` (seconds, at most 60) it holds the request until something newer than ``after``
    matches.
    """
    query = request.query
    try:
        after = int(query.get("after", "0"))
        wait = min(float(query.get("wait", "0")), LONGEST_WAIT_S)
    except ValueError:
        raise web.HTTPBadRequest(text="after and wait must be numbers") from None
    kind, call_sid = query.get("kind"), query.get("call_sid")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    seen = after
    while not (found := events(after, kind=kind, call_sid=call_sid)):
        left = deadline - loop.time()
        if left <= 0:
            break
        seen = max(seen, _last)
        await wait_for_news(seen, left)
    return web.json_response({"events": found, "last": _last})


def routes() -> list[web.RouteDef]:
    """The journal's control routes."""
    return [web.get("/_sandbox/journal", read)]
