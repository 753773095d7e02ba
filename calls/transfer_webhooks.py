"""The carrier's knocks about a transfer: how the colleague's leg stands, what they hear first, what
became of it. Signed, repeated, in any order; each carries the transfer's token.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from calls import services, transfer_verbs, transfers, whispers
from calls.models import Call, Transfer
from calls.next_verb import next_verb
from calls.webhooks import tokens_of
from carriers import knocks, twiml

# A whisper that is not spoken by then is left to the carrier's voice.
WHISPER_WAIT_S = 4
_OVER = {"completed", "busy", "no-answer", "failed", "canceled"}


@dataclass(frozen=True, slots=True)
class Knock:
    """A verified request: the transfer that it is about, and the form it carried."""

    transfer: Transfer
    form: knocks.Form


def _verified(request: HttpRequest, form: knocks.Form, sid_field: str) -> Knock | None:
    """Return what the request says if the carrier account of the transfer's call signed it and
    ``sid_field`` names the call.
    """
    transfer = (
        Transfer.objects.select_related("call__account", "call__number__carrier_account")
        .filter(token=request.GET.get("t", ""))
        .first()
    )
    if transfer is None or form.get(sid_field) != transfer.call.carrier_sid:
        return None
    tokens = tokens_of(form, transfer.call, transfer.call.number)
    return Knock(transfer, form) if knocks.is_signed(request, tokens) else None


_of_colleague = knocks.view(partial(_verified, sid_field="ParentCallSid"))
_of_caller = knocks.view(partial(_verified, sid_field="CallSid"))


@_of_colleague
def leg(request: HttpRequest, knock: Knock) -> HttpResponse:
    """How the colleague's leg stands."""
    transfer, form = knock.transfer, knock.form
    at, sid = knocks.moment(form.get("Timestamp", "")), form.get("CallSid", "")
    with transaction.atomic():
        match form.get("CallStatus"):
            case "ringing":
                transfers.rings(transfer.pk, at=at, sid=sid)
            case "in-progress":
                transfers.answered(transfer.pk, at=at, sid=sid)
            case "completed":
                _leg_ended(transfer, form, at or timezone.now())
        _correct(transfer)
    return HttpResponse(status=204)


def _leg_ended(transfer: Transfer, form: knocks.Form, at: datetime) -> None:
    """A cold leg that lasted was connected all that time, told or not."""
    lasted_s = knocks.whole_number(form.get("CallDuration", ""))
    if lasted_s and transfer.kind == Transfer.Kind.COLD:
        transfers.answered(
            transfer.pk, at=at - timedelta(seconds=lasted_s), sid=form.get("CallSid", "")
        )
    transfers.parted(transfer.pk, at=at)


@_of_colleague
def whisper(request: HttpRequest, knock: Knock) -> HttpResponse:
    """What the colleague hears before the caller: asked when they have picked up."""
    transfer, form = knock.transfer, knock.form
    transfers.answered(transfer.pk, sid=form.get("CallSid", ""))
    waited_s = knocks.whole_number(request.GET.get("w", "")) or 0
    audio_url = whispers.audio_url(transfer)
    if audio_url is None and waited_s < WHISPER_WAIT_S:
        again = transfer_verbs.url_of(transfer, "whisper", f"&w={waited_s + 1}")
        return knocks.answer(twiml.pause_and_ask_again(1, again))
    language, words = whispers.words_of(transfer)
    return knocks.answer(
        twiml.whisper(
            then_url=transfer_verbs.url_of(transfer, "joined"),
            audio_url=audio_url or "",
            words=words,
            language=language,
        )
    )


@_of_colleague
def joined(request: HttpRequest, knock: Knock) -> HttpResponse:
    """The whisper was heard to its end; the carrier connects the two at our answer."""
    transfer, form = knock.transfer, knock.form
    with transaction.atomic():
        transfers.joined(transfer.pk, sid=form.get("CallSid", ""))
        _correct(transfer)
    return knocks.answer(twiml.nothing())


@_of_caller
def after(request: HttpRequest, knock: Knock) -> HttpResponse:
    """Nobody took the call, or the two have parted: what does the caller's leg do next?"""
    transfer, form = knock.transfer, knock.form
    with transaction.atomic():
        if _talked(transfer, form):
            transfers.joined(transfer.pk, sid=form.get("DialCallSid", ""))
            transfers.parted(transfer.pk)
            _correct(transfer)
        elif form.get("CallStatus") not in _OVER:  # else the caller left, which is told elsewhere
            transfers.failed(transfer.pk, form.get("DialCallStatus", ""))
            if transfer.kind == Transfer.Kind.WARM and form.get("DialBridged") == "false":
                transfers.never_talked(transfer.pk)
    return knocks.answer(next_verb(transfer.call_id))


def _talked(transfer: Transfer, form: knocks.Form) -> bool:
    """Whether the two were ever connected. A colleague who hung up during the whisper was not,
    though their leg is ``completed``.
    """
    if "DialBridged" in form:
        return form["DialBridged"] == "true"
    completed = form.get("DialCallStatus") == "completed"
    return completed and transfer.kind == Transfer.Kind.COLD


def _correct(transfer: Transfer) -> None:
    """News that came after the call's end may change what it ended as."""
    if Call.objects.filter(pk=transfer.call_id, status__in=Call.TERMINAL).exists():
        services.note_transferred(transfer.call_id)


@require_safe
def whisper_audio(request: HttpRequest) -> HttpResponse:
    """The spoken whisper, for as long as its signed address works. Anything amiss is the same
    404.
    """
    audio = whispers.audio_behind(request.GET.get("s", ""))
    if audio is None:
        raise Http404
    return HttpResponse(
        audio, content_type="audio/wav", headers={"Cache-Control": "private, no-store"}
    )
