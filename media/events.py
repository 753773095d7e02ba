"""What the conversation machine is told, and what it asks for.

Every event carries ``t``: ms on the driver's clock, 0 when the call's audio began. Events and
actions are plain values, so a call is its list of events, and feeding that list to a new machine
gives the same actions.
"""

from dataclasses import dataclass, field
from typing import Any

from agents.tools.base import ToolCall, ToolResult
from calls.live import SpokenTurn


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at ``t``."""

    t: int


@dataclass(frozen=True, slots=True)
class Opened(Event):
    """The line carries audio both ways."""


@dataclass(frozen=True, slots=True)
class Voiced(Event):
    """The caller's side became loud (``True``) or quiet again; from local energy, so within 100
    ms.
    """

    loud: bool


@dataclass(frozen=True, slots=True)
class VoiceRose(Event):
    """The caller's voice has for 80 ms been clearly louder than their line was before."""


@dataclass(frozen=True, slots=True)
class VoiceFell(Event):
    """That voice has been gone for 120 ms."""


@dataclass(frozen=True, slots=True)
class Words(Event):
    """What the transcriber makes of the caller's running turn so far (cumulative, may change)."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnEnded(Event):
    """The caller stopped: the final words of the turn. ``speech_ended`` is when the voice fell
    silent.
    """

    text: str
    speech_ended: int
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class TurnMayEnd(Event):
    """The caller may have finished with these words: ``TurnEnded`` follows, or ``TurnResumed``."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnResumed(Event):
    """They had not: the turn goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class HearingLost(Event):
    """The transcriber is gone, for the ``tries``-th time in a row: the caller is not heard."""

    tries: int


@dataclass(frozen=True, slots=True)
class HearingBack(Event):
    """The caller is heard again."""


@dataclass(frozen=True, slots=True)
class ModelText(Event):
    """The model wrote a little more of the reply that was asked for as ``generation``."""

    generation: int
    text: str


@dataclass(frozen=True, slots=True)
class ModelDone(Event):
    generation: int


@dataclass(frozen=True, slots=True)
class ToolsWanted(Event):
    """The model stopped writing to have tools used; it goes on with what they answer."""

    generation: int
    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class ToolsDone(Event):
    """What the tools answered, in the order in which they were asked for."""

    generation: int
    results: tuple[ToolResult, ...]


@dataclass(frozen=True, slots=True)
class ModelFailed(Event):
    generation: int
    error: str


@dataclass(frozen=True, slots=True)
class ClauseReady(Event):
    """The voice produced the first audio of a clause."""

    clause_id: int


@dataclass(frozen=True, slots=True)
class ClauseAudio(Event):
    """``ms`` of a clause's audio went out to the carrier."""

    clause_id: int
    ms: int


@dataclass(frozen=True, slots=True)
class ClauseSent(Event):
    """All of a clause's audio went out, and its mark behind it."""

    clause_id: int


@dataclass(frozen=True, slots=True)
class ClauseFailed(Event):
    """No way of the voice could say this clause."""

    clause_id: int
    error: str


@dataclass(frozen=True, slots=True)
class Heard(Event):
    """The mark behind a clause came back: it was played to its end, or a clear returned it."""

    clause_id: int


@dataclass(frozen=True, slots=True)
class Digit(Event):
    digit: str


@dataclass(frozen=True, slots=True)
class MachineVerdict(Event):
    """The carrier's answering-machine detection: ``human``, ``machine_start``,
    ``machine_end_beep``, ``fax`` …
    """

    verdict: str


@dataclass(frozen=True, slots=True)
class Beep(Event):
    """A single tone ended at ``t``."""


@dataclass(frozen=True, slots=True)
class EndCommand(Event):
    """Somebody outside wants the call to end now."""

    reason: str


@dataclass(frozen=True, slots=True)
class CallerGone(Event):
    """The line is down."""


@dataclass(frozen=True, slots=True)
class Tick(Event):
    """The time in ``Conversation.wake_at`` has come."""


@dataclass(frozen=True, slots=True)
class AskModel:
    """Start writing a reply. At most one is being written: an earlier one was cancelled or is
    done.
    """

    generation: int
    messages: tuple[dict[str, Any], ...]
    may_use_tools: bool = True
    second: bool = False  # the first model failed: ask the operator's second one, if there is one


@dataclass(frozen=True, slots=True)
class UseTools:
    """Use these tools and report with ``ToolsDone``, whatever becomes of the reply.

    ``said`` is what the caller said so far, one turn a line.
    """

    generation: int
    calls: tuple[ToolCall, ...]
    said: str


@dataclass(frozen=True, slots=True)
class CancelModel:
    """Stop writing; what still arrives is of no interest."""


@dataclass(frozen=True, slots=True)
class Speak:
    """Say this clause after the ones before it, and send a mark named by its id behind it."""

    clause_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Prepare:
    """Have this clause's audio made, and hold it: nobody hears it before a ``Speak`` of the same
    text. At most one is held; ``Speak`` or ``Forget`` follows.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop the audio that is held, with what is still to come of it."""


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys, with pauses ``w`` and ``W``, after the clauses before; a clause like others."""

    clause_id: int
    keys: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Be silent at once: drop what is queued here, in the voice and at the carrier."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Be silent at once, but keep what was not heard yet: ``Resume`` or ``Clear`` follows."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on speaking where a ``Pause`` cut it, some ``playout.WAY_TO_THE_EAR_MS`` earlier."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Commit ``reason`` as the intended ``ended_reason``, then end the call at the carrier. The
    last action.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """Put the call through to a person, and let go of it. The last action.

    ``after_turn`` is the sequence number of the last turn before it.
    """

    number: str  # E.164
    kind: str  # "cold" | "warm"
    after_turn: int


@dataclass(frozen=True, slots=True)
class FarewellByCarrier(HangUp):
    """A hang-up where our own voice is gone: the carrier says ``words`` in its own before it."""

    words: str


@dataclass(frozen=True, slots=True)
class StoreTurn:
    turn: SpokenTurn


@dataclass(frozen=True, slots=True)
class RefuseContact:
    """Enter the caller in the suppression ledger; ``sequence`` is the turn that says so."""

    sequence: int
    phrase: str
    words: str
    scope: str


@dataclass(frozen=True, slots=True)
class FoundVoicemail:
    """Store that a voicemail answered, and the ``calls.machines`` method that told."""

    method: str


@dataclass(frozen=True, slots=True)
class Note:
    """An event for the call's log; never words that were spoken."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)


Action = (
    AskModel
    | UseTools
    | CancelModel
    | Speak
    | Prepare
    | Forget
    | Press
    | Clear
    | Pause
    | Resume
    | HangUp
    | HandOver
    | StoreTurn
    | RefuseContact
    | FoundVoicemail
    | Note
)
