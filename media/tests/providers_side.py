"""The other side of a call in tests: providers that speak their protocols on loopback, and do what
the test tells them at the moment it tells them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from anthropic import Timeout

from conftest import PATIENCE_S
from media import consumers, openings, playout, providers, speaking, tool_rounds, transcriber, voice
from media import voice_sockets as sockets

CLAUSE_MS = 300


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the product wait for its providers as long as a test does.

    A slow machine is not what these tests call a fault. One that is about a time-out sets it.
    """
    for module, names in (
        (consumers, ["START_TIMEOUT_S", "OPEN_TIMEOUT_S"]),
        (openings, ["PATIENCE_S"]),
        (providers, ["SPEECH_REST_TIMEOUT_S"]),
        (sockets, ["CONNECT_TIMEOUT_S"]),
        (transcriber, ["CONNECT_TIMEOUT_S"]),
        (voice, ["CHUNK_TIMEOUT_S", "CLEAR_TIMEOUT_S"]),
    ):
        for name in names:
            monkeypatch.setattr(module, name, PATIENCE_S)
    for rules, name in (
        (speaking, "MODEL_DEADLINE_MS"),
        (speaking, "VOICE_DEADLINE_MS"),
        (tool_rounds, "TOOLS_GRACE_MS"),
        (tool_rounds, "FILLER_AFTER_MS"),
        (playout, "MARK_GRACE_MS"),
    ):
        monkeypatch.setattr(rules, name, round(PATIENCE_S * 1000))
    monkeypatch.setattr(providers, "MODEL_TIMEOUT", Timeout(PATIENCE_S))


@dataclass(frozen=True)
class Broken:
    """A reply that goes wrong behind ``text``: it stalls, is dropped, fails, or is refused."""

    text: str
    how: Literal["stall", "drop", "error", "refusal"]


class Providers:
    """Deepgram, Claude and Twilio's call update on one port."""

    def __init__(self) -> None:
        # In order: a text, a status to refuse with, or tools to ask for by name.
        self.replies: list[str | int | dict[str, dict[str, Any]] | Broken] = []
        self.prompts: list[dict[str, Any]] = []
        self.said: list[str] = []
        self.by_rest: list[str] = []
        self.heard = 0  # bytes of the caller's audio
        self.pieces: list[int] = []  # … in each message
        self._hearing = asyncio.Event()
        self.listen_query: dict[str, str] = {}
        self.listen_path = ""
        self.listeners: list[web.WebSocketResponse] = []
        self.ended: list[dict[str, str]] = []
        self.voices: list[tuple[dict[str, str], web.WebSocketResponse]] = []
        self.refuse_speak_socket = False
        self.refuse_speaking = 0  # so many requests by REST get 429
        self.break_speaking = 0  # so many clauses are broken off in their middle
        self.refuse_speak = False
        self.stuck_speaking = 0  # so many clauses stop in their middle, until they are cleared
        self.spoke = asyncio.Event()  # a clause was asked for
        self.cleared = asyncio.Event()
        self.before_reply: Callable[[], Awaitable[None]] | None = None
        self.refuse_listening = 0  # so many upgrades get 429
        self.models_listed = 0
        self.listening = asyncio.Event()
        self.not_listening = asyncio.Event()  # an upgrade was refused
        self.given_up = asyncio.Event()  # somebody had enough of a reply that stalled
        app = web.Application()
        app.add_routes(
            [
                web.get("/v1/listen", self._listen),
                web.get("/v2/listen", self._listen),
                web.get("/v1/speak", self._speak_live),
                web.post("/v1/speak", self._speak),
                web.post("/v1/messages", self._messages),
                web.get("/v1/models", self._models),
                web.post("/2010-04-01/Accounts/{account}/Calls/{sid}.json", self._update_call),
            ]
        )
        self.server = TestServer(app, host="127.0.0.1")

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def transcribe(self, text: str, *, final: bool = True, confidence: float = 0.98) -> None:
        """Tell the newest listener that these words were heard, and that the turn ended."""
        if self.listen_path == "/v2/listen":
            await self.turn("StartOfTurn", text, confidence)
            if final:
                await self.turn("EndOfTurn", text, confidence)
            return
        for is_final in (False, True) if final else (False,):
            await self.listeners[-1].send_json(
                {
                    "type": "Results",
                    "channel_index": [0, 1],
                    "start": 0.0,
                    "duration": 1.0,
                    "is_final": is_final,
                    "speech_final": is_final,
                    "channel": {
                        "alternatives": [
                            {"transcript": text, "confidence": confidence, "words": []}
                        ]
                    },
                    "metadata": {"request_id": "r"},
                }
            )

    async def turn(self, event: str, text: str, confidence: float = 0.98) -> None:
        """Tell the newest listener of a turn: ``EagerEndOfTurn``, ``TurnResumed`` …"""
        words = [{"word": word, "confidence": confidence} for word in text.split()]
        await self.listeners[-1].send_json(
            {
                "type": "TurnInfo",
                "request_id": "r",
                "sequence_id": 1,
                "event": event,
                "turn_index": 0,
                "audio_window_start": 0.0,
                "audio_window_end": 1.0,
                "transcript": text,
                "words": words,
                "end_of_turn_confidence": 0.8,
                **({"trigger": "model"} if event == "EndOfTurn" else {}),
            }
        )

    async def hears(self, size: int) -> None:
        """Wait until so many bytes of audio have come, by all sockets together."""
        async with asyncio.timeout(PATIENCE_S):
            while self.heard < size:
                self._hearing.clear()
                await self._hearing.wait()

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_listening:
            self.refuse_listening -= 1
            self.not_listening.set()
            return web.Response(status=429)
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        self.listen_query, self.listen_path = dict(request.query), request.path
        self.listeners.append(ws)
        self.listening.set()
        async for message in ws:
            if message.type is WSMsgType.BINARY:
                self.heard += len(message.data)
                self.pieces.append(len(message.data))
                self._hearing.set()
        return ws

    async def _speak_live(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_speak_socket:
            return web.Response(status=429)
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        self.voices.append((dict(request.query), ws))
        sequence, late = 0, b""
        async for message in ws:
            order = json.loads(message.data)
            if order["type"] == "Speak":
                self.said.append(order["text"])
                self.spoke.set()
            elif order["type"] == "Flush" and self.stuck_speaking:
                self.stuck_speaking -= 1
                late = b"\x20" * (CLAUSE_MS // 2) * 8
                await ws.send_bytes(late)
            elif order["type"] == "Flush" and self.break_speaking:
                self.break_speaking -= 1
                await ws.send_bytes(b"\x10" * (CLAUSE_MS // 2) * 8)
                await ws.close(code=1011)
            elif order["type"] == "Flush":
                await ws.send_bytes(b"\x10" * CLAUSE_MS * 8)
                await ws.send_json({"type": "Flushed", "sequence_id": sequence})
                sequence += 1
            elif order["type"] == "Clear":
                if late:  # was on its way
                    await ws.send_bytes(late)
                    late = b""
                self.cleared.set()
                await ws.send_json({"type": "Cleared", "sequence_id": sequence})
        return ws

    async def _speak(self, request: web.Request) -> web.Response:
        if self.refuse_speak:
            return web.Response(status=500)
        if self.refuse_speaking:
            self.refuse_speaking -= 1
            return web.Response(status=429)
        self.by_rest.append((await request.json())["text"])
        return web.Response(body=b"\x10" * CLAUSE_MS * 8)

    async def _models(self, _request: web.Request) -> web.Response:
        self.models_listed += 1
        return web.json_response({"data": [], "has_more": False})

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        self.prompts.append(await request.json())
        if self.before_reply is not None:
            await self.before_reply()
        reply = self.replies.pop(0) if self.replies else "I see."
        if isinstance(reply, int):
            error = {"type": "overloaded_error", "message": "no"}
            return web.json_response({"type": "error", "error": error}, status=reply)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        broken = reply if isinstance(reply, Broken) else None
        for kind, data in _events(broken.text if broken else cast("Reply", reply)):
            if broken and kind == "content_block_stop":
                break
            await response.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
        if broken:
            await self._break(request, response, broken.how)
        return response

    async def _break(self, request: web.Request, response: web.StreamResponse, how: str) -> None:
        if how == "stall":
            try:
                await asyncio.Event().wait()  # cancelled when the client goes
            finally:
                self.given_up.set()
        elif how == "drop":
            assert request.transport is not None
            request.transport.abort()
        elif how == "error":
            error = {"type": "overloaded_error", "message": "no"}
            await response.write(
                f"event: error\ndata: {json.dumps({'type': 'error', 'error': error})}\n\n".encode()
            )
        else:
            for kind, data in list(_events("", stop_reason="refusal"))[2:]:
                await response.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())

    async def _update_call(self, request: web.Request) -> web.Response:
        self.ended.append({str(k): str(v) for k, v in (await request.post()).items()})
        sid = request.match_info["sid"]
        return web.json_response({"sid": sid, "status": "completed"})


Reply = str | dict[str, dict[str, Any]]


def _events(reply: Reply, stop_reason: str = "") -> Iterable[tuple[str, dict[str, Any]]]:
    text, tools = (reply, {}) if isinstance(reply, str) else ("", reply)
    usage = {"input_tokens": 1, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-5-5",
        "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    yield "message_start", {"type": "message_start", "message": message}
    block: dict[str, Any] = {"type": "text", "text": ""}
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    yield "content_block_start", start
    for size in range(0, len(text), 7):
        delta = {"type": "text_delta", "text": text[size : size + 7]}
        body = {"type": "content_block_delta", "index": 0, "delta": delta}
        yield "content_block_delta", body
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    for index, (name, arguments) in enumerate(tools.items(), start=1):
        block = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
        at = {"index": index}
        yield "content_block_start", {"type": "content_block_start", **at, "content_block": block}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
        yield "content_block_delta", {"type": "content_block_delta", **at, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", **at}
    stop_reason = stop_reason or ("tool_use" if tools else "end_turn")
    end = {"stop_reason": stop_reason, "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": end, "usage": usage}
    yield "message_stop", {"type": "message_stop"}
