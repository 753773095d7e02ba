"""``/v1/listen``: Deepgram's live transcription protocol (Nova) in front of a real recogniser."""

import asyncio
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from .door import Query, accept, admit, bad, message_of, refuse_by_fault, uuid_of
from .ear import Ear, Heard, SpeechStarted, UtteranceEnded
from .live import Audio, LiveSocket, too_many

_NAMES = """nova-3 nova-3-general nova-3-medical nova-2 nova-2-general nova-2-meeting nova-2-finance
    nova-2-conversationalai nova-2-voicemail nova-2-video nova-2-medical nova-2-drivethru
    nova-2-automotive nova-2-phonecall nova nova-general nova-phonecall nova-medical enhanced
    enhanced-general enhanced-meeting enhanced-phonecall enhanced-finance base meeting phonecall
    finance conversationalai voicemail video"""
MODELS = frozenset(_NAMES.split())
_SWITCHES = """interim_results vad_events punctuate smart_format numerals profanity_filter
    multichannel diarize dictation detect_entities mip_opt_out"""
_FLAGS = frozenset(_SWITCHES.split())
_VALUES = """model encoding sample_rate channels endpointing utterance_end_ms language language_hint
    keyterm keywords redact replace search diarize_model tag extra callback callback_method
    version"""
_KNOWN = _FLAGS | frozenset(_VALUES.split())
_LANGUAGE = re.compile(r"multi|[a-z]{2}(-[A-Z]{2}|-419|-Latn|-Hans|-Hant)?")


@dataclass
class Options:
    """What the client asked of ``/v1/listen``."""

    model: str
    audio: Audio
    interims: bool
    endpointing_ms: int | None
    utterance_end_ms: int | None
    vad_events: bool
    formatted: bool
    keyterms: list[str]

    @classmethod
    def of(cls, request: web.Request) -> "Options":
        """Read and check the query; raise the 400 that Deepgram answers at the upgrade."""
        query = Query(request, _KNOWN)
        flags = {name: query.flag(name) for name in _FLAGS}
        model = query.text("model", "base")
        if model not in MODELS or not _LANGUAGE.fullmatch(query.text("language", "en")):
            raise bad("No such model/language/tier combination found.")
        nova_3 = model.startswith("nova-3")
        keyterms = query.all("keyterm")
        if keyterms and not nova_3:
            raise bad("Keyterm Prompting is only available on nova-3; use keywords instead.")
        if query.all("keywords") and nova_3:
            raise bad("Keywords are not supported on nova-3; use keyterm instead.")
        if too_many(keyterms):
            raise bad("Keyterm limit exceeded. The maximum number of tokens is 500.")
        endpointing: int | None = None
        if query.text("endpointing") != "false":
            endpointing = int(query.number("endpointing", 0, 60_000, 10))
        utterance_end: int | None = None
        if query.text("utterance_end_ms"):
            utterance_end = int(query.number("utterance_end_ms", 1000, 5000, 0))
            if not flags["interim_results"]:
                raise bad("utterance_end_ms requires interim_results=true.")
        sound = Audio.of(query)
        if flags["multichannel"] and sound.channels > 1:
            raise bad("the sandbox mixes channels down; it has no multichannel mode.")
        return cls(
            model,
            sound,
            flags["interim_results"],
            endpointing,
            utterance_end,
            flags["vad_events"],
            flags["punctuate"] or flags["smart_format"],
            keyterms,
        )


def plain(text: str) -> str:
    """Return ``text`` as Deepgram writes it without formatting: lower case, no punctuation."""
    return " ".join(re.sub(r"[^\w'’\s-]|(?<!\w)-|-(?!\w)", " ", text.lower()).split())


class _Session(LiveSocket):
    """One socket: audio and control in, results out."""

    def __init__(
        self, ws: web.WebSocketResponse, options: Options, request_id: str, about: str
    ) -> None:
        ear = Ear(
            endpointing_ms=options.endpointing_ms,
            utterance_end_ms=options.utterance_end_ms,
            interims=options.interims,
        )
        super().__init__(ws, options.audio, ear, about=about)
        self.options, self.request_id = options, request_id
        self.digest = hashlib.sha256()
        self.created = datetime.now(UTC)
        self.final_end = 0.0

    def hear(self, data: bytes) -> None:
        self.digest.update(data)
        self.ear.feed_floats(self.sound.floats(data))

    def end(self) -> None:
        self.ear.close()

    async def control(self, text: str) -> bool:
        """Obey a client message; False when it was CloseStream."""
        kind, message = message_of(text)
        match kind:
            case "KeepAlive":
                pass
            case "Finalize":
                self.ear.flush()
            case "CloseStream":
                return False
            case "Configure":
                await self._configure(message)
            case _:
                await self.ws.send_json(
                    {
                        "type": "Error",
                        "variant": "SchemaError",
                        "description": "Could not deserialize last text message.",
                        "message": text[:500],
                    }
                )
        return True

    async def _configure(self, message: dict[str, Any]) -> None:
        keyterms, answer = message.get("keyterms"), {"request_id": self.request_id}
        if keyterms is None:
            await self.ws.send_json({"type": "ConfigureSuccess", **answer})
        elif not self.options.model.startswith("nova-3"):
            code = "CONFIGURE_KEYTERMS_NOT_SUPPORTED"
            text = "Only nova-3 models take key terms during a stream."
            await self.ws.send_json(
                {"type": "ConfigureFailure", "code": code, "description": text, **answer}
            )
        elif too_many(keyterms):
            code, text = "CONFIGURE_KEYTERM_LIMIT_EXCEEDED", "More than 500 tokens of key terms."
            await self.ws.send_json(
                {"type": "ConfigureFailure", "code": code, "description": text, **answer}
            )
        else:
            self.options.keyterms = keyterms
            await self.ws.send_json({"type": "ConfigureSuccess", "keyterms": keyterms, **answer})

    async def report(self) -> None:
        async for event in self.ear:
            if self.silenced:
                continue
            if delay := self.delay_s():
                await asyncio.sleep(delay)
            match event:
                case SpeechStarted(at) if self.options.vad_events:
                    await self.ws.send_json(
                        {"type": "SpeechStarted", "channel": [0, 1], "timestamp": round(at, 3)}
                    )
                case UtteranceEnded(end):
                    await self.ws.send_json(
                        {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": round(end, 3)}
                    )
                case Heard() if event.final or self.options.interims:
                    await self.ws.send_json(self._results(event))

    def _results(self, heard: Heard) -> dict[str, Any]:
        """Deepgram's finals tile the stream: each message starts where the last final ended."""
        start, formatted = self.final_end, self.options.formatted
        if heard.final:
            self.final_end = heard.end
        confidence = 0.98 if heard.final else 0.9  # the recogniser gives none
        words = []
        for word in heard.words:
            entry: dict[str, Any] = {
                "word": plain(word.text) or word.text,
                "start": word.start,
                "end": word.end,
                "confidence": confidence,
            }
            words.append(entry | {"punctuated_word": word.text} if formatted else entry)
        alternative = {
            "transcript": heard.text if formatted else plain(heard.text),
            "confidence": confidence if heard.text else 0.0,
            "words": words,
        }
        model = self.options.model
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": round(heard.end - start, 3),
            "start": round(start, 3),
            "is_final": heard.final,
            "speech_final": heard.final and heard.ended,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": self.request_id,
                "model_info": {"name": model, "version": "sandbox", "arch": "moonshine-tiny"},
                "model_uuid": uuid_of(model),
            },
            "from_finalize": heard.flushed,
        }

    async def finish(self) -> None:
        await self.ws.send_json(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self.request_id,
                "sha256": self.digest.hexdigest(),
                "created": self.created.isoformat().replace("+00:00", "Z"),
                "duration": round(self.ear.now, 3),
                "channels": self.options.audio.channels,
            }
        )
        await self.ws.close(code=1000)


async def listen(request: web.Request) -> web.WebSocketResponse:
    """Serve one live transcription."""
    admit(request)
    refuse_by_fault("transcriber", request.url.query_string)
    options = Options.of(request)
    ws, request_id = await accept(request)
    await _Session(ws, options, request_id, request.url.query_string).run()
    return ws


def routes() -> list[web.RouteDef]:
    """Routes for the sandbox's one aiohttp application."""
    return [web.get("/v1/listen", listen)]
