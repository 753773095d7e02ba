"""What a call does next, asked at its answer and again whenever its media socket closed before it
did (DESIGN decision 8).

A call that is put through to a person rings there, and is not taken back while somebody may answer.
A call that is over, being ended, or answered by voicemail is never greeted a second time. A socket
that nobody took, or no media process at all, is waited for in silence, but not for ever.
"""

from urllib.parse import urlencode

from django.conf import settings
from django.utils import timezone

from calls import presence, services, tickets, transfer_verbs
from calls.models import Call, DialAttempt
from calls.presence import Room
from carriers import twiml

TROUBLE = "Sorry, we are having technical trouble. Please call again later. Goodbye."
SOCKETS_AT_MOST = 4  # the first, and three that took over from one that was lost
WAIT_S = 1
WAIT_AT_MOST_S = 15


def next_verb(
    call_pk: int, *, ring_s: int = 0, waited_s: int | None = None, rested: bool = False
) -> str:
    """Return the TwiML.

    ``waited_s`` is how long the call has waited for a media process in all, None if it comes for
    the first time; ``rested`` says that it has just waited.
    """
    call = Call.objects.select_related("agent").get(pk=call_pk)
    if call.is_over or call.intended_reason:
        return twiml.hang_up()
    if (verb := transfer_verbs.verb_for(call)) is not None:
        return verb
    if call.voicemail_detected and call.media_generation:
        services.intend_end(call.pk, Call.EndedReason.VOICEMAIL_DETECTED)
        return twiml.hang_up()
    # A socket that gave the call to a colleague in vain was not lost.
    sockets = call.media_generation - call.transfers.count()
    if call.agent is None or sockets >= SOCKETS_AT_MOST:
        return _give_up(call)
    if call.media_generation:
        # Its lease goes on: a call that waits here needs no rescue.
        Call.objects.filter(pk=call.pk).update(media_seen_at=timezone.now())
    refused = waited_s is not None and tickets.last_is_untaken(call)
    waited = (waited_s or 0) if refused or rested else 0
    if presence.room() is not Room.YES or (refused and not rested):
        if waited >= WAIT_AT_MOST_S:
            return _give_up(call)
        again = voice_url(call, w=waited + WAIT_S, rested=1)
        return twiml.pause_and_ask_again(WAIT_S, again)
    return twiml.connect_stream(
        media_url=settings.MEDIA_STREAM_URL,
        token=tickets.issue(call),
        then_url=voice_url(call, w=waited),
        ring_s=ring_s,
    )


def _give_up(call: Call) -> str:
    services.intend_end(call.pk, Call.EndedReason.STUCK_WS_DISCONNECT)
    return twiml.say_and_hang_up(TROUBLE)


def voice_url(call: Call, **query: int) -> str:
    """Where the carrier asks what this call does next."""
    attempt = call.attempts.filter(status=DialAttempt.Status.ACCEPTED).first()
    token = {"a": attempt.token} if attempt else {}
    asked = urlencode({**token, **query})
    return f"{settings.PUBLIC_URL}/twilio/voice/" + (f"?{asked}" if asked else "")
