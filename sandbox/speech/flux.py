"""``/v2/listen``: Deepgram's conversational transcription (Flux), which decides where a turn ends.

The words come from the recogniser of ``/v1/listen``. The decision is made of two things that a
listener goes by: how long it has been quiet, and whether what was said sounds finished.
"""

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from . import vad
from .door import Query, accept, admit, bad, message_of, refuse_by_fault
from .ear import Ear, Heard, Word
from .live import Audio, LiveSocket, too_many

MODELS = frozenset({"flux-general-en", "flux-general-multi"})
LANGUAGES = frozenset(["en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"])
UPDATE_S = 0.25
"""Of audio: how often something is said of it if nothing happens."""

_KNOWN = frozenset(
    """model encoding sample_rate eager_eot_threshold eot_threshold eot_timeout_ms keyterm
    language_hint profanity_filter numerals redact mip_opt_out tag""".split()  # noqa: SIM905
)
_EAGER, _END, _TIMEOUT = (0.3, 0.9), (0.5, 1.0), (500, 60_000)
_PAUSE_S = 0.128  # the recogniser reads what was said after this much quiet
_FINISHED_S, _UNFINISHED_S = 0.28, 0.9  # the quiet that makes a listener fairly (63 %) sure
_GOES_ON = frozenset(
    """a about an and as at because but by can could for from have i i'd i'll i'm if in is it's
    like maybe my of on or our she so than that the their then there they to uh um was we
    well when where which will with would you your""".split()  # noqa: SIM905
)


@dataclass
class Thresholds:
    eager: float | None
    end: float
    timeout_ms: int

    def error(self) -> str:
        """Return what is wrong with them, ``""`` if nothing is."""
        for name, value, (low, high) in (
            ("eager_eot_threshold", self.eager, _EAGER),
            ("eot_threshold", self.end, _END),
            ("eot_timeout_ms", self.timeout_ms, _TIMEOUT),
        ):
            if value is not None and not low <= value <= high:
                return f"{name} must be between {low:g} and {high:g}, not {value:g}."
        if self.eager is not None and self.eager > self.end:
            return "eager_eot_threshold must not be above eot_threshold."
        return ""

    def as_json(self) -> dict[str, float | int | None]:
        return {
            "eager_eot_threshold": self.eager,
            "eot_threshold": self.end,
            "eot_timeout_ms": self.timeout_ms,
        }


@dataclass
class Options:
    """What the client asked of ``/v2/listen``."""

    model: str
    audio: Audio
    thresholds: Thresholds
    keyterms: list[str]
    hints: list[str]
    numerals: bool

    @classmethod
    def of(cls, request: web.Request) -> "Options":
        """Read and check the query; raise the 400 that Deepgram answers at the upgrade."""
        query = Query(request, _KNOWN)
        model = query.choice("model", MODELS)
        hints, keyterms = query.all("language_hint"), query.all("keyterm")
        if wrong := wrong_hints(model, hints):
            raise bad(wrong)
        if too_many(keyterms):
            raise bad("Keyterm limit exceeded. The maximum number of tokens is 500.")
        if query.text("redact"):
            query.choice("redact", {"numbers", "aggressive_numbers"})
        for name in ("profanity_filter", "mip_opt_out"):
            query.flag(name)
        eager = query.number("eager_eot_threshold", *_EAGER, 0)
        thresholds = Thresholds(
            eager or None,
            query.number("eot_threshold", *_END, 0.7),
            int(query.number("eot_timeout_ms", *_TIMEOUT, 5000)),
        )
        if wrong := thresholds.error():
            raise bad(wrong)
        sound = Audio.of(query)
        return cls(model, sound, thresholds, keyterms, hints, query.flag("numerals"))


def wrong_hints(model: str, hints: list[str]) -> str:
    """Return why these language hints are refused, ``""`` if they are not."""
    if hints and model != "flux-general-multi":
        return "language_hint is only valid when model is flux-general-multi."
    if unknown := [hint for hint in hints if hint.split("-")[0] not in LANGUAGES]:
        return f"language_hint={unknown[0]!r} is not supported."
    return ""


def confidence(text: str, quiet_s: float) -> float:
    """How sure one may be that nothing follows ``text`` after this much quiet; below 1."""
    words = text.lower().split()
    if not words or quiet_s < _PAUSE_S:
        return 0.05 if words else 0.0
    goes_on = text[-1] not in ".?!" or words[-1].strip(".,?!…") in _GOES_ON
    return 1 - math.exp(-quiet_s / (_UNFINISHED_S if goes_on else _FINISHED_S))


class _Session(LiveSocket):
    """One socket. A turn is waited for, ongoing (``_text``), or perhaps at its end (``_eager``).

    Audio is heard in its own order and time, however fast it comes: where somebody falls silent,
    the next of it waits until what they said has been read.
    """

    def __init__(
        self, ws: web.WebSocketResponse, options: Options, request_id: str, about: str
    ) -> None:
        super().__init__(ws, options.audio, Ear(endpointing_ms=None), about=about)
        self.options, self.request_id = options, request_id
        self._unheard: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._outgoing: asyncio.Queue[tuple[float, dict[str, Any]]] = asyncio.Queue()
        self._sequence = 0
        self._turn = 0
        self._turn_start = 0.0
        self._finals: list[Heard] = []
        self._interim: Heard | None = None
        self._ongoing = False
        self._eager: str | None = None
        self._told = 0.0  # when something was last said, in seconds of audio

    def hear(self, data: bytes) -> None:
        self._unheard.put_nowait(data)

    def end(self) -> None:
        self._unheard.put_nowait(None)

    async def report(self) -> None:
        sender = asyncio.create_task(self._send(), name="flux-send")
        self._say({"type": "Connected", "request_id": self.request_id})
        try:
            while (data := await self._unheard.get()) is not None:
                sound = self.sound.floats(data)
                for at in range(0, len(sound), vad.WINDOW):
                    self.ear.feed_floats(sound[at : at + vad.WINDOW])
                    await self._listen()
            await self._outgoing.join()
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def control(self, text: str) -> bool:
        kind, message = message_of(text)
        match kind:
            case "CloseStream":
                return False
            case "Configure":
                self._configure(message)
            case "ForceEndTurn":
                if self._ongoing:
                    self._end_turn("manual")
            case _:
                await self._fail("UNPARSABLE_CLIENT_MESSAGE", f"Unknown message: {text[:200]}")
        return True

    async def finish(self) -> None:
        await self.ws.close(code=1000)

    async def give_up(self, reason: str) -> None:
        if "fault" not in reason:
            await self._fail("NET-0001", reason)
        await super().give_up(reason)

    async def _fail(self, code: str, description: str) -> None:
        await self.ws.send_json(self._numbered({"type": "Error"}, code, description))
        await self.ws.close(code=1011, message=code.encode())

    # -- turns ---------------------------------------------------------------------------------

    async def _listen(self) -> None:
        quiet = self.ear.quiet_s
        if quiet >= _PAUSE_S:
            await self.ear.read()
        for event in self.ear.taken():
            if not isinstance(event, Heard) or event.flushed:
                continue  # a flush is the rest of a turn that has ended
            if event.final:
                self._interim = None
                self._finals += [event] if event.text else []
            else:
                self._interim = event
        text, limits = self._text, self.options.thresholds
        sure = confidence(text, quiet)
        if text and not self._ongoing:
            self._ongoing = True
            self._tell("StartOfTurn", sure)
        elif self._eager is not None and (text != self._eager or quiet < _PAUSE_S):
            self._eager = None
            self._tell("TurnResumed", sure)
        elif text and quiet * 1000 >= limits.timeout_ms:
            self._end_turn("timeout")
        elif limits.eager is not None and self._eager is None and text and sure >= limits.eager:
            self._eager = text
            self._tell("EagerEndOfTurn", sure)
        elif text and sure >= limits.end:
            self._end_turn("model")
        elif self.ear.now - self._told >= UPDATE_S:
            self._tell("Update", sure)

    @property
    def _heard(self) -> list[Heard]:
        return [*self._finals, *([self._interim] if self._interim else [])]

    @property
    def _text(self) -> str:
        return " ".join(heard.text for heard in self._heard)

    def _end_turn(self, trigger: str) -> None:
        sure = confidence(self._text, self.ear.quiet_s)
        self._tell("EndOfTurn", sure, trigger=trigger)
        self._turn += 1
        self._turn_start = self.ear.now
        self._finals, self._interim, self._ongoing, self._eager = [], None, False, None
        self.ear.flush()

    def _tell(self, event: str, sure: float, **more: Any) -> None:
        self._told = self.ear.now
        words = [word for heard in self._heard for word in heard.words]
        if self.options.hints:
            more["languages_hinted"] = self.options.hints
        if self.options.model == "flux-general-multi" and words:
            more["languages"] = ["en"]
        self._say(
            {
                "type": "TurnInfo",
                "request_id": self.request_id,
                "event": event,
                "turn_index": self._turn,
                "audio_window_start": round(self._turn_start, 3),
                "audio_window_end": round(self.ear.now, 3),
                "transcript": self._text,
                "words": [_word(word) for word in words],
                "end_of_turn_confidence": round(sure, 4),
                **more,
            }
        )

    # -- messages ------------------------------------------------------------------------------

    def _configure(self, message: dict[str, Any]) -> None:
        options = self.options
        asked = message.get("thresholds") or {}
        thresholds = Thresholds(
            asked.get("eager_eot_threshold", options.thresholds.eager),
            asked.get("eot_threshold", options.thresholds.end),
            asked.get("eot_timeout_ms", options.thresholds.timeout_ms),
        )
        keyterms = message.get("keyterms", options.keyterms)
        hints = message.get("language_hints", options.hints)
        wrong = thresholds.error() or wrong_hints(options.model, hints)
        if too_many(keyterms):
            wrong = "Keyterm limit exceeded. The maximum number of tokens is 500."
        about = {"request_id": self.request_id}
        if wrong:
            failure = {"type": "ConfigureFailure", **about, "code": "INVALID_CONFIGURATION"}
            self._say({**failure, "description": wrong})
            return
        options.thresholds, options.keyterms, options.hints = thresholds, keyterms, hints
        options.numerals = bool(message.get("numerals", options.numerals))
        self._say(
            {
                "type": "ConfigureSuccess",
                **about,
                "thresholds": thresholds.as_json(),
                "keyterms": keyterms,
                "language_hints": hints,
                "numerals": options.numerals,
            }
        )

    def _numbered(
        self, message: dict[str, Any], code: str = "", description: str = ""
    ) -> dict[str, Any]:
        numbered = {**message, "sequence_id": self._sequence}
        self._sequence += 1
        return {**numbered, "code": code, "description": description} if code else numbered

    def _say(self, message: dict[str, Any]) -> None:
        if not self.silenced:
            due = asyncio.get_running_loop().time() + self.delay_s()
            self._outgoing.put_nowait((due, self._numbered(message)))

    async def _send(self) -> None:
        while True:
            due, message = await self._outgoing.get()
            if (wait := due - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(wait)
            await self.ws.send_json(message)
            self._outgoing.task_done()


def _word(word: Word) -> dict[str, Any]:
    return {"word": word.text, "confidence": 0.98, "start": word.start, "end": word.end}


async def listen(request: web.Request) -> web.WebSocketResponse:
    """Serve one live conversation."""
    admit(request)
    refuse_by_fault("transcriber", request.url.query_string)
    options = Options.of(request)
    ws, request_id = await accept(request)
    await _Session(ws, options, request_id, request.url.query_string).run()
    return ws


def routes() -> list[web.RouteDef]:
    """Routes for the sandbox's one aiohttp application."""
    return [web.get("/v2/listen", listen)]
