"""What the live engine knows of a call, and what it may say about it: the seam between ``calls``
and ``media``.

Everything is read once, when a media socket opens, and written in a thread beside the audio. Each
function is synchronous, opens and closes its own database connection use, and is safe to run twice.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from accounts.errors import ApiError
from accounts.models import Suppression
from accounts.phone_numbers import is_e164
from accounts.suppression import suppress
from agents import variables
from agents.effective import Effective, effective
from agents.greeting import by_name
from agents.history import Memory, memory_of
from agents.models import Agent
from agents.prompt import CallFacts, call_variables, voice_prompt
from agents.tools.base import Tool
from calls import farewell, gate, services, tickets, transfers
from calls.call_tools import tools_of
from calls.dialling import carrier_account_of
from calls.models import Call, CallEvent, Turn
from calls.transfer_rules import NO_TRANSFERS, TransferRules, rules_for
from carriers import twilio, twiml
from carriers.errors import CarrierError
from sms.models import Message
from sms.services import text_from_call

logger = logging.getLogger(__name__)


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


def _own_connection[**P, R](work: Callable[P, R]) -> Callable[P, R]:
    """Let a long-lived thread use the database now and then without a stale connection."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        _drop_stale_connection()
        try:
            return work(*args, **kwargs)
        finally:
            _drop_stale_connection()

    return run


def _drop_stale_connection() -> None:
    if not connection.in_atomic_block:  # else it is the caller's
        close_old_connections()


@_own_connection
def open_media(
    token: str, carrier_sid: str, *, signature: str | None = None, process: str = ""
) -> LiveCall:
    """Redeem the one-time pass of a media socket's ``start`` and return the call it may speak for.

    The call is in progress from here on, and this socket has its highest generation. ``signature``
    is the handshake's ``X-Twilio-Signature`` ("" if it had none); None leaves it unchecked. Raises
    ``MediaRefused``; a pass shown for another call is used up all the same.
    """
    with transaction.atomic():
        call_pk = tickets.redeem(token)
    if call_pk is None:
        raise MediaRefused("the pass is unknown, used or expired")
    with transaction.atomic():
        call = (
            Call.objects.select_for_update(of=("self",))
            .select_related("agent", "number__carrier_account")
            .get(pk=call_pk)
        )
        if not carrier_sid or call.carrier_sid != carrier_sid:
            raise MediaRefused("the pass is for another call")
        if call.is_over or call.intended_reason:
            raise MediaRefused("the call is over")
        if call.agent is None:
            raise MediaRefused("the agent was deleted")
        if transfers.is_away(call):
            raise MediaRefused("the call is put through to a person")
        if signature is not None and not _signed(call, signature):
            raise MediaRefused("the handshake's signature is not valid")
        services.move_call(call.pk, Call.Status.IN_PROGRESS)
        call.refresh_from_db(fields=["status", "answered_at"])
        call.media_generation += 1
        call.media_seen_at = timezone.now()
        memory = _memory(call, call.agent)
        live = _live(call, call.agent, memory)
        call.system_prompt_used = f"{live.system_stable}\n\n{live.system_call}"
        call.memory_used = list(memory.record)
        call.save(
            update_fields=[
                "media_generation",
                "media_seen_at",
                "system_prompt_used",
                "memory_used",
            ]
        )
        services.record(call, "media opened", generation=call.media_generation, process=process)
    return live


def _signed(call: Call, signature: str) -> bool:
    account = carrier_account_of(call)
    return account is not None and twilio.verify_socket_signature(account.token, signature)


@_own_connection
def foresee(call_pk: int) -> LiveCall | None:
    """Return what a media socket of a call that rings would be told, were it answered now; None if
    it does not ring any more, or nobody may talk. Writes nothing.
    """
    call = (
        Call.objects.select_related("agent", "number__carrier_account")
        .filter(pk=call_pk, status__in=(Call.Status.INITIATED, Call.Status.RINGING))
        .filter(intended_reason="", media_generation=0)
        .first()
    )
    if call is None or call.agent is None:
        return None
    return _live(call, call.agent, _memory(call, call.agent))


def _memory(call: Call, agent: Agent) -> Memory:
    return memory_of(
        agent,
        call.number,
        call.their_number,
        before=call.created_at,
        given=gate.told_of(call),
    )


def _live(call: Call, agent: Agent, memory: Memory) -> LiveCall:
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
    return SpokenTurn(
        sequence=turn.sequence,
        role=turn.role,
        text=turn.text,
        started_ms=turn.started_ms,
        ended_ms=turn.ended_ms,
        full_text=turn.full_text,
        interrupted=turn.interrupted,
        latency_ms=turn.latency_ms,
        timings=turn.timings,
    )


@_own_connection
def store_turn(call_pk: int, turn: SpokenTurn) -> None:
    """Commit a turn. A sequence number that is stored already stays as it is."""
    Turn.objects.bulk_create(
        [
            Turn(
                call_id=call_pk,
                sequence=turn.sequence,
                role=turn.role,
                text=turn.text,
                full_text=turn.full_text,
                started_ms=turn.started_ms,
                ended_ms=turn.ended_ms,
                interrupted=turn.interrupted,
                latency_ms=turn.latency_ms,
                timings=turn.timings,
            )
        ],
        ignore_conflicts=True,
    )
    seen(call_pk)


@_own_connection
def store_events(call_pk: int, events: Sequence[LiveEvent]) -> None:
    """Commit events; those whose key the call has already are left out."""
    CallEvent.objects.bulk_create(
        [
            CallEvent(call_id=call_pk, key=event.key, kind=event.kind, at=event.at, data=event.data)
            for event in events
        ],
        ignore_conflicts=True,
    )


@_own_connection
def seen(call_pk: int) -> int:
    """Note that the call's audio is alive, and return its highest media generation.

    Called now and then (every 20 s or so), it keeps the sweep from asking the carrier.
    """
    Call.objects.filter(pk=call_pk).update(media_seen_at=timezone.now())
    return Call.objects.values_list("media_generation", flat=True).get(pk=call_pk)


@_own_connection
def seen_all(call_pks: Sequence[int]) -> dict[int, int]:
    """Renew the media lease of live calls; return the highest media generation of each.

    A process does so every two seconds for all of its calls. A lease that runs out lets the sweep
    hand the call to another process.
    """
    if not call_pks:
        return {}
    calls = Call.objects.filter(pk__in=call_pks)
    calls.update(media_seen_at=timezone.now())
    return dict(calls.values_list("pk", "media_generation"))


@_own_connection
def intend_end(call_pk: int, reason: str) -> bool:
    """Commit why the call is about to be ended (``Call.EndedReason``), before hanging up or saying
    goodbye.

    The first reason stays; False if there was one, or the call is over.
    """
    return services.intend_end(call_pk, reason)


@_own_connection
def note_voicemail(call_pk: int, method: str) -> None:
    """Store that a voicemail answered (``services.note_voicemail``)."""
    services.note_voicemail(call_pk, method)


@_own_connection
def hang_up(call_pk: int, reason: str, *, say: tuple[str, str] | None = None) -> bool:
    """Commit the reason, then have the carrier end the call; a call that is over is fine.

    ``say`` are last words for the carrier's own voice, and their language (``en-US``).
    False: the carrier could not be asked. The call ends all the same when the socket closes, as the
    carrier then asks what next, or by the sweep.
    """
    services.intend_end(call_pk, reason)
    call = Call.objects.select_related("number__carrier_account").get(pk=call_pk)
    account = carrier_account_of(call)
    if account is None or not call.carrier_sid:
        return False
    try:
        if say is not None:
            words, language = say
            document = twiml.say_and_hang_up(words, language=language)
            with contextlib.suppress(CarrierError):  # then without a word
                twilio.redirect(account, call.carrier_sid, twiml=document)
                return True
        twilio.hang_up(account, call.carrier_sid)
    except CarrierError as failure:
        logger.warning("cannot hang up %s: %s", call.call_id, type(failure).__name__)
        return False
    return True


@_own_connection
def end_browser_call(call_pk: int) -> bool:
    """End a call from a web page: its line is down, and no carrier will say so."""
    return services.end_call(call_pk, Call.Status.COMPLETED)


@_own_connection
def refuse_contact(
    call_pk: int, turn_sequence: int, phrase: str, *, words: str = "", scope: str = "all"
) -> bool:
    """Enter the person on the line in the suppression ledger, with the turn that said so as
    evidence; False if they are in it already, or withhold their number.

    ``phrase``, ``words`` and ``scope`` are those of ``accounts.refusals.find_refusal``. The turn
    need not be stored yet.
    """
    call = Call.objects.select_related("account").get(pk=call_pk)
    if not is_e164(call.their_number):
        return False
    said = call.turns.filter(sequence=turn_sequence).values_list("text", flat=True).first()
    with transaction.atomic():
        _, is_new = suppress(
            call.account,
            call.their_number,
            source=Suppression.Source.SPOKEN,
            scope=scope,
            evidence={
                "call_id": call.call_id,
                "turn": turn_sequence,
                "phrase": phrase,
                "text": said or words,
            },
        )
        if is_new:
            services.record(call, "refused contact", turn=turn_sequence, phrase=phrase, scope=scope)
    return is_new


@_own_connection
def text_caller(call_pk: int, body: str) -> str:
    """Text the person of a call that is on (spec 6.7.2); return why it cannot be, "" if it will be
    sent.
    """
    call = Call.objects.select_related("agent__account", "number").get(pk=call_pk)
    if call.agent is None or call.number is None:
        return "There is no number to text from."
    try:
        message = text_from_call(
            agent=call.agent,
            number=call.number,
            to_number=call.their_number,
            body=body,
            call_id=call.call_id,
            origin=Message.Origin.IN_CALL,
        )
    except ApiError as refusal:
        return refusal.message
    return "" if message else "Texts during calls are switched off."


@_own_connection
def store_booking(call_pk: int, booking: Mapping[str, Any]) -> None:
    """Add a booking that was made, moved or cancelled to the call's list (spec 5.3), in order, and
    text the person what was done, where the agent may text during calls (spec 6.7.2).
    """
    with transaction.atomic():
        call = Call.objects.select_for_update().get(pk=call_pk)
        call.bookings = [*call.bookings, dict(booking)]
        call.save(update_fields=["bookings"])
        services.record(call, "booking", action=str(booking.get("action")))
        farewell.text_booking(call, booking)


@_own_connection
def note_recording(call_pk: int, generation: int, recording_file: str) -> None:
    """Note that a media socket begins to write this file (under ``RECORDINGS_DIR``): it is found,
    and erased with the call, even if the process never comes to ``close_media``.
    """
    newest = Call.objects.filter(pk=call_pk, media_generation=generation)
    newest.update(recording_file=recording_file)


@_own_connection
def close_media(
    call_pk: int,
    generation: int,
    *,
    recording_file: str = "",
    recording_duration_s: int | None = None,
) -> bool:
    """Note that a media socket is done, and what it recorded (a file name under
    ``RECORDINGS_DIR``).

    Safe to run twice, and after the call ended. Returns False, and changes nothing, if a newer
    socket has the call.
    """
    with transaction.atomic():
        call = Call.objects.select_for_update().get(pk=call_pk)
        if call.media_generation != generation:
            return False
        if recording_file:
            call.recording_file = recording_file
            call.recording_duration_s = recording_duration_s
        call.avg_latency_ms = services.average_latency_ms(call)
        call.save(update_fields=["recording_file", "recording_duration_s", "avg_latency_ms"])
        event = CallEvent(call=call, key=f"{generation}:closed", kind="media closed")
        CallEvent.objects.bulk_create([event], ignore_conflicts=True)
    return True
