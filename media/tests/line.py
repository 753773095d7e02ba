"""A telephone line in tests: Twilio's end of a media stream, which gives marks back at once or
when told to."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

from channels.routing import get_default_application
from channels.testing import WebsocketCommunicator
from django.conf import settings
from twilio.request_validator import RequestValidator

from conftest import PATIENCE_S


class Line:
    def __init__(self, *, account_sid: str, auth_token: str, call_sid: str) -> None:
        self.account_sid = account_sid
        self.call_sid = call_sid
        signature = RequestValidator(auth_token).compute_signature(settings.MEDIA_STREAM_URL, {})
        headers = [(b"x-twilio-signature", signature.encode())]
        self.socket = WebsocketCommunicator(
            get_default_application(), "/media/twilio/", headers=headers
        )
        self.messages: list[dict[str, Any]] = []
        self.audio = bytearray()
        self.closed_with: int | None = None
        self.gives_marks_back = True
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._at = 0

    async def open(self, token: str | None) -> None:
        connected, _ = await self.socket.connect(timeout=PATIENCE_S)
        assert connected
        await self.send(event="connected", protocol="Call", version="1.0.0")
        parameters = {} if token is None else {"t": token}
        audio = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start = {
            "accountSid": self.account_sid, "callSid": self.call_sid, "streamSid": "MZ1",
            "tracks": ["inbound"], "mediaFormat": audio, "customParameters": parameters,
        }  # fmt: skip
        await self.send(event="start", sequenceNumber="1", start=start, streamSid="MZ1")
        self._reader = asyncio.create_task(self._read())

    async def send(self, **message: Any) -> None:
        await self.socket.send_to(text_data=json.dumps(message))

    async def speak(self, ms: int, code: int = 0xFF) -> None:
        for _ in range(ms // 20):
            await self.send_audio(bytes([code]) * 160)

    async def send_audio(self, mulaw: bytes) -> None:
        """Send one frame of 20 ms."""
        media = {
            "track": "inbound", "chunk": str(self._at // 20), "timestamp": str(self._at),
            "payload": b64encode(mulaw).decode(),
        }  # fmt: skip
        await self.send(event="media", streamSid="MZ1", media=media)
        self._at += 20

    async def mark(self, name: str) -> None:
        await self.send(event="mark", streamSid="MZ1", mark={"name": name})

    async def until(self, seen: Callable[["Line"], bool]) -> None:
        """Wait until the line has seen something; fail if it never does."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: seen(self))

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == kind]

    async def closes(self) -> int:
        await self.until(lambda line: line.closed_with is not None)
        assert self.closed_with is not None
        await self.close()
        return self.closed_with

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        await self.socket.disconnect(code=1000, timeout=PATIENCE_S)

    async def _read(self) -> None:
        while self.closed_with is None:
            output = await self.socket.receive_output(timeout=10 * PATIENCE_S)
            if output["type"] == "websocket.close":
                self.closed_with = output.get("code", 1000)
            else:
                message = json.loads(output["text"])
                self.messages.append(message)
                if message["event"] == "media":
                    self.audio += b64decode(message["media"]["payload"])
                elif message["event"] == "mark" and self.gives_marks_back:
                    await self.mark(message["mark"]["name"])
            async with self._news:
                self._news.notify_all()
