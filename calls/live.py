"""What the live engine knows of a call, and what it may say about it: the seam between ``calls``
and ``media``.

Everything is read once, when a media socket opens, and written in a thread beside the audio. Each
function is synchronous, opens and closes its own database connection use, and is safe to run twice.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import wraps
from typing import Any

from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from accounts.errors import ApiError
from accounts.models import Suppression
from accounts.phone_numbers import is_e164
from accounts.suppression import suppress
from agents.history import Memory
from agents.models import Agent
from calls import farewell, services, tickets, transfers
from calls.dialling import carrier_account_of
from calls.live_call import LiveCall as LiveCall
from calls.live_call import LiveEvent as LiveEvent
from calls.live_call import SpokenTurn as SpokenTurn
from calls.live_call import live_call, memory_for
from calls.models import Call, CallEvent, Turn
from carriers import twilio, twiml
from carriers.errors import CarrierError
from sms.models import Message
from sms.services import text_from_call

logger = logging.getLogger(__name__)

# One text however many calls there are: the driver keeps each text it has read, and ``IN`` would
# make two for every number of calls.
RENEW_LEASES = """
    UPDATE calls_call SET media_seen_at = %s WHERE id = ANY(%s) RETURNING id, media_generation
"""
# Texts of one call: whoever calls with a number that earns by each may ask for more and more.
MOST_TEXTS = 10


class MediaRefused(Exception):
    """The ticket is unknown, used, expired, of another call, or the call is over."""


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
        memory = memory_for(call, call.agent)
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
    return _live(call, call.agent, memory_for(call, call.agent))


def _live(call: Call, agent: Agent, memory: Memory) -> LiveCall:
    return live_call(call, agent, memory, refuse_contact=refuse_contact, text_caller=text_caller)


@_own_connection
def store_turn(call_pk: int, turn: SpokenTurn) -> None:
    """Commit a turn. A sequence number that is stored already stays as it is."""
    Turn.objects.bulk_create(
        [Turn(call_id=call_pk, **asdict(turn))],
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
    with connection.cursor() as cursor:
        cursor.execute(RENEW_LEASES, [timezone.now(), list(call_pks)])
        return dict(cursor.fetchall())


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
    texts = Message.objects.filter(account=call.account_id, created_at__gte=call.created_at)
    if texts.filter(call_id=call.call_id).count() >= MOST_TEXTS:
        return "No more texts are sent in this call."
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
