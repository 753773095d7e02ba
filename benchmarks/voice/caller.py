"""A simulated telephone call: Twilio's end of a media stream, and the person on it.

The person asks, listens to the answer, waits a second and asks again. Of three answers one is
interrupted by the next question after a second, one gets a "mm-hmm" after a second and a half.
"""

import asyncio
import json
import random
from base64 import b64decode, b64encode
from collections import deque
from dataclasses import dataclass, field
from functools import cache

import aiohttp

from benchmarks.voice import speech

PAUSE_S = 1.0
INTERRUPTS_AFTER_S = 1.0
MUMBLES_AFTER_S = 1.5
ANSWER_TIMEOUT_S = 10.0
GAP_S = 0.02
STOPPED_AFTER_S = 2.0  # silence after a "mm-hmm" that means the agent gave up its answer


@dataclass(frozen=True)
class Way:
    """How to reach an engine as one call."""

    url: str
    headers: dict[str, str]
    account_sid: str
    call_sid: str
    parameters: dict[str, str]


@dataclass
class Measures:
    """What all calls of one round saw, in ms where not said otherwise."""

    added: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)  # voice begins → clear
    pauses: list[float] = field(default_factory=list)  # silence after a "mm-hmm", then speech
    late: list[float] = field(default_factory=list)  # our own frames
    failed: int = 0
    not_stopped: int = 0
    mumbled: int = 0
    false_stops: int = 0
    gaps: int = 0
    dropped: int = 0
    counting: bool = False


class Caller:
    """One call until ``stop`` is set; adds what it sees to ``measures`` while they count."""

    def __init__(
        self, way: Way, number: int, measures: Measures, stop: asyncio.Event, floor_ms: int
    ) -> None:
        """``floor_ms``: what the stubs themselves take from the last voiced frame to an answer."""
        self._way, self._number, self._measures, self._stop = way, number, measures, stop
        self._floor_ms = floor_ms
        self._clock = asyncio.get_running_loop().time
        self._stream = f"MZ{number:032x}"
        self._play_end = 0.0
        self._playing = False  # audio of the running answer has come
        self._began = 0.0  # when it came
        self._chance = random.Random(number)
        self._marks: deque[tuple[float, str]] = deque()
        self._asked: float | None = None  # when the last voiced frame left
        self._interrupted: float | None = None  # when the interrupting voice began
        self._mumbled: float | None = None
        self._cut_at: float | None = None  # a clear after a "mm-hmm"
        self._turn = number  # so that callers do not all do the same at once
        self._saying: deque[bytes] = deque()
        self._voice_ends = 0  # frames left to the last voiced one
        self._voice_begins = -1
        self._asks = False
        self._may_cut = self._may_mumble = False

    async def run(self, session: aiohttp.ClientSession) -> None:
        try:
            await self._call(session)
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            self._measures.dropped += 1

    async def _call(self, session: aiohttp.ClientSession) -> None:
        way = self._way
        async with session.ws_connect(way.url, headers=way.headers, compress=0) as socket:
            await socket.send_str('{"event":"connected","protocol":"Call","version":"1.0.0"}')
            audio = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
            start = {
                "accountSid": way.account_sid, "callSid": way.call_sid, "streamSid": self._stream,
                "tracks": ["inbound"], "mediaFormat": audio, "customParameters": way.parameters,
            }  # fmt: skip
            await socket.send_str(
                json.dumps({"event": "start", "start": start, "streamSid": self._stream})
            )
            reader = asyncio.create_task(self._read(socket))
            try:
                await self._talk(socket, reader)
            finally:
                reader.cancel()
            if reader.done() and not self._stop.is_set():
                self._measures.dropped += 1
            elif not socket.closed:
                await socket.send_str(
                    json.dumps({"event": "stop", "streamSid": self._stream, "stop": {}})
                )

    async def _talk(
        self, socket: aiohttp.ClientWebSocketResponse, reader: "asyncio.Task[None]"
    ) -> None:
        begun = self._clock()
        frame = 0
        while not self._stop.is_set() and not reader.done():
            due = begun + frame * 0.02
            now = self._clock()
            if due > now:
                await asyncio.sleep(due - now)
                now = self._clock()
            if self._measures.counting:
                self._measures.late.append((now - due) * 1000)
            self._decide(now, now - begun)
            await socket.send_str(
                f'{{"event":"media","sequenceNumber":"{frame + 2}","media":{{"track":"inbound",'
                f'"chunk":"{frame + 1}","timestamp":"{frame * 20}","payload":"{self._next(now)}"}},'
                f'"streamSid":"{self._stream}"}}'
            )
            while self._marks and self._marks[0][0] <= now:
                await self._give_back(socket, self._marks.popleft()[1])
            frame += 1

    async def _give_back(self, socket: aiohttp.ClientWebSocketResponse, name: str) -> None:
        mark = {"event": "mark", "streamSid": self._stream, "mark": {"name": name}}
        await socket.send_str(json.dumps(mark))

    # --- the person -------------------------------------------------------------------------------

    def _decide(self, now: float, age: float) -> None:
        if self._saying or age < 2.0 + (self._number % 25) * 0.02:
            return
        measures = self._measures
        if self._asked is not None:
            if now - self._asked > ANSWER_TIMEOUT_S:
                measures.failed += measures.counting
                self._asked = None
            return
        if self._interrupted is not None and now - self._interrupted > 5.0:
            measures.not_stopped += measures.counting
            self._interrupted = None
        left = self._play_end - now
        if self._cut_at is not None:
            if now - self._cut_at > STOPPED_AFTER_S:
                measures.false_stops += measures.counting
                self._cut_at = None
                self._ask(now)
        elif left < -PAUSE_S:
            self._ask(now)
        elif self._may_cut and self._playing and now - self._began > INTERRUPTS_AFTER_S:
            self._ask(now)
            self._interrupted = 0.0  # set when the voiced frame leaves
        elif self._may_mumble and self._playing and now - self._began > MUMBLES_AFTER_S:
            self._may_mumble = False
            measures.mumbled += measures.counting
            self._mumbled = now
            self._say(self._chance.choice(speech.backchannels()))

    def _ask(self, now: float) -> None:
        self._asks = True
        self._may_cut = self._may_mumble = False
        self._mumbled = None
        self._say(speech.question())

    def _say(self, utterance: speech.Utterance) -> None:
        self._saying = deque(utterance.frames)
        self._voice_begins = utterance.first
        self._voice_ends = utterance.last

    def _next(self, now: float) -> str:
        """The frame that leaves now, and what its leaving means."""
        if not self._saying:
            return _encoded(speech.hiss(self._chance.randrange(64)))
        if self._voice_begins == 0 and self._interrupted == 0.0:
            self._interrupted = now
        if self._voice_ends == 0 and self._asks:
            self._asks = False
            self._asked = now
            self._playing = False
            self._turn += 1
        self._voice_begins -= 1
        self._voice_ends -= 1
        return _encoded(self._saying.popleft())

    # --- what the agent says ----------------------------------------------------------------------

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            event = json.loads(message.data)
            now = self._clock()
            match event["event"]:
                case "media":
                    self._hear(now, len(b64decode(event["media"]["payload"])) / 8000)
                case "mark":
                    self._marks.append((self._play_end, event["mark"]["name"]))
                case "clear":
                    await self._clear(now, socket)

    def _hear(self, now: float, seconds: float) -> None:
        measures = self._measures
        if self._asked is not None:
            if measures.counting:
                measures.added.append((now - self._asked) * 1000 - self._floor_ms)
            self._asked = None
            self._may_cut, self._may_mumble = self._turn % 3 == 2, self._turn % 3 == 1
        elif self._cut_at is not None:
            if measures.counting:
                measures.pauses.append((now - self._cut_at) * 1000)
            self._cut_at = None
        elif self._playing and now > self._play_end + GAP_S and now < self._play_end + PAUSE_S:
            measures.gaps += measures.counting
        if not self._playing:
            self._playing = True
            self._began = now
        self._play_end = max(now, self._play_end) + seconds

    async def _clear(self, now: float, socket: aiohttp.ClientWebSocketResponse) -> None:
        measures = self._measures
        if self._interrupted:
            if measures.counting:
                measures.stops.append((now - self._interrupted) * 1000)
            self._interrupted = None
        elif self._mumbled is not None and self._play_end > now and now - self._mumbled < 1.5:
            self._cut_at = now
        self._play_end = min(self._play_end, now)
        if self._cut_at is None:
            self._playing = False
        marks, self._marks = self._marks, deque()
        for _, name in marks:
            await self._give_back(socket, name)


@cache
def _encoded(frame: bytes) -> str:
    return b64encode(frame).decode("ascii")
