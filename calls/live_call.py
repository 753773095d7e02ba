"""A call as the live engine knows it: what it starts with, and nothing that needs a query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from agents import variables
from agents.effective import Effective, effective
from agents.greeting import by_name
from agents.history import Memory, memory_of
from agents.models import Agent
from agents.prompt import CallFacts, call_variables, voice_prompt
from agents.tools.base import Tool
from calls import gate
from calls.call_tools import tools_of
from calls.models import Call, Turn
from calls.transfer_rules import NO_TRANSFERS, TransferRules, rules_for


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """One committed turn, named as in ``Turn``. ``text`` is what was heard; times are ms since the
    call's audio began.
    """

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
    tools: Sequence[Tool] = ()
    transfers: TransferRules = NO_TRANSFERS
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """Something that happened in the audio. ``key`` is unique in the call."""

    key: str  # e.g. "2:17": media generation and number in it
    kind: str
    at: datetime  # aware
    data: dict[str, Any] = field(default_factory=dict)


def memory_for(call: Call, agent: Agent) -> Memory:
    """Return what the agent knows of the person on the line."""
    return memory_of(
        agent,
        call.number,
        call.their_number,
        before=call.created_at,
        given=gate.told_of(call),
    )


def live_call(
    call: Call,
    agent: Agent,
    memory: Memory,
    *,
    refuse_contact: Callable[..., bool],
    text_caller: Callable[[int, str], str],
) -> LiveCall:
    """Return what the media session of ``call`` is told. Its tools use ``refuse_contact`` and
    ``text_caller`` of ``calls.live``.
    """
    number, holds = call.number, effective(agent, call.number)
    outbound = call.direction == Call.Direction.OUTBOUND
    facts = CallFacts(
        call_id=call.call_id,
        direction=call.direction,
        our_number=call.our_number,
        their_number=call.their_number,
        started_at=call.answered_at or timezone.now(),
        purpose=call.prompt,
        variables=call.variables,
        memory=memory,
    )
    # A call's own prompt takes the place of the number's (spec 6.3).
    profile = None if outbound and call.prompt else number
    may_go = rules_for(call, agent, profile)
    stable, of_call = voice_prompt(
        agent=agent, number=profile, call=replace(facts, may_transfer=bool(may_go.numbers))
    )
    values = call_variables(agent, facts)
    welcome = variables.substitute(agent.welcome_message, values)
    action, message = _voicemail(call, holds)
    return LiveCall(
        pk=call.pk,
        call_id=call.call_id,
        carrier_sid=call.carrier_sid,
        direction=call.direction,
        our_number=call.our_number,
        their_number=call.their_number,
        generation=call.media_generation,
        carrier_account_id=number.carrier_account_id if number else None,
        system_stable=stable,
        system_call=of_call,
        model=holds.llm_model,
        language=holds.language,
        voice=holds.voice,
        speaking_rate=holds.speaking_rate,
        keyterms=holds.keyterms,
        # Outbound, the model opens: who it is and why it calls (spec 6.3).
        opening=""
        if outbound or agent.dynamic_greeting
        else by_name(welcome, memory.name if agent.greet_by_name else ""),
        speaks_first=agent.ai_speaks_first,
        fallback_message=agent.fallback_message,
        interruption_sensitivity=agent.interruption_sensitivity,
        response_eagerness_ms=agent.response_eagerness,
        stt_max_silence_ms=agent.stt_max_silence_ms,
        silence_hangup_s=agent.silence_hangup_seconds,
        max_duration_s=agent.max_call_duration_seconds,
        may_end_call=agent.func_end_call,
        dtmf_enabled=holds.dtmf_enabled,
        record=holds.record_call,
        voicemail_action=action,
        voicemail_message=variables.substitute(message, values),
        turns=tuple(_spoken(turn) for turn in call.turns.all()),
        tools=tools_of(
            call, number, memory, holds, values, refuse_contact, text_caller, transfers=may_go
        ),
        transfers=may_go,
        extras={
            "elapsed_ms": _since_audio_began(call),
            "amd_enabled": outbound and agent.amd_enabled,
            "amd_result": call.amd_result,  # a verdict that came before the socket did
            "answered_at": facts.started_at,
            "hangup_on_ivr": agent.hangup_on_ivr,
            "ivr_timeout_s": agent.ivr_timeout_seconds,
            "may_wait": "[WAIT" in stable + of_call,  # spec 6.6: only where the prompt mentions it
            "start_language": holds.start_language,
            "transcription_language": holds.transcription_language,
            "transcription_model": holds.transcription_model,
            "temperature": agent.temperature,
            "wait_tag_s": agent.wait_tag_seconds,
        },
    )


def _since_audio_began(call: Call) -> int:
    """How long ago, in ms, the call's first media socket opened; 0 if this is the first."""
    first = call.events.filter(kind="media opened").first()
    return round((timezone.now() - first.at) / timedelta(milliseconds=1)) if first else 0


def _voicemail(call: Call, holds: Effective) -> tuple[str, str]:
    """What to do at a machine, and what to say: the call's own wish, else number over agent."""
    message = call.voicemail_message or holds.voicemail_message
    leave, hang_up = Call.VoicemailAction.LEAVE_MESSAGE, Call.VoicemailAction.HANGUP
    action = call.voicemail_action or (leave if message else hang_up)
    if action == leave and not message:
        action = hang_up  # nothing to say
    return str(action), message


def _spoken(turn: Turn) -> SpokenTurn:
    return SpokenTurn(**{one.name: getattr(turn, one.name) for one in fields(SpokenTurn)})
