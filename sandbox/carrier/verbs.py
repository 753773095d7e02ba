"""What a call does while it runs a TwiML document."""

import asyncio
import io
import sys
import wave
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast
from urllib.parse import urljoin

import aiohttp
import numpy as np

from sandbox import faults
from sandbox.journal import note

from .audio import RATE, Clip, Silence, key_tones, to_mulaw
from .dial import dial
from .line import SILENCE, Person
from .order import Fetch, Inline, Program, call_form
from .state import now
from .streams import MediaStream
from .twiml import BadTwiml, Verb, parse
from .webhooks import WebhookFailed

if TYPE_CHECKING:
    from .leg import Leg

XML = ("text/xml", "application/xml", "text/html")
APPLICATION_ERROR = "We are sorry. An application error has occurred. Goodbye."
SAY_VOICE = "aura-2-thalia-en"
WORD_S = 0.35
UNANSWERED = ("Reject", "Redirect", "Pause")  # as first verbs they do not pick an inbound call up

Synthesise = Callable[..., Awaitable[bytes]]


class EndCall(Exception):
    """The document ended the call with this terminal status."""

    def __init__(self, status: str = "completed") -> None:
        super().__init__(status)
        self.status = status


async def run(leg: "Leg", program: Program | None, caller: Person | None) -> None:
    """Run documents until one ends without a successor. ``caller`` is an inbound call's person,
    brought in when the call is picked up. Raises EndCall."""
    while program is not None:
        try:
            verbs, warnings = parse(await _document(leg, program))
        except (WebhookFailed, BadTwiml) as error:
            if leg.order.fallback and program != leg.order.fallback and isinstance(program, Fetch):
                extra = (("ErrorCode", str(error.code)), ("ErrorUrl", program.url))
                fallback = leg.order.fallback
                leg.order.fallback = None
                program = Fetch(fallback.url, fallback.method, extra)
                continue
            note("application_error", call_sid=leg.call.sid, code=error.code, text=error.reason)
            _pick_up(leg, caller)
            await say(leg, APPLICATION_ERROR)
            raise EndCall from None
        for warning in warnings:
            note("warning", call_sid=leg.call.sid, code=12200, text=warning)
        program = await _document_verbs(leg, verbs, caller)
    _pick_up(leg, caller)


async def _document_verbs(leg: "Leg", verbs: list[Verb], caller: Person | None) -> Program | None:
    for verb in verbs:
        note("verb", call_sid=leg.call.sid, verb=verb.name)
        if verb.name not in UNANSWERED:
            _pick_up(leg, caller)
        match verb.name:
            case "Hangup":
                raise EndCall
            case "Reject":
                if leg.call.answered is None:
                    raise EndCall("busy" if verb.get("reason") == "busy" else "no-answer")
            case "Redirect":
                return _follow(leg, verb.text, verb.get("method"))
            case "Pause":
                await asyncio.sleep(verb.seconds("length", 1))
            case "Say":
                for _ in range(max(1, verb.seconds("loop", 1))):
                    await say(leg, verb.text)
            case "Play":
                await _play(leg, verb)
            case "Connect":
                await _connect(leg, verb)
            case "Dial":
                form = await dial(leg, verb, _whisper)
                if action := verb.get("action"):
                    return _follow(leg, action, verb.get("method"), tuple(form.items()))
    return None


def _pick_up(leg: "Leg", caller: Person | None) -> None:
    if caller is not None and leg.call.answered is None:
        leg.answer()
        leg.attend(caller)


def _follow(leg: "Leg", url: str, method: str, extra: tuple[tuple[str, str], ...] = ()) -> Fetch:
    return Fetch(urljoin(leg.base_url, url), method.upper() or "POST", extra)


async def _document(leg: "Leg", program: Program) -> bytes | str:
    """The TwiML text. Raises WebhookFailed, BadTwiml."""
    if isinstance(program, Inline):
        return program.twiml
    form = call_form(leg.call) | leg.detection_form | dict(program.extra)
    leg.base_url = program.url
    reply = await leg.exchange.webhooks.ask(
        program.url, form, method=program.method, kind="twiml_fetched", call_sid=leg.call.sid
    )
    kind = reply.content_type.partition(";")[0].strip().lower()
    if not kind:
        raise BadTwiml(11200, "the answer has no Content-Type")
    if kind not in XML:
        raise BadTwiml(12300, f"invalid Content-Type: {kind}")
    return reply.body


async def _whisper(leg: "Leg", program: Fetch) -> None:
    """``<Number url>``: what the called party alone hears before the parties are connected."""
    await run(leg, program, None)


# Sound.


async def play(leg: "Leg", clip: Clip) -> None:
    """Play to the end."""
    leg.audio.medium = clip
    try:
        await clip.over.wait()
    finally:
        leg.audio.medium = Silence()


async def say(leg: "Leg", text: str) -> None:
    """Speak with the local voice; without the speech part, keep silent for as long."""
    if leg.call.answered is None:
        return
    note("say", call_sid=leg.call.sid, text=text)
    if voice := sys.modules.get("sandbox.speech.synthesiser"):
        sound = await cast("Synthesise", voice.synthesise)(text, voice=SAY_VOICE)
    else:
        note("warning", call_sid=leg.call.sid, code=0, text="no local speech: <Say> is silent")
        sound = SILENCE * round(len(text.split()) * WORD_S * 50)
    await play(leg, Clip(sound))


async def _play(leg: "Leg", verb: Verb) -> None:
    if digits := verb.get("digits"):
        note("digits_sent", call_sid=leg.call.sid, digits=digits)
        leg.line.keys_heard += digits.replace("w", "").replace("W", "")
        await play(leg, Clip(key_tones(digits)))
        return
    url = urljoin(leg.base_url, verb.text)
    try:
        async with leg.exchange.webhooks.session.get(
            url, timeout=aiohttp.ClientTimeout(total=15)
        ) as answer:
            answer.raise_for_status()
            sound = _from_wav(await answer.read())
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        note("warning", call_sid=leg.call.sid, code=11200, text=f"<Play> {url}: {error}")
        return
    except (wave.Error, ValueError, EOFError) as error:
        note(
            "warning",
            call_sid=leg.call.sid,
            code=12300,
            text=f"<Play> {url}: only PCM WAV is supported ({error})",
        )
        return
    note("play", call_sid=leg.call.sid, url=url)
    for _ in range(max(1, verb.seconds("loop", 1))):
        await play(leg, Clip(sound))


def _from_wav(data: bytes) -> bytes:
    with wave.open(io.BytesIO(data)) as file:
        if file.getsampwidth() != 2:
            raise ValueError("not 16-bit")
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        mono = samples.reshape(-1, file.getnchannels()).mean(axis=1)
        rate = file.getframerate()
    if rate != RATE:
        if rate % RATE == 0:  # a box filter against aliasing before dropping samples
            mono = np.convolve(mono, np.ones(rate // RATE) / (rate // RATE), mode="same")
        at = np.arange(0, len(mono), rate / RATE)
        mono = np.interp(at, np.arange(len(mono)), mono)
    return to_mulaw(mono)


# Streams.


async def _connect(leg: "Leg", verb: Verb) -> None:
    """``<Connect><Stream>``: returns when the call goes on with the next verb."""
    element = next((noun for noun in verb.nouns if noun.name == "Stream"), None)
    if element is None or not element.get("url"):
        note("warning", call_sid=leg.call.sid, code=12200, text="<Connect> without <Stream url>")
        return
    if element.get("track", "inbound_track") != "inbound_track":
        note(
            "stream_error",
            call_sid=leg.call.sid,
            code=31941,
            text="<Connect><Stream> takes inbound_track only",
        )
        return
    callback = element.get("statusCallback")

    def tell(event: str, error: str) -> None:
        if callback:
            form = {
                "AccountSid": leg.call.account_sid,
                "CallSid": leg.call.sid,
                "StreamSid": stream.sid,
                "StreamName": element.get("name"),
                "StreamEvent": event,
                "Timestamp": _milliseconds(),
            } | ({"StreamError": error} if error else {})
            leg.exchange.webhooks.tell(
                urljoin(leg.base_url, callback),
                form,
                method=element.get("statusCallbackMethod", "POST"),
                kind="stream_callback",
                call_sid=leg.call.sid,
            )

    stream = MediaStream(
        account_sid=leg.call.account_sid,
        call_sid=leg.call.sid,
        url=element.get("url"),
        parameters={noun.get("name"): noun.get("value") for noun in element.nouns},
        tell=tell,
    )
    leg.audio.medium = stream
    try:
        webhooks = leg.exchange.webhooks
        outcome = await stream.run(webhooks.session, webhooks.signature(element.get("url")))
    finally:
        leg.audio.medium = Silence()
    if outcome == "lost":
        policy = faults.socket_loss()
        if policy == "end_call":
            raise EndCall
        if policy == "half_open":
            await asyncio.Event().wait()  # until somebody hangs up


def _milliseconds() -> str:
    return now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
