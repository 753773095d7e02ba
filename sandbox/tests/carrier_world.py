"""A carrier on loopback, a customer's server that it knocks at, people who answer, Twilio's SDK."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from sandbox import faults, journal
from sandbox.app import build
from sandbox.carrier.carrier import CARRIER, Carrier
from sandbox.carrier.line import Line
from sandbox.carrier.state import ACCOUNT_SID, AUTH_TOKEN

OURS = "+12025550100"
THEIRS = "+13125550142"
VALIDATOR = RequestValidator(AUTH_TOKEN)


@dataclass
class Double:
    """A person whose behaviour the test writes."""

    answers: str = "answer"
    rings_s: float = 0.02
    answered_by: str = "human"
    amd_ms: int = 60
    refusal_code: int | None = None
    says: Callable[[Line], Awaitable[None]] | None = None
    replies: list[tuple[float, str]] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)

    async def talk(self, line: Line) -> None:
        if self.says:
            await self.says(line)
            return
        while (frame := await line.hear()) is not None:
            self.heard += frame

    async def on_text(self, *, sender: str, body: str) -> list[tuple[float, str]]:
        return self.replies


@dataclass
class Knock:
    """One request that the customer's server got."""

    path: str
    form: dict[str, str]
    genuine: bool
    token: str


@dataclass
class Product:
    """The customer's server: answers TwiML by path, records requests, takes one media socket."""

    origin: str = ""
    twiml: dict[str, str] = field(default_factory=dict)
    knocks: list[Knock] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    on_media: Callable[["Media"], Awaitable[None]] | None = None
    media_closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def knock(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        signed = request.headers.get("X-Twilio-Signature", "")
        genuine = VALIDATOR.validate(self.origin + request.path_qs, form, signed)
        token = request.headers.get("I-Twilio-Idempotency-Token", "")
        self.knocks.append(Knock(request.path, form, genuine, token))
        self.news.set()
        if request.path.startswith("/broken"):
            return web.Response(status=500)
        return web.Response(
            text=self.twiml.get(request.path, "<Response/>"), content_type="text/xml"
        )

    async def media(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        url = f"{self.origin.replace('http', 'ws', 1)}{request.path}"
        genuine = VALIDATOR.validate(url, {}, request.headers.get("X-Twilio-Signature", ""))
        assert self.on_media
        try:
            await self.on_media(Media(socket, genuine))
        finally:
            self.media_closed.set()
        return socket

    async def told(self, path: str, count: int = 1) -> list[Knock]:
        """Wait for ``count`` requests to a path."""
        while len(found := [knock for knock in self.knocks if knock.path == path]) < count:
            self.news.clear()
            await self.news.wait()
        return found


@dataclass
class Media:
    """The customer's end of a media stream."""

    socket: web.WebSocketResponse
    genuine: bool
    sid: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def next(self) -> dict[str, Any] | None:
        """The next frame, ``None`` once closed."""
        message = await self.socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        frame: dict[str, Any] = json.loads(message.data)
        if frame["event"] == "start":
            self.sid = frame["streamSid"]
        self.seen.append(frame)
        return frame

    async def until(self, event: str) -> dict[str, Any]:
        while frame := await self.next():
            if frame["event"] == event:
                return frame
        raise AssertionError(f"closed before {event}")

    async def play(self, sound: bytes) -> None:
        payload = {"payload": base64.b64encode(sound).decode()}
        await self.send(event="media", streamSid=self.sid, media=payload)

    async def send(self, **frame: Any) -> None:
        await self.socket.send_str(json.dumps(frame))


@dataclass
class World:
    """Everything a carrier test needs."""

    carrier: Carrier
    client: Client
    product: Product
    people: dict[str, Double]
    origin: str

    async def call(self, **options: Any) -> Any:
        """Create a call with the SDK; ``twiml`` or the product's ``/voice``."""
        if "twiml" not in options and "url" not in options:
            options["url"] = f"{self.product.origin}/voice"
        values = {"to": THEIRS, "from_": OURS, **options}
        return await asyncio.to_thread(self.client.calls.create, **values)

    async def ended(self, call_sid: str) -> dict[str, Any]:
        """Wait for the call's end; returns the journal's event."""
        return await self.saw("call_ended", call_sid)

    async def saw(self, kind: str, call_sid: str | None = None) -> dict[str, Any]:
        """Wait for the first journal event of a kind."""
        while not (found := journal.events(kind=kind, call_sid=call_sid)):
            await journal.wait_for_news(journal.last(), 10)
        return found[0]


@asynccontextmanager
async def open_world(*, cps: float = 50.0) -> AsyncIterator[World]:
    """Start the carrier and the customer's server; stop both."""
    faults.clear()
    journal.forget()
    people: dict[str, Double] = {THEIRS: Double()}
    product = Product()
    shop = web.Application()
    shop.router.add_get("/media", product.media)
    shop.router.add_route("*", "/{path:.*}", product.knock)
    app = build(["carrier"], directory=people.get, cps=cps)  # type: ignore[arg-type]
    async with TestServer(shop) as shop_server, TestServer(app) as server:
        product.origin = str(shop_server.make_url("/")).rstrip("/")
        origin = app[CARRIER].exchange.origin = str(server.make_url("/")).rstrip("/")
        client = Client(ACCOUNT_SID, AUTH_TOKEN)
        client.api.base_url = origin
        yield World(app[CARRIER], client, product, people, origin)
    faults.clear()
