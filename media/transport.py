"""The wire formats of live audio. A transport turns messages into these values and back; it decides
nothing.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Protocol

import orjson


class BadFrame(Exception):
    """The other side sent what is no message of this protocol."""


@dataclass(frozen=True, slots=True)
class Started:
    """The stream is open: whose call it is, and the parameters of its TwiML."""

    carrier_sid: str
    stream_sid: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Audio:
    """Caller's audio: µ-law at 8 kHz, which began ``at_ms`` after the stream's start."""

    mulaw: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class Marked:
    name: str


@dataclass(frozen=True, slots=True)
class Pressed:
    digit: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The carrier ended the stream: the call is over or goes elsewhere."""


Incoming = Started | Audio | Marked | Pressed | Stopped


class Transport(Protocol):
    """What a session needs of a line. Messages out are encoded, text or bytes; sending is the
    socket's business. ``decode`` reads a message: None for events that need no answer, known or
    not; raises :class:`BadFrame`.
    """

    def media(self, mulaw: bytes) -> str | bytes: ...

    def mark(self, name: str) -> str | bytes: ...

    def clear(self) -> str | bytes: ...

    def decode(self, message: str | bytes) -> Incoming | None: ...


class TwilioStream:
    """Twilio Media Streams, both ways (spec/providers 1.9 is the source of every field)."""

    def __init__(self, stream_sid: str = "") -> None:
        self._name(stream_sid)

    def _name(self, stream_sid: str) -> None:
        self._stream_sid = stream_sid
        self._head = f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"'

    def media(self, mulaw: bytes) -> str:
        return f'{self._head}{b64encode(mulaw).decode("ascii")}"}}}}'

    def mark(self, name: str) -> str:
        return f'{{"event":"mark","streamSid":"{self._stream_sid}","mark":{{"name":"{name}"}}}}'

    def clear(self) -> str:
        return f'{{"event":"clear","streamSid":"{self._stream_sid}"}}'

    def decode(self, message: str | bytes) -> Incoming | None:
        """As of ``Transport``. What is sent names the stream of the ``start`` that was read."""
        if isinstance(message, bytes):
            raise BadFrame("binary messages are not part of this protocol")
        try:
            return self._read(orjson.loads(message))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # JSON and base64 errors are ValueErrors.
            raise BadFrame(f"not a Media Streams message: {type(error).__name__}") from error

    def _read(self, message: dict[str, Any]) -> Incoming | None:
        match message["event"]:
            case "media":
                media = message["media"]
                if media.get("track", "inbound") != "inbound":
                    return None
                return Audio(b64decode(media["payload"], validate=True), int(media["timestamp"]))
            case "mark":
                return Marked(str(message["mark"]["name"]))
            case "dtmf":
                return Pressed(str(message["dtmf"]["digit"]))
            case "stop":
                return Stopped()
            case "start":
                started = _started(message["start"])
                self._name(started.stream_sid)
                return started
            case _:
                return None


def _started(start: dict[str, object]) -> Started:
    audio = start["mediaFormat"]
    parameters = start.get("customParameters") or {}
    if not (isinstance(audio, dict) and isinstance(parameters, dict)):
        raise BadFrame("start without a media format")
    if audio.get("encoding") != "audio/x-mulaw" or audio.get("sampleRate") != 8000:
        raise BadFrame(f"expected µ-law at 8000 Hz, got {audio.get('encoding')!r}")
    return Started(
        str(start["callSid"]),
        str(start["streamSid"]),
        {str(name): str(value) for name, value in parameters.items()},
    )
