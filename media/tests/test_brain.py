"""How a streamed answer is read, with the real SDK and an answer cut into packets at will."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agents.model import ModelFailed
from agents.tools.base import ToolCall
from media.brain import write_reply


class Model:
    """Answers every request with ``packets``, one write each, and then ends or breaks off."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.status = 200
        self.breaks_off = False
        self.asked: list[dict[str, Any]] = []
        app = web.Application()
        app.add_routes([web.post("/v1/messages", self._messages)])
        self.server = TestServer(app, host="127.0.0.1")

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        if self.status != 200:
            error = {"type": "overloaded_error", "message": "no"}
            return web.json_response({"type": "error", "error": error}, status=self.status)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for packet in self.packets:
            await response.write(packet)
            await asyncio.sleep(0.002)
        if self.breaks_off:
            assert request.transport is not None
            request.transport.abort()
        return response


@pytest.fixture
async def model(settings) -> AsyncIterator[Model]:
    one = Model()
    await one.server.start_server()
    settings.ANTHROPIC_API_URL = str(one.server.make_url("")).rstrip("/")
    settings.ANTHROPIC_API_KEY = "key"
    yield one
    await one.server.close()


def wire(*events: dict[str, Any]) -> bytes:
    lines = (f"event: {e['type']}\ndata: {json.dumps(e, ensure_ascii=False)}\n\n" for e in events)
    return "".join(lines).encode()


def text(words: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": words}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def piece(index: int, arguments: str) -> dict[str, Any]:
    delta = {"type": "input_json_delta", "partial_json": arguments}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def tool(index: int, name: str) -> dict[str, Any]:
    block = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
    return {"type": "content_block_start", "index": index, "content_block": block}


def end(reason: str) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {}}


async def written() -> list[str | ToolCall]:
    return [
        part
        async for part in write_reply(
            model="claude-haiku-5-5",
            system_stable="Be kind.",
            system_call="Today is Sunday.",
            messages=[{"role": "user", "content": "Hello."}],
        )
    ]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
async def test_a_reply_is_read_however_it_is_cut_into_packets(model: Model, size: int):
    # U+2028 is a line separator for Python, and none for the protocol.
    whole = wire(text("Où "), {"type": "ping"}, text("ça\u2028?"), end("end_turn"))
    model.packets = [whole[at : at + size] for at in range(0, len(whole), size)]

    assert "".join(map(str, await written())) == "Où ça\u2028?"
    assert model.asked[0]["stream"] is True


async def test_tools_come_after_the_text_with_their_arguments_put_together(model: Model):
    model.packets = [
        wire(text("Let me look."), tool(1, "find"), piece(1, '{"day": "M'), piece(1, 'onday"}')),
        wire(tool(2, "end_call"), end("tool_use")),
    ]

    assert await written() == [
        "Let me look.",
        ToolCall("toolu_1", "find", {"day": "Monday"}),
        ToolCall("toolu_2", "end_call", {}),
    ]


async def test_a_tool_whose_arguments_were_cut_short_is_not_used(model: Model):
    model.packets = [
        wire(text("Well."), tool(1, "find"), piece(1, '{"day": "M'), end("max_tokens"))
    ]

    assert await written() == ["Well."]


@pytest.mark.parametrize(
    ("packets", "breaks_off", "named"),
    [
        (
            [wire({"type": "error", "error": {"type": "overloaded_error"}})],
            False,
            "overloaded_error",
        ),
        ([wire(text("I"), end("refusal"))], False, "refusal"),
        ([wire(text("I was"))], False, "broken off"),
        ([wire(text("I was"))], True, "broken off"),
        ([b"data: {nonsense\n\n"], False, "unreadable"),
    ],
)
async def test_each_failure_in_the_middle_has_a_name(
    model: Model, packets: list[bytes], breaks_off: bool, named: str
):
    model.packets, model.breaks_off = packets, breaks_off

    with pytest.raises(ModelFailed, match=named):
        await written()


async def test_a_refused_request_is_named_by_the_service(model: Model):
    model.status = 529

    with pytest.raises(ModelFailed, match="overloaded_error"):
        await written()
