"""The wire format of a conversation in a browser: audio as binary messages of 16-bit little-endian
PCM at 16 kHz (in: 20 ms each), both ways, everything else as JSON text with an ``event``.

| event | from | |
| --- | --- | --- |
| ``start`` | browser | first: ``call`` (its carrier_sid) and the one-time ``token`` |
| ``mark`` | both | as Twilio's: returned when what was sent before it has been played |
| ``clear`` | us | be silent now, and return all marks |
| ``dtmf`` | browser | a key: ``digit`` |
| ``stop`` | browser | the person hung up |
"""

import orjson

from media.resampling import ToBrowser, ToTelephone
from media.transport import Audio, BadFrame, Incoming, Marked, Pressed, Started, Stopped

FRAME_MS = 20
FRAME = FRAME_MS * 32  # bytes


class BrowserStream:
    """One browser's line. Keeps the state of its two resamplers and the time of what it heard."""

    def __init__(self) -> None:
        self._heard = ToTelephone()
        self._said = ToBrowser()
        self._heard_ms = 0

    def media(self, mulaw: bytes) -> bytes:
        return self._said.pcm(mulaw)

    def mark(self, name: str) -> str:
        return f'{{"event":"mark","name":"{name}"}}'

    def clear(self) -> str:
        self._said = ToBrowser()
        return '{"event":"clear"}'

    def decode(self, message: str | bytes) -> Incoming | None:
        """Read one message; None for events that are not known. Raises :class:`BadFrame`."""
        if isinstance(message, bytes):
            if len(message) != FRAME:
                raise BadFrame(f"audio comes in frames of {FRAME} bytes")
            at_ms, self._heard_ms = self._heard_ms, self._heard_ms + FRAME_MS
            return Audio(self._heard.mulaw(message), at_ms)
        try:
            told = orjson.loads(message)
            match told["event"]:
                case "mark":
                    return Marked(str(told["name"]))
                case "dtmf":
                    return Pressed(str(told["digit"]))
                case "stop":
                    return Stopped()
                case "start":
                    return Started(str(told["call"]), "", {"t": str(told["token"])})
                case _:
                    return None
        except (KeyError, TypeError, ValueError) as error:
            raise BadFrame(f"not a message of this protocol: {type(error).__name__}") from error
