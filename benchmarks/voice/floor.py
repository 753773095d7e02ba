"""The least that a voice agent can be: sockets joined to each other, and nothing else.

No turn rules, history, recording, database or SDK. It shows what the harness itself and the event
loop cost; no engine can be better. ``python -m benchmarks.voice.floor PORT STUBS_URL``.
"""

import asyncio
import json
import sys
from base64 import b64decode, b64encode
from typing import Any

import aiohttp
import orjson
import uvicorn

STUBS = ""
ASK = {
    "model": "claude-haiku-5-5", "max_tokens": 400, "stream": True,
    "messages": [{"role": "user", "content": "What time do you open tomorrow?"}],
}  # fmt: skip
_session: aiohttp.ClientSession | None = None


def session() -> aiohttp.ClientSession:
    global _session
    if _session is None:
        _session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    return _session


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    query = "encoding=mulaw&sample_rate=8000"
    async with (
        session().ws_connect(f"{STUBS}/v1/listen?{query}", compress=0) as ear,
        session().ws_connect(f"{STUBS}/v1/speak?{query}", compress=0) as mouth,
    ):
        call = _Call(send, ear, mouth)
        helpers = [asyncio.create_task(call.listen()), asyncio.create_task(call.speak())]
        try:
            while (message := await receive())["type"] == "websocket.receive":
                event = orjson.loads(message["text"])
                if event["event"] == "media":
                    await ear.send_bytes(b64decode(event["media"]["payload"]))
                elif event["event"] == "start":
                    call.stream = event["start"]["streamSid"]
                elif event["event"] == "stop":
                    break
        finally:
            for task in [*helpers, call.answering]:
                if task is not None:
                    task.cancel()


class _Call:
    def __init__(self, send: Any, ear: Any, mouth: Any) -> None:
        self._send, self._ear, self._mouth = send, ear, mouth
        self.stream = ""
        self.answering: asyncio.Task[None] | None = None
        self._silent = False  # between our Clear and its Cleared

    async def listen(self) -> None:
        async for message in self._ear:
            result = orjson.loads(message.data)
            if result["type"] != "Results":
                continue
            if result["speech_final"]:
                self.answering = asyncio.create_task(self._answer())
            elif self.answering is not None:
                self.answering.cancel()
                self.answering = None
                self._silent = True
                await self._mouth.send_str('{"type":"Clear"}')
                await self._say({"event": "clear", "streamSid": self.stream})

    async def _answer(self) -> None:
        text = ""
        async with session().post(f"{STUBS}/v1/messages", json=ASK) as response:
            async for line in response.content:
                if not line.startswith(b'data: {"type": "content_block_delta"'):
                    continue
                text += orjson.loads(line[6:])["delta"]["text"]
                if text.endswith("."):
                    await self._mouth.send_str(json.dumps({"type": "Speak", "text": text}))
                    await self._mouth.send_str('{"type":"Flush"}')
                    text = ""

    async def speak(self) -> None:
        async for message in self._mouth:
            if isinstance(message.data, bytes):
                if not self._silent:
                    payload = b64encode(message.data).decode()
                    media = {"payload": payload}
                    await self._say({"event": "media", "streamSid": self.stream, "media": media})
            elif "Cleared" in message.data:
                self._silent = False

    async def _say(self, event: dict[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": orjson.dumps(event).decode()})


if __name__ == "__main__":
    STUBS = sys.argv[2]
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        ws="websockets-sansio",
        loop="uvloop",
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="warning",
    )
