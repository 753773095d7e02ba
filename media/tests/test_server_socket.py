"""The server's short cut for audio frames, against a real client and raw bytes on loopback."""

import asyncio
import base64
import gc
import os
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from conftest import PATIENCE_S
from media.server_socket import LARGEST, MOST_WAITING


class Echo:
    """An application that keeps what it received, and answers ``n:`` and the first letters; it
    reads nothing while ``reads`` is not set."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await self.reads.wait()
            message = await receive()
            self.got.append(message)
            if message["type"] != "websocket.receive":
                return
            text = message.get("text") or message["bytes"].decode()
            await send({"type": "websocket.send", "text": f"{len(text)}:{text[:5]}"})


@pytest.fixture
async def app() -> Echo:
    return Echo()


@pytest.fixture
async def port(app: Echo) -> AsyncIterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="media.server_socket:AudioProtocol",
            lifespan="off",
            loop="asyncio",
            ws_per_message_deflate=False,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield listening.getsockname()[1]
    server.should_exit = True
    await serving


class Raw:
    """A client that chooses where its bytes are cut."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Raw":
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        client.writer.write(
            f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        return client

    async def send(self, *parts: bytes) -> None:
        """Each part in a packet of its own."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(PATIENCE_S):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            return first & 0x0F, await self.reader.readexactly(length)

    async def aclose(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def text(words: str, *, fin: bool = True, opcode: Opcode = Opcode.TEXT) -> bytes:
    return Frame(opcode, words.encode(), fin).serialize(mask=True)


async def test_the_protocol_that_read_the_handshake_is_freed_without_the_collector(port: int):
    gc.collect()
    gc.disable()
    try:
        client = await Raw.open(port)
        # By ``type``: a dead proxy that another test left raises when it is asked for its class.
        left = [one for one in gc.get_objects() if issubclass(type(one), HttpToolsProtocol)]
    finally:
        gc.enable()

    await client.send(text("hello"))
    assert await client.answer() == (Opcode.TEXT, b"5:hello")
    await client.aclose()
    assert left == []


async def test_a_message_larger_than_any_of_a_carrier_ends_the_socket(app: Echo, port: int):
    async with connect(f"ws://127.0.0.1:{port}/", compression=None) as client:
        await client.send("a" * (LARGEST + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), PATIENCE_S)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert [message for message in app.got if message["type"] == "websocket.receive"] == []


async def test_messages_of_all_sizes_arrive_whole_and_in_order(port: int):
    async with connect(f"ws://127.0.0.1:{port}/", compression=None) as client:
        for size in (1, 125, 126, 400, 65_535, LARGEST):
            await client.send("é" * (size // 2) + "a" * (size % 2))
        await client.send(b"bytes")
        await client.send(b"more bytes")

        answers = [await asyncio.wait_for(client.recv(), PATIENCE_S) for _ in range(8)]

    assert [str(answer).split(":")[0] for answer in answers] == [
        "1", "63", "63", "200", "32768", "32768", "5", "10",
    ]  # fmt: skip


@pytest.mark.parametrize("cut", [1, 2, 4, 7, 8, 9, 100, 208, 209])
async def test_a_frame_may_be_cut_anywhere(port: int, cut: int):
    client = await Raw.open(port)
    frames = text("a" * 200) + text("b" * 200)

    await client.send(frames[:cut], frames[cut:] + text("c"), text("d"))

    answers = [(await client.answer())[1] for _ in range(4)]
    assert answers == [b"200:aaaaa", b"200:bbbbb", b"1:c", b"1:d"]
    await client.aclose()


async def test_frames_that_come_together_are_one_message_each(port: int):
    client = await Raw.open(port)

    await client.send(b"".join(text(str(n)) for n in range(30)))

    answers = [(await client.answer())[1].decode() for _ in range(30)]
    assert answers == [f"{len(str(n))}:{n}" for n in range(30)]
    await client.aclose()


async def test_fragments_pings_and_audio_between_them_keep_their_order(port: int):
    client = await Raw.open(port)

    await client.send(
        text("be", fin=False),
        Frame(Opcode.PING, b"there?").serialize(mask=True),
        text("gin", opcode=Opcode.CONT),
        text("next"),
    )

    assert [await client.answer() for _ in range(3)] == [
        (Opcode.PONG, b"there?"), (Opcode.TEXT, b"5:begin"), (Opcode.TEXT, b"4:next"),
    ]  # fmt: skip
    await client.aclose()


@pytest.mark.parametrize(
    ("mistake", "code"),
    [
        (Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True), 1007),
        (Frame(Opcode.TEXT, b"unmasked").serialize(mask=False), 1002),
        (b"\xc1" + text("reserved")[1:], 1002),
    ],
    ids=["no utf-8", "unmasked", "a reserved bit"],  # the masks are random
)
async def test_what_breaks_the_protocol_closes_the_socket_as_ever(
    port: int, mistake: bytes, code: int
):
    client = await Raw.open(port)

    await client.send(text("good"), mistake)

    assert await client.answer() == (Opcode.TEXT, b"4:good")
    opcode, payload = await client.answer()
    assert (opcode, struct.unpack("!H", payload[:2])[0]) == (Opcode.CLOSE, code)
    await client.aclose()


async def test_a_close_reaches_the_application(app: Echo, port: int):
    client = await connect(f"ws://127.0.0.1:{port}/", compression=None)
    await client.send("one")
    await client.recv()

    await client.close(1001, "bye")

    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert app.got[-1] == {"type": "websocket.disconnect", "code": 1001, "reason": "bye"}


async def test_an_application_that_does_not_read_stops_the_sender(app: Echo, port: int):
    client = await Raw.open(port)
    await client.send(text("first"))
    await client.answer()
    app.reads.clear()

    many = MOST_WAITING * 3
    await client.send(text("y"))
    client.writer.write(b"".join(text("z" * 1_000) for _ in range(many)))
    app.reads.set()

    answers = [(await client.answer())[1] for _ in range(many + 1)]
    assert answers == [b"1:y"] + [b"1000:zzzzz"] * many
    await client.aclose()
