"""The sockets of live audio."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from calls import live
from calls.live import LiveCall, MediaRefused
from media import openings
from media.commands import listener
from media.journal import in_thread
from media.roster import roster
from media.session import Session
from media.transport import BadFrame, Started, TwilioStream

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
OPEN_TIMEOUT_S = 5.0
MOST_BAD_FRAMES = 5
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


class TwilioStreamConsumer(AsyncWebsocketConsumer):
    """One Twilio media stream: checks who knocks, then carries messages between the socket and
    a session.

    Its receive loop is its own: Channels' dispatch makes a task and a thread hop of every
    message, 50 a second, and the thread is one that any blocking query would hold up.
    """

    channel_layer_alias = "none"  # audio is point to point: hold no Redis connection

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        self._receive: Callable[[], Awaitable[dict[str, Any]]] = receive
        self._send_event: Callable[[dict[str, Any]], Awaitable[None]] = send
        self._open = False
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
        session = Session(call, TwilioStream(started.stream_sid), self._send_text, opening=opening)
        listener().add(call.call_id, session)
        roster().enter(session)
        try:
            session.open()
            await self._carry(session)
        finally:
            await session.aclose()
            await roster().leave(session)
            await listener().remove(call.call_id, session)
        await self._close(NORMAL)

    async def _started(self) -> Started:
        """Wait for ``start``; only ``connected`` comes before it."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while True:
                    message = TwilioStream.decode(await self._next_text())
                    if isinstance(message, Started):
                        return message
        except TimeoutError:
            raise _Refused(NO_START, "no start message in time") from None
        except BadFrame as bad:
            raise _Refused(BAD_MESSAGE, str(bad)) from bad

    async def _admit(self, started: Started) -> LiveCall:
        """The call behind the socket's one-time pass; the handshake must be the carrier's."""
        headers = dict(self.scope.get("headers") or [])
        signature = headers.get(b"x-twilio-signature", b"").decode("latin-1")
        ticket = started.parameters.get(TICKET_PARAMETER, "")
        if not ticket:
            raise _Refused(NO_TICKET, "no one-time pass among the stream's parameters")
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                call: LiveCall = await in_thread(
                    live.open_media,
                    ticket,
                    started.carrier_sid,
                    signature=signature,
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
            text = await self._next_text()
            try:
                message = TwilioStream.decode(text)
            except BadFrame as frame:
                bad += 1
                if bad == 1:
                    session.note("bad_frame", error=str(frame))
                if bad >= MOST_BAD_FRAMES:
                    raise _Refused(BAD_MESSAGE, str(frame)) from frame
                continue
            if message is not None:
                session.take(message)

    async def _next_text(self) -> str:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._open = False
            raise _Disconnected
        text = message.get("text")
        if text is None:
            raise _Refused(BAD_MESSAGE, "binary frames are not part of this protocol")
        return str(text)

    async def _send_text(self, text: str) -> None:
        if self._open:
            try:
                await self._send_event({"type": "websocket.send", "text": text})
            except OSError:  # the carrier left while we spoke; the reader will hear of it
                self._open = False

    async def _close(self, code: int) -> None:
        if self._open:
            self._open = False
            with contextlib.suppress(OSError):
                await self._send_event({"type": "websocket.close", "code": code})
