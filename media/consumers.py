"""The sockets of live audio."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from channels.generic.websocket import AsyncWebsocketConsumer

from calls import live
from calls.live import LiveCall, MediaRefused
from media import openings
from media.browser import BrowserStream
from media.commands import listener
from media.journal import in_thread
from media.roster import roster
from media.session import Session
from media.transport import BadFrame, Started, Transport, TwilioStream

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
OPEN_TIMEOUT_S = 5.0
MOST_BAD_FRAMES = 5
MOST_BEFORE_START = 5  # messages; a carrier sends one
TICKET_PARAMETER = "t"

# Close codes. Twilio reports any but 1000 as an error, which a refusal shall be.
NORMAL = 1000
BAD_MESSAGE = 4400
NO_TICKET = 4401
REFUSED = 4403
NO_START = 4408
ENGINE_FAILED = 1011


class _Refused(Exception):
    """This socket gets no conversation; ``code`` is what it is closed with."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class _Disconnected(Exception):
    pass


class StreamConsumer(AsyncWebsocketConsumer):
    """One live line: checks who knocks, then carries messages between the socket and a session.

    Its receive loop is its own: Channels' dispatch makes a task and a thread hop of every
    message, 50 a second, and the thread is one that any blocking query would hold up.
    """

    channel_layer_alias = "none"  # audio is point to point: hold no Redis connection

    new_transport: ClassVar[type[Transport]]

    def signature(self) -> str | None:
        """Return what proves that the carrier knocks; None where there is no carrier."""
        return None

    def after(self, call: LiveCall) -> None:
        """Do what the end of the line means; runs in a thread."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        self._receive: Callable[[], Awaitable[dict[str, Any]]] = receive
        self._send_event: Callable[[dict[str, Any]], Awaitable[None]] = send
        self._open = False
        self._line = self.new_transport()
        try:
            await self._serve()
        except _Disconnected:
            return
        except _Refused as refused:
            logger.warning("media socket refused: %s", refused)
            await self._close(refused.code)
        except Exception:
            logger.exception("media socket failed")
            await self._close(ENGINE_FAILED)

    async def _serve(self) -> None:
        message = await self._receive()
        if message["type"] != "websocket.connect":
            return
        await self._send_event({"type": "websocket.accept"})
        self._open = True
        started = await self._started()
        if not roster().has_room:
            # The pass is not used up by this: the carrier asks again, and another has room.
            raise _Refused(NORMAL, "this process takes no more calls")
        call = await self._admit(started)
        opening = await in_thread(openings.take, call)
        session = Session(call, self._line, self._send_message, opening=opening)
        listener().add(call.call_id, session)
        roster().enter(session)
        try:
            session.open()
            await self._carry(session)
        finally:
            await session.aclose()
            await roster().leave(session)
            await listener().remove(call.call_id, session)
            await in_thread(self.after, call)
        await self._close(NORMAL)

    async def _started(self) -> Started:
        """Wait for ``start``; only ``connected`` comes before it."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                for _ in range(MOST_BEFORE_START + 1):
                    message = self._line.decode(await self._next_message())
                    if isinstance(message, Started):
                        return message
        except TimeoutError:
            raise _Refused(NO_START, "no start message in time") from None
        except BadFrame as bad:
            raise _Refused(BAD_MESSAGE, str(bad)) from bad
        raise _Refused(BAD_MESSAGE, "many messages, and no start among them")

    async def _admit(self, started: Started) -> LiveCall:
        """The call behind the socket's one-time pass; the handshake must be the carrier's, where
        there is one.
        """
        ticket = started.parameters.get(TICKET_PARAMETER, "")
        if not ticket:
            raise _Refused(NO_TICKET, "no one-time pass among the stream's parameters")
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                call: LiveCall = await in_thread(
                    live.open_media,
                    ticket,
                    started.carrier_sid,
                    signature=self.signature(),
                    process=roster().name,
                )
        except MediaRefused as refused:
            raise _Refused(REFUSED, str(refused)) from refused
        return call

    async def _carry(self, session: Session) -> None:
        """Messages in until the line is down or the conversation over."""
        reader = asyncio.create_task(self._read(session))
        over = asyncio.create_task(session.done.wait())
        try:
            await asyncio.wait({reader, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reader, over):
                task.cancel()
            await asyncio.wait({reader, over})
        if not reader.cancelled() and (error := reader.exception()) is not None:
            raise error

    async def _read(self, session: Session) -> None:
        bad = 0
        while True:
            try:
                text = await self._next_message()
            except _Disconnected:
                return
            try:
                message = self._line.decode(text)
            except BadFrame as frame:
                bad += 1
                if bad == 1:
                    session.note("bad_frame", error=str(frame))
                if bad >= MOST_BAD_FRAMES:
                    raise _Refused(BAD_MESSAGE, str(frame)) from frame
                continue
            if message is not None:
                session.take(message)

    async def _next_message(self) -> str | bytes:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._open = False
            raise _Disconnected
        text: str | None = message.get("text")
        return text if text is not None else bytes(message.get("bytes") or b"")

    async def _send_message(self, message: str | bytes) -> None:
        if self._open:
            kind = "text" if isinstance(message, str) else "bytes"
            try:
                await self._send_event({"type": "websocket.send", kind: message})
            except OSError:  # the carrier left while we spoke; the reader will hear of it
                self._open = False

    async def _close(self, code: int) -> None:
        if self._open:
            self._open = False
            with contextlib.suppress(OSError):
                await self._send_event({"type": "websocket.close", "code": code})


class TwilioStreamConsumer(StreamConsumer):
    """One Twilio media stream. What ends the call is the carrier's to say."""

    new_transport = TwilioStream

    def signature(self) -> str | None:
        headers = dict(self.scope.get("headers") or [])
        signature: str = headers.get(b"x-twilio-signature", b"").decode("latin-1")
        return signature


class BrowserStreamConsumer(StreamConsumer):
    """One conversation in a browser. There is no carrier: the call is over with its line."""

    new_transport = BrowserStream

    def after(self, call: LiveCall) -> None:
        live.end_browser_call(call.pk)
