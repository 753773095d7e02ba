"""Recordings of live calls, as WAV (16-bit, 8 kHz, mono or two channels)."""

import io
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from .audio import RATE, to_linear
from .line import SILENCE
from .signing import new_sid
from .state import account_uri, now, rfc2822

QUIET = 200  # 16-bit amplitude below which Trim counts sound as silence


@dataclass
class Recording:
    """One recording. Channel 1 is the person on the parent leg, channel 2 the carrier's side."""

    account_sid: str
    call_sid: str
    source: str
    channels: int
    track: str = "both"
    trim: bool = False
    callback: Callable[["Recording"], None] | None = None
    sid: str = field(default_factory=lambda: new_sid("RE"))
    status: str = "in-progress"
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    pause_silent: bool = False
    _person: bytearray = field(default_factory=bytearray)
    _agent: bytearray = field(default_factory=bytearray)

    def add(self, person: bytes, agent: bytes) -> None:
        """Take 20 ms of both sides, unless paused or stopped."""
        if self.status == "paused" and self.pause_silent:
            person = agent = SILENCE
        elif self.status != "in-progress":
            return
        self._person += person
        self._agent += agent

    def pause(self, *, silent: bool) -> None:
        self.status = "paused"
        self.pause_silent = silent
        self.updated = now()

    def resume(self) -> None:
        self.status = "in-progress"
        self.updated = now()

    def finish(self) -> None:
        """Nothing more will come; safe to call twice."""
        if self.status in ("completed", "absent"):
            return
        self.status = "completed" if self._person else "absent"
        self.updated = now()
        if self.callback:
            self.callback(self)

    @property
    def seconds(self) -> int:
        return round(len(self._samples()) / RATE)

    def _samples(self) -> np.ndarray:
        person, agent = to_linear(bytes(self._person)), to_linear(bytes(self._agent))
        if self.track == "inbound":
            agent = np.zeros_like(agent)
        elif self.track == "outbound":
            person = np.zeros_like(person)
        both = np.stack([person, agent], axis=1)
        if self.trim and both.size:
            loud = np.flatnonzero(np.abs(both.astype(np.int32)).max(axis=1) > QUIET)
            both = both[loud[0] : loud[-1] + 1] if loud.size else both[:0]
        return both

    def wav(self, channels: int) -> bytes:
        """The sound. Raises ValueError when two channels are asked of a mono recording."""
        if channels not in (1, self.channels):
            raise ValueError("this recording has one channel")
        both = self._samples()
        if channels == 1:
            mixed = both.astype(np.int32).sum(axis=1, keepdims=True)
            both = np.clip(mixed, -32768, 32767).astype(np.int16)
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(both.astype("<i2").tobytes())
        return out.getvalue()

    def resource(self, origin: str) -> dict[str, Any]:
        """The JSON of the API."""
        uri = f"{account_uri(self.account_sid)}/Recordings/{self.sid}"
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "call_sid": self.call_sid,
            "channels": self.channels,
            "conference_sid": None,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "duration": str(self.seconds) if self.status == "completed" else None,
            "encryption_details": None,
            "error_code": None,
            "media_url": f"{origin}{uri}",
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "source": self.source,
            "start_time": rfc2822(self.created),
            "status": self.status,
            "subresource_uris": {},
            "track": self.track,
            "uri": f"{uri}.json",
        }

    def form(self, origin: str) -> dict[str, str]:
        """The fields of ``RecordingStatusCallback``."""
        return {
            "AccountSid": self.account_sid,
            "CallSid": self.call_sid,
            "RecordingSid": self.sid,
            "RecordingUrl": f"{origin}{account_uri(self.account_sid)}/Recordings/{self.sid}",
            "RecordingStatus": self.status,
            "RecordingDuration": str(self.seconds) if self.status == "completed" else "-1",
            "RecordingChannels": str(self.channels),
            "RecordingStartTime": rfc2822(self.created) or "",
            "RecordingSource": self.source,
            "RecordingTrack": self.track,
            "ErrorCode": "0",
        }
