"""What the live engine knows of a call, and what it may say about it: the seam between ``calls``
and ``media``.

Everything is read once, when a media socket opens, and written in a thread beside the audio. Each
function is synchronous, opens and closes its own database connection use, and is safe to run twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class MediaRefused(Exception):
    """The ticket is unknown, used, expired, of another call, or the call is over."""


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """One committed turn. ``text`` is what was heard; times are ms since the call's audio began."""

    sequence: int
    role: str  # "agent" | "caller"
    text: str
    started_ms: int
    ended_ms: int
    full_text: str = ""
    interrupted: bool = False
    latency_ms: int | None = None
    timings: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call as its media session needs it: the settings it started with, and nothing that needs a
    query."""

    pk: int
    call_id: str
    carrier_sid: str
    direction: str  # "inbound" | "outbound"
    our_number: str
    their_number: str
    generation: int  # a socket that finds a higher one in the database stops speaking
    carrier_account_id: int | None
    # prompt: the stable, cacheable prefix first, the facts of this call after it
    system_stable: str
    system_call: str
    model: str
    # speech
    language: str
    voice: str  # the speech service's model name, e.g. "aura-2-thalia-en"
    speaking_rate: float | None
    keyterms: tuple[str, ...]
    # the effective settings (number over agent), ms or seconds as named
    opening: str  # exact first words; "" = the model writes them (outbound, dynamic greeting)
    speaks_first: bool
    fallback_message: str
    interruption_sensitivity: int
    response_eagerness_ms: int
    stt_max_silence_ms: int | None
    silence_hangup_s: int
    max_duration_s: int
    may_end_call: bool
    dtmf_enabled: bool
    record: bool
    voicemail_action: str  # "hangup" | "leave_message" | "ignore"
    voicemail_message: str
    turns: Sequence[SpokenTurn] = ()  # of an earlier socket of the same call
    extras: dict[str, Any] = field(default_factory=dict)
