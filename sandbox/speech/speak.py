"""``/v1/speak``: Deepgram's text to speech, REST and WebSocket, in front of a real synthesiser."""

import asyncio
import contextlib
import re
import struct
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from sandbox import faults

from . import synthesiser
from .door import (
    SIMULATION,
    Query,
    Refused,
    accept,
    admit,
    bad,
    message_of,
    refuse_by_fault,
    uuid_of,
)
from .voices import Timbre, UnknownVoice, timbre_of

TEXT_LIMIT = 2000
FLUSHES, FLUSH_WINDOW_S = 20, 60.0
_DEFAULT_MODEL = "aura-asteria-en"
_CHUNK = 4096
_FOREVER_S = 3600.0
_RATES = {
    "linear16": ("8000", "16000", "24000", "32000", "48000"),
    "mulaw": ("8000", "16000"),
    "alaw": ("8000", "16000"),
}
_WAV_FORMAT = {"linear16": 1, "alaw": 6, "mulaw": 7}
_WS_KNOWN = frozenset({"model", "encoding", "sample_rate", "speed", "mip_opt_out"})
_REST_KNOWN = _WS_KNOWN | {"container", "bit_rate", "callback", "callback_method", "tag"}
# A sentence is finished when something follows it; before that only a Flush ends it.
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)]*\s+(?=\S)")


@dataclass(frozen=True)
class Options:
    """How the client wants its speech."""

    model: str
    timbre: Timbre
    encoding: str
    rate: int
    speed: float

    @classmethod
    def of(cls, query: Query, default_encoding: str | None) -> "Options":
        """Check the query; raise Deepgram's 400."""
        model = query.text("model", _DEFAULT_MODEL)
        try:
            timbre = timbre_of(model)
        except UnknownVoice:
            raise bad("No such model/version combination found.") from None
        encoding = query.choice("encoding", _RATES, default_encoding)
        rate = query.choice(
            "sample_rate", _RATES[encoding], "24000" if encoding == "linear16" else "8000"
        )
        speed = query.number("speed", 0.7, 1.5, 1.0)
        return cls(model, timbre, encoding, int(rate), speed)

    def audio(self, text: str) -> Any:
        """Return the asynchronous iterator of the speech, sentence by sentence."""
        return synthesiser.stream(
            text, voice=self.timbre, speed=self.speed, encoding=self.encoding, rate=self.rate
        )

    def wav_header(self) -> bytes:
        """A RIFF header for audio of unknown length, as a streaming server must write it."""
        width = 2 if self.encoding == "linear16" else 1
        form = struct.pack(
            "<HHIIHH", _WAV_FORMAT[self.encoding], 1, self.rate, self.rate * width, width, width * 8
        )
        endless = struct.pack("<I", 0xFFFFFFFF)
        return b"RIFF" + endless + b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + endless


async def speak(request: web.Request) -> web.StreamResponse:
    """POST: the whole text at once, answered with chunked audio."""
    admit(request)
    query = Query(request, _REST_KNOWN)
    if "encoding" not in request.query:
        raise bad("the sandbox has no mp3 (Deepgram's default): ask for mulaw, alaw or linear16.")
    options = Options.of(query, None)
    container = query.choice("container", ("none", "wav"), "wav")
    try:
        text = (await request.json())["text"]
        if not isinstance(text, str):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise bad('the body must be JSON: {"text": "…"}.') from None
    if not text.strip():
        raise bad("Input text is required.")
    if len(text) > TEXT_LIMIT:
        message = f"Input text exceeds maximum character limit of {TEXT_LIMIT}."
        raise Refused(413, "PAYLOAD_TOO_LARGE", message)
    about = f"{request.url.query_string} {text}"
    refuse_by_fault("voice_rest", about)

    kind = "audio/wav" if container == "wav" else f"audio/{options.encoding}"
    response = web.StreamResponse(
        headers={
            "Content-Type": kind,
            "dg-request-id": str(uuid.uuid4()),
            "dg-model-name": options.model,
            "dg-model-uuid": uuid_of(options.model),
            "dg-char-count": str(len(text)),
            **SIMULATION,
        }
    )
    response.enable_chunked_encoding()
    with contextlib.suppress(ConnectionError):  # who asked may have gone
        await response.prepare(request)
        if container == "wav":
            await response.write(options.wav_header())
        if faults.strike("voice_rest", "silent", about=about):
            await asyncio.sleep(_FOREVER_S)
        else:
            async for sentence in options.audio(text):
                slow = faults.strike("voice_rest", "slow", about=about)
                await asyncio.sleep(slow.get("seconds", 0.0))
                for at in range(0, len(sentence), _CHUNK):
                    await response.write(sentence[at : at + _CHUNK])
        await response.write_eof()
    return response


class _Session:
    """One socket. Text waits for the end of its sentence or a Flush; one task speaks in order."""

    def __init__(self, ws: web.WebSocketResponse, options: Options, about: str) -> None:
        self.ws, self.options, self.about = ws, options, about
        self.pending = ""
        self.flushes: deque[float] = deque()
        self.sequence = 0
        self.work: asyncio.Queue[str | int] = asyncio.Queue()  # text, or the number of a flush
        self.voice = asyncio.create_task(self._speak(), name="speak-voice")

    async def run(self) -> None:
        self.fault_close: asyncio.Task[Any] | None = None
        try:
            async for message in self.ws:
                if message.type is not WSMsgType.TEXT:
                    await self.ws.close(code=1008, message=b"DATA-0000: text messages only")
                elif not await self._control(message.data):
                    await self.work.join()
                    await self.ws.close(code=1000)
        finally:
            self.voice.cancel()
            tasks = [t for t in (self.voice, self.fault_close) if t]
            await asyncio.gather(*tasks, return_exceptions=True)

    def _close_for_fault(self) -> None:
        self.fault_close = asyncio.create_task(
            self.ws.close(code=1011, message=b"closed by an injected fault")
        )

    async def _control(self, text: str) -> bool:
        """Obey a client message; False when it was Close."""
        kind, message = message_of(text)
        match kind:
            case "Speak" if isinstance(message.get("text"), str):
                self._add(message["text"])
            case "Flush":
                await self._flush()
            case "Clear":
                await self._clear()
            case "Close":
                self._say_pending()
                return False
            case _:
                description = "Could not deserialize last text message."
                await self.ws.send_json(
                    {"type": "Error", "description": description, "code": "DATA-0000"}
                )
        return True

    def _add(self, text: str) -> None:
        self.pending += text
        ends = list(_SENTENCE_END.finditer(self.pending))
        if ends:
            self.work.put_nowait(self.pending[: ends[-1].end()])
            self.pending = self.pending[ends[-1].end() :]

    def _say_pending(self) -> None:
        if self.pending:
            self.work.put_nowait(self.pending)
            self.pending = ""

    async def _flush(self) -> None:
        now = time.monotonic()
        while self.flushes and now - self.flushes[0] > FLUSH_WINDOW_S:
            self.flushes.popleft()
        if len(self.flushes) >= FLUSHES:
            description = f"Exceeded {FLUSHES} flushes in {FLUSH_WINDOW_S:.0f} seconds."
            await self.ws.send_json(
                {"type": "Warning", "code": "EXCESSIVE_FLUSH", "description": description}
            )
            return
        self.flushes.append(now)
        self._say_pending()
        self.work.put_nowait(self.sequence)
        self.sequence += 1

    async def _clear(self) -> None:
        self.voice.cancel()
        await asyncio.gather(self.voice, return_exceptions=True)
        self.pending, self.work = "", asyncio.Queue()
        self.voice = asyncio.create_task(self._speak(), name="speak-voice")
        await self.ws.send_json({"type": "Cleared", "sequence_id": self.sequence})

    async def _speak(self) -> None:
        work, about = self.work, self.about
        while True:
            item = await work.get()
            if isinstance(item, int):
                await self.ws.send_json({"type": "Flushed", "sequence_id": item})
                if faults.strike("voice", "close", about=about):
                    self._close_for_fault()
                about = self.about
            else:
                about += f" {item}"
                await self._say(item, about)
            work.task_done()

    async def _say(self, text: str, about: str) -> None:
        if faults.strike("voice", "silent", about=about):
            await asyncio.sleep(_FOREVER_S)  # unless it is cleared
        breaks_off = bool(faults.strike("voice", "break_off", about=about))
        async for sentence in self.options.audio(text):
            slow = faults.strike("voice", "slow", about=about)
            await asyncio.sleep(slow.get("seconds", 0.0))
            end = len(sentence) // 2 if breaks_off else len(sentence)
            for at in range(0, end, _CHUNK):
                await self.ws.send_bytes(sentence[at : min(at + _CHUNK, end)])
            if breaks_off:
                self._close_for_fault()
                await asyncio.sleep(_FOREVER_S)  # ended with its socket


async def speak_live(request: web.Request) -> web.WebSocketResponse:
    """GET with an upgrade: text comes as it is written, audio goes out as it is made."""
    admit(request)
    refuse_by_fault("voice", request.url.query_string)
    options = Options.of(Query(request, _WS_KNOWN), "linear16")
    ws, request_id = await accept(request)
    await ws.send_json(
        {
            "type": "Metadata",
            "request_id": request_id,
            "model_name": options.model,
            "model_version": "sandbox",
            "model_uuid": uuid_of(options.model),
        }
    )
    await _Session(ws, options, request.url.query_string).run()
    return ws


def routes() -> list[web.RouteDef]:
    """Routes for the sandbox's one aiohttp application."""
    return [web.post("/v1/speak", speak), web.get("/v1/speak", speak_live)]
