"""A speech service and a model that always take the same time, on loopback.

They speak the wire protocols of Deepgram and Anthropic as far as the engines need them, and decide
nothing by themselves: the transcriber goes by the energy of the audio it is sent.

    transcriber  SpeechStarted and first interim 300 ms after the voice began, the final with
                 ``speech_final`` 100 ms after its last voiced frame; Flux: StartOfTurn 300 ms after
                 the voice began, EagerEndOfTurn 100 ms and EndOfTurn 500 ms after its last voiced
                 frame, by the audio that it has, of which it is sent 80 ms at a time
    model        first token after 200 ms, another each 10 ms
    voice        first audio 80 ms after a text, all of it at once

So an engine that costs nothing answers ``FLOOR_MS`` after the caller's last voiced frame: the first
sentence of the answer has twelve words. With Flux, one that writes and speaks ahead of the turn's
end answers ``FLUX_FLOOR_MS`` after it.
"""

import asyncio
import json
from collections import Counter, deque
from typing import Any

from aiohttp import WSMsgType, web

from benchmarks.voice import speech
from media.audio import LINEAR

INTERIM_MS = 300
ENDPOINT_MS = 100
FIRST_TOKEN_MS = 200
TOKEN_MS = 10
VOICE_MS = 80
WORD_MS = 200
ANSWER = (
    "We are open tomorrow from nine until five and also over lunch. "
    "You can come by at any time you like without an appointment."
)
WORDS = ANSWER.split()
FIRST_SENTENCE = next(index for index, word in enumerate(WORDS, 1) if word.endswith("."))
FLOOR_MS = ENDPOINT_MS + FIRST_TOKEN_MS + TOKEN_MS * (FIRST_SENTENCE - 1) + VOICE_MS
FLUX_END_MS = 500
FLUX_FLOOR_MS = max(FLUX_END_MS, FLOOR_MS)
FLUX_UPDATE_MS = 240
PIECE_MS = 200
_TONE_MULAW = bytes([0x9E, 0x8E, 0x9E, 0xFF, 0x1E, 0x0E, 0x1E, 0x7F] * 200)


@web.middleware
async def _forgive_goodbyes(request: web.Request, handler: Any) -> web.StreamResponse:
    """An engine that hangs up in mid-answer is no error of ours."""
    try:
        response: web.StreamResponse = await handler(request)
    except ConnectionResetError:
        return web.Response(status=499)
    return response


def _port(request: web.Request) -> int:
    """The asker's side of the connection; 0 once it is gone."""
    address = request.transport and request.transport.get_extra_info("peername")
    return int(address[1]) if address else 0


class Stubs:
    """The three services of one harness; ``lags`` says how late its own clock was, in ms."""

    def __init__(self, *, flux: bool = False) -> None:
        self.floor_ms = FLUX_FLOOR_MS if flux else FLOOR_MS
        self.app = web.Application(middlewares=[_forgive_goodbyes])
        self.app.add_routes(
            [
                web.get("/v1/listen", self._listen),
                web.get("/v2/listen", self._listen),
                web.get("/v1/speak", self._speak),
                web.post("/v1/speak", self._speak_once),
                web.post("/v1/messages", self._messages),
            ]
        )
        self.lags: deque[float] = deque(maxlen=100_000)
        self.backchannels_answered = 0
        self.sockets: Counter[str] = Counter()  # open, by their path
        self.asked_at: dict[int, float] = {}  # the model, last, by the asker's port

    async def _until(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        self.lags.append((loop.time() - due) * 1000)

    # --- transcriber ------------------------------------------------------------------------------

    async def _listen(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        kind = _FluxEar if request.path.startswith("/v2") else _Ear
        ear = kind(self, socket, request.query)
        self.sockets[request.path] += 1
        self.asked_at.pop(_port(request), None)
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    await ear.hear(message.data)
                elif message.type is WSMsgType.TEXT:
                    kind = json.loads(message.data).get("type")
                    if kind == "Finalize":
                        await ear.finalize()
                    elif kind == "CloseStream":
                        break
        finally:
            self.sockets[request.path] -= 1
            ear.close()
        return socket

    # --- voice ------------------------------------------------------------------------------------

    async def _speak(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        rate = int(request.query.get("sample_rate", 24_000))
        if request.query.get("encoding", "linear16") == "mulaw":
            piece = _TONE_MULAW[: PIECE_MS * rate // 1000]
        else:
            tone = (LINEAR[list(_TONE_MULAW[:8])].tobytes() * (rate // 8))[: rate * 2]
            piece = tone[: PIECE_MS * rate * 2 // 1000]
        jobs: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
        mouth = asyncio.create_task(self._utter(socket, jobs, piece))
        loop = asyncio.get_running_loop()
        self.sockets[request.path] += 1
        self.asked_at.pop(_port(request), None)
        try:
            async for message in socket:
                order = json.loads(message.data)
                if order["type"] == "Speak":
                    jobs.put_nowait((loop.time() + VOICE_MS / 1000, order["text"]))
                elif order["type"] == "Flush":
                    jobs.put_nowait((0.0, ""))
                elif order["type"] == "Clear":
                    mouth.cancel()
                    jobs = asyncio.Queue()
                    await socket.send_str('{"type":"Cleared","sequence_id":0}')
                    mouth = asyncio.create_task(self._utter(socket, jobs, piece))
                elif order["type"] == "Close":
                    break
        finally:
            self.sockets[request.path] -= 1
            mouth.cancel()
        return socket

    async def _speak_once(self, request: web.Request) -> web.Response:
        """By REST, µ-law at 8 kHz: where a call talks more than its socket's flushes allow."""
        due = asyncio.get_running_loop().time() + VOICE_MS / 1000
        words = len((await request.json())["text"].split())
        await self._until(due)
        piece = _TONE_MULAW[: PIECE_MS * 8]
        return web.Response(body=piece * (words * WORD_MS // PIECE_MS))

    async def _utter(
        self, socket: web.WebSocketResponse, jobs: "asyncio.Queue[tuple[float, str]]", piece: bytes
    ) -> None:
        while True:
            due, text = await jobs.get()
            if not text:
                await socket.send_str('{"type":"Flushed","sequence_id":0}')
                continue
            await self._until(due)
            for _ in range(len(text.split()) * WORD_MS // PIECE_MS):
                await socket.send_bytes(piece)

    # --- model ------------------------------------------------------------------------------------

    def _look_at(self, body: dict[str, Any]) -> None:
        said = body["messages"][-1]["content"]
        text = said if isinstance(said, str) else said[-1].get("text", "")
        self.backchannels_answered += text.strip().endswith(speech.BACKCHANNELS)

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        start = asyncio.get_running_loop().time()
        self.asked_at[_port(request)] = start
        self._look_at(await request.json())
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)

        async def say(kind: str, **data: Any) -> None:
            body = json.dumps({"type": kind, **data})
            await response.write(f"event: {kind}\ndata: {body}\n\n".encode())

        usage = {"input_tokens": 1, "output_tokens": 1}
        message: dict[str, Any] = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-5-5",
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage,
        }  # fmt: skip
        await say("message_start", message=message)
        await say("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for number, word in enumerate(WORDS):
            await self._until(start + (FIRST_TOKEN_MS + TOKEN_MS * number) / 1000)
            text = word if number == 0 else f" {word}"
            await say("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
        await say("content_block_stop", index=0)
        await say("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
        await say("message_stop")
        return response


class _Ear:
    """One transcriber socket: energy in, results out. Times are those of the audio, which arrives
    in real time.
    """

    def __init__(self, stubs: Stubs, socket: web.WebSocketResponse, query: Any) -> None:
        self._stubs = stubs
        self._socket = socket
        self._mulaw = query.get("encoding") == "mulaw"
        self._frame = 160 if self._mulaw else int(query.get("sample_rate", 16_000)) // 50 * 2
        self._text = ""
        self._quiet_ms = 0
        self._interims: asyncio.Task[None] | None = None

    async def hear(self, audio: bytes) -> None:
        for start in range(0, len(audio), self._frame):
            frame = audio[start : start + self._frame]
            await self._hear_frame(frame if self._mulaw else speech.to_mulaw(frame))

    async def _hear_frame(self, frame: bytes) -> None:
        if speech.is_voiced(frame):
            self._quiet_ms = 0
            if not self._text:
                self._text = speech.by_first_frame().get(frame, speech.QUESTION)
                began = asyncio.get_running_loop().time()
                self._interims = asyncio.create_task(self._tell(began))
        elif self._text:
            self._quiet_ms += 20
            if self._quiet_ms >= ENDPOINT_MS:
                await self._end(speech_final=True)

    async def _tell(self, began: float) -> None:
        words = self._text.rstrip(".?").split()
        for step in range(1, 4):
            await self._stubs._until(began + INTERIM_MS * step / 1000)
            if step == 1:
                await self._socket.send_str(
                    '{"type":"SpeechStarted","channel":[0,1],"timestamp":0.0}'
                )
            await self._send(" ".join(words[: 2 * step]), final=False, speech_final=False)

    async def _end(self, *, speech_final: bool) -> None:
        text, self._text = self._text, ""
        if self._interims is not None:
            self._interims.cancel()
        await self._send(text, final=True, speech_final=speech_final)

    async def finalize(self) -> None:
        """All that was said so far, marked ``from_finalize``."""
        text, self._text = self._text, ""
        await self._send(text, final=True, speech_final=False, from_finalize=True)

    async def _send(
        self, text: str, *, final: bool, speech_final: bool, from_finalize: bool = False
    ) -> None:
        result = {
            "type": "Results", "channel_index": [0, 1], "start": 0.0, "duration": 1.0,
            "is_final": final, "speech_final": speech_final, "from_finalize": from_finalize,
            "channel": {"alternatives": [{"transcript": text, "confidence": 0.98, "words": []}]},
            "metadata": {
                "request_id": "r", "model_uuid": "m",
                "model_info": {"name": "general", "version": "1", "arch": "nova-3"},
            },
        }  # fmt: skip
        if not self._socket.closed:
            await self._socket.send_str(json.dumps(result))

    def close(self) -> None:
        if self._interims is not None:
            self._interims.cancel()


class _FluxEar(_Ear):
    """The same ear behind Flux's protocol. It goes by the time of the audio alone."""

    _heard_ms = 0
    _voice_began = 0
    _told = 0
    _eager = False

    async def _hear_frame(self, frame: bytes) -> None:
        self._heard_ms += 20
        if speech.is_voiced(frame):
            self._quiet_ms = 0
            if not self._text:
                self._text = speech.by_first_frame().get(frame, speech.QUESTION)
                self._voice_began = self._heard_ms
                self._told = self._heard_ms + INTERIM_MS - FLUX_UPDATE_MS
            elif self._eager:
                self._eager = False
                await self._turn("TurnResumed", self._text)
        elif self._text:
            self._quiet_ms += 20
        if self._quiet_ms == ENDPOINT_MS and self._text and not self._eager:
            self._eager = True
            await self._turn("EagerEndOfTurn", self._text)
        elif self._quiet_ms >= FLUX_END_MS and self._text:
            text, self._text, self._eager = self._text, "", False
            await self._turn("EndOfTurn", text)
        elif self._heard_ms - self._told >= FLUX_UPDATE_MS:
            self._told = self._heard_ms
            steps = (self._heard_ms - self._voice_began) // INTERIM_MS if self._text else 0
            starts = steps and self._heard_ms - self._voice_began == INTERIM_MS
            so_far = " ".join(self._text.split()[: 2 * steps])
            await self._turn("StartOfTurn" if starts else "Update", so_far)

    async def _turn(self, event: str, text: str) -> None:
        words = [{"word": word, "confidence": 0.98} for word in text.split()]
        turn = {
            "type": "TurnInfo", "request_id": "r", "sequence_id": 0, "turn_index": 0,
            "event": event, "audio_window_start": 0.0, "audio_window_end": self._heard_ms / 1000,
            "transcript": text, "words": words, "end_of_turn_confidence": 0.8,
        }  # fmt: skip
        if not self._socket.closed:
            await self._socket.send_str(json.dumps(turn))
