"""Media Streams, the telephone company's side: the websocket client of ``<Connect><Stream>``.

Wire format: Twilio's "Media Streams - WebSocket messages" page. What the page calls an invalid
message is refused as strictly as Twilio does: unknown event, extra or missing field, wrong
``streamSid``, payload that is not base64 (31951), frames that are not JSON text (31924).
"""

import asyncio
import base64
import binascii
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from yarl import URL

from sandbox import faults
from sandbox.journal import note

from .line import FRAME, SILENCE
from .signing import new_sid

LONGEST_BUFFER = 600 * 8000  # ten minutes of µ-law
UNREAD_LIMIT = 32 * 1024  # bytes in our socket before we call the reader too slow
FIELDS = {
    "media": {"event", "streamSid", "media"},
    "mark": {"event", "streamSid", "mark"},
    "clear": {"event", "streamSid"},
}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class BadFrame(Exception):
    """A frame from the customer's server that the protocol does not allow."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def check_url(url: str) -> str | None:
    """Why Twilio would not connect to this stream URL, or None. ``ws`` is accepted on loopback."""
    parts = urlsplit(url)
    if parts.scheme != "wss" and not (parts.scheme == "ws" and parts.hostname in LOOPBACK):
        return f"the stream URL must be wss (ws on loopback): {parts.scheme}://{parts.hostname}"
    if parts.query:
        return "the stream URL must have no query string; use <Parameter>"
    return None


class MediaStream:
    """One stream of one call: a ``Medium`` that plays the server's audio, forwards the person's."""

    def __init__(
        self,
        *,
        account_sid: str,
        call_sid: str,
        url: str,
        parameters: dict[str, str],
        tell: Callable[[str, str], None],
    ) -> None:
        self.sid = new_sid("MZ")
        self.parameters = parameters
        self._account_sid = account_sid
        self._call_sid = call_sid
        self._url = url
        self._tell = tell
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._open = False
        self._sequence = 0
        self._chunk = 0
        self._buffer = bytearray()
        self._played = 0  # handed to the person, of which the newest 20 ms still sound
        self._heard = 0
        self._queued = 0
        self._marks: deque[tuple[int, str]] = deque()
        self._reported: set[int] = set()

    async def run(self, session: aiohttp.ClientSession, signature: str) -> str:
        """Connect and stay until the server or the protocol ends it.

        Returns ``closed`` (the server closed the socket), ``lost`` (the socket died), ``refused``
        (no connection) or ``protocol`` (a frame we do not accept). Cancel it to end the stream from
        our side: it then sends ``stop`` and closes with 1000.
        """
        if reason := check_url(self._url):
            return self._fail(31920, reason, "refused")
        try:
            async with asyncio.timeout(5):
                ws = await session.ws_connect(
                    URL(self._url, encoded=True),
                    headers={
                        "X-Twilio-Signature": signature,
                        "User-Agent": "TwilioMediaStreams/1.0 (sandbox simulation)",
                    },
                    max_msg_size=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
                )
        except TimeoutError:
            return self._fail(31920, "no handshake within 5 s", "refused")
        except aiohttp.WSServerHandshakeError as error:
            return self._fail(31920, f"handshake answered with HTTP {error.status}", "refused")
        except (aiohttp.ClientError, OSError) as error:
            return self._fail(31920, f"cannot connect: {type(error).__name__}", "refused")
        self._ws = ws
        try:
            await self._greet(ws)
            self._plan_accident(ws)
            async for message in ws:
                try:
                    await self._take(message)
                except BadFrame as bad:
                    self._open = False
                    await ws.close(code=1002, message=b"protocol error")
                    return self._fail(bad.code, bad.reason, "protocol")
        except asyncio.CancelledError:
            await self._stop(ws)
            raise
        except (ConnectionError, aiohttp.ClientError):
            pass
        self._open = False
        code = ws.close_code
        if code in (1000, 1001, 1005):
            note("stream_closed", call_sid=self._call_sid, stream_sid=self.sid, close_code=code)
            self._tell("stream-stopped", "")
            return "closed"
        return self._fail(31921, f"socket closed abnormally ({code})", "lost")

    # What the person is connected to.

    def frame(self) -> bytes:
        """The next 20 ms of what the server sent, silence when it sent nothing."""
        self._heard = self._played
        if not self._buffer:
            return SILENCE
        frame = bytes(self._buffer[:FRAME])
        del self._buffer[:FRAME]
        self._played += len(frame)
        return frame if len(frame) == FRAME else frame + SILENCE[len(frame) :]

    async def feed(self, voice: bytes) -> None:
        """Send 20 ms of the person, and the marks whose audio was over before this frame began."""
        if not self._open:
            return
        if self._marks and self._marks[0][0] <= self._heard:
            await self._echo_marks(self._heard)
        self._chunk += 1
        if self._unread() > UNREAD_LIMIT:
            self._warn(31930, "the server reads too slowly: inbound audio dropped")
            return
        self._sequence += 1
        await self._write(
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{self._chunk}","timestamp":"{self._chunk * 20}",'
            f'"payload":"{base64.b64encode(voice).decode()}"}},"streamSid":"{self.sid}"}}'
        )

    async def press(self, key: str) -> None:
        """Report a key."""
        if self._open:
            await self._event("dtmf", dtmf={"track": "inbound_track", "digit": key})

    # Frames from the server.

    async def _take(self, message: aiohttp.WSMessage) -> None:
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise BadFrame(31924, f"{message.type.name} frame; only text frames are allowed")
        try:
            frame = orjson.loads(message.data)
        except orjson.JSONDecodeError:
            raise BadFrame(31951, "frame is not JSON") from None
        event = self._check(frame)
        if event == "media":
            self._queue(frame["media"]["payload"])
        elif event == "mark":
            name = frame["mark"]["name"]
            note("mark", call_sid=self._call_sid, name=name, ahead_ms=len(self._buffer) // 8)
            self._marks.append((self._queued, name))
        else:
            dropped = len(self._buffer)
            note("clear", call_sid=self._call_sid, dropped_ms=dropped // 8, marks=len(self._marks))
            self._buffer.clear()
            self._heard = self._played = self._queued
            await self._echo_marks(self._queued)

    def _check(self, frame: Any) -> str:
        if not isinstance(frame, dict):
            raise BadFrame(31951, "frame is not a JSON object")
        event = frame.get("event")
        fields = FIELDS.get(event) if isinstance(event, str) else None
        if fields is None:
            raise BadFrame(31951, f"unknown event {event!r}")
        if frame.keys() != fields:
            wrong = ", ".join(sorted(frame.keys() ^ fields))
            raise BadFrame(31951, f"{event}: extra or missing field {wrong}")
        if frame["streamSid"] != self.sid:
            raise BadFrame(31951, f"{event}: wrong streamSid")
        key = {"media": "payload", "mark": "name"}.get(str(event))
        if key:
            inner = frame[event]
            if (
                not isinstance(inner, dict)
                or inner.keys() != {key}
                or not isinstance(inner[key], str)
            ):
                raise BadFrame(31951, f"{event} must hold exactly {key}, a string")
        return str(event)

    def _queue(self, payload: str) -> None:
        try:
            sound = base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError):
            raise BadFrame(31951, "media.payload is not base64") from None
        if len(self._buffer) + len(sound) > LONGEST_BUFFER:
            self._warn(31931, "more than ten minutes of audio buffered: discarded")
            return
        self._buffer += sound
        self._queued += len(sound)

    # Frames to the server.

    async def _greet(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_str('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        await self._event(
            "start",
            start={
                "accountSid": self._account_sid,
                "streamSid": self.sid,
                "callSid": self._call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": self.parameters,
            },
        )
        self._open = True
        note("stream_started", call_sid=self._call_sid, stream_sid=self.sid, url=self._url)
        self._tell("stream-started", "")

    async def _stop(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._open = False
        with contextlib.suppress(ConnectionError, aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(3):
                await self._event(
                    "stop", stop={"accountSid": self._account_sid, "callSid": self._call_sid}
                )
                await ws.close(code=1000)
        note("stream_stopped", call_sid=self._call_sid, stream_sid=self.sid)
        self._tell("stream-stopped", "")

    async def _echo_marks(self, position: int) -> None:
        while self._marks and self._marks[0][0] <= position:
            name = self._marks.popleft()[1]
            note("mark_echoed", call_sid=self._call_sid, name=name)
            await self._event("mark", mark={"name": name})

    async def _event(self, event: str, **fields: Any) -> None:
        self._sequence += 1
        frame = {
            "event": event,
            "sequenceNumber": str(self._sequence),
            **fields,
            "streamSid": self.sid,
        }
        await self._write(orjson.dumps(frame).decode())

    async def _write(self, text: str) -> None:
        if self._ws is None:
            return
        with contextlib.suppress(
            ConnectionError, aiohttp.ClientError
        ):  # the reader notices the loss
            await self._ws.send_str(text)

    def _unread(self) -> int:
        """Bytes that the server has not read yet."""
        transport = self._ws._conn.transport if self._ws and self._ws._conn else None
        return transport.get_write_buffer_size() if transport else 0

    # Trouble.

    def _plan_accident(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        fault = faults.take("stream")
        if not fault:
            return
        transport = ws._conn.transport if ws._conn else None
        if transport is not None:
            asyncio.get_running_loop().call_later(
                float(fault.get("close_after_s", 1.0)), transport.abort
            )

    def _warn(self, code: int, reason: str) -> None:
        if code not in self._reported:
            self._reported.add(code)
            note("warning", call_sid=self._call_sid, stream_sid=self.sid, code=code, text=reason)

    def _fail(self, code: int, reason: str, outcome: str) -> str:
        note("stream_error", call_sid=self._call_sid, stream_sid=self.sid, code=code, text=reason)
        self._tell("stream-error", f"{code} {reason}")
        return outcome
