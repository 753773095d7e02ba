"""The carrier's knocks about a transfer: how the colleague's leg stands, what they hear first, what
became of it. Signed, repeated, in any order; each carries the transfer's token.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from calls import services, transfer_verbs, transfers, whispers
from calls.models import Call, Transfer
from calls.next_verb import next_verb
from calls.webhooks import answer, forbidden, is_signed, moment, signers
from carriers import twiml

# A whisper that is not spoken by then is left to the carrier's voice.
WHISPER_WAIT_S = 4
_OVER = {"completed", "busy", "no-answer", "failed", "canceled"}


def _knock(request: HttpRequest, sid_field: str) -> tuple[Transfer, dict[str, str]] | None:
    """Return the transfer that a request is about and the form it carried, if the carrier account
    of the call signed it and ``sid_field`` names the call.
    """
    form = {name: str(request.POST.get(name, "")) for name in request.POST}
    token = request.GET.get("t", "")
    if any("\0" in text for text in (token, *form.values())):
        return None
    transfer = (
        Transfer.objects.select_related("call__account", "call__number__carrier_account")
        .filter(token=token)
        .first()
    )
    if transfer is None or form.get(sid_field) != transfer.call.carrier_sid:
        return None
    call = transfer.call
    carriers = signers(form.get("AccountSid", ""), call, call.number)
    return (transfer, form) if is_signed(request, carriers) else None


@csrf_exempt
@require_POST
def leg(request: HttpRequest) -> HttpResponse:
    """How the colleague's leg stands."""
    knock = _knock(request, "ParentCallSid")
    if knock is None:
        return forbidden()
    transfer, form = knock
    at, sid = moment(form.get("Timestamp", "")), form.get("CallSid", "")
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


def _leg_ended(transfer: Transfer, form: dict[str, str], at: datetime) -> None:
    """A cold leg that lasted was connected all that time, told or not."""
    seconds = form.get("CallDuration", "")
    lasted_s = int(seconds) if seconds.isascii() and seconds.isdigit() else 0
    if lasted_s and transfer.kind == Transfer.Kind.COLD:
        transfers.answered(
            transfer.pk, at=at - timedelta(seconds=lasted_s), sid=form.get("CallSid", "")
        )
    transfers.parted(transfer.pk, at=at)


@csrf_exempt
@require_POST
def whisper(request: HttpRequest) -> HttpResponse:
    """What the colleague hears before the caller: asked when they have picked up."""
    knock = _knock(request, "ParentCallSid")
    if knock is None:
        return forbidden()
    transfer, form = knock
    transfers.answered(transfer.pk, sid=form.get("CallSid", ""))
    waited = request.GET.get("w", "")
    waited_s = int(waited) if waited.isascii() and waited.isdigit() else 0
    audio_url = whispers.audio_url(transfer)
    if audio_url is None and waited_s < WHISPER_WAIT_S:
        again = transfer_verbs.url_of(transfer, "whisper", f"&w={waited_s + 1}")
        return answer(twiml.pause_and_ask_again(1, again))
    language, words = whispers.words_of(transfer)
    return answer(
        twiml.whisper(
            then_url=transfer_verbs.url_of(transfer, "joined"),
            audio_url=audio_url or "",
            words=words,
            language=language,
        )
    )


@csrf_exempt
@require_POST
def joined(request: HttpRequest) -> HttpResponse:
    """The whisper was heard to its end; the carrier connects the two at our answer."""
    knock = _knock(request, "ParentCallSid")
    if knock is None:
        return forbidden()
    transfer, form = knock
    with transaction.atomic():
        transfers.joined(transfer.pk, sid=form.get("CallSid", ""))
        _correct(transfer)
    return answer(twiml.nothing())


@csrf_exempt
@require_POST
def after(request: HttpRequest) -> HttpResponse:
    """Nobody took the call, or the two have parted: what does the caller's leg do next?"""
    knock = _knock(request, "CallSid")
    if knock is None:
        return forbidden()
    transfer, form = knock
    with transaction.atomic():
        if _talked(transfer, form):
            transfers.joined(transfer.pk, sid=form.get("DialCallSid", ""))
            transfers.parted(transfer.pk)
            _correct(transfer)
        elif form.get("CallStatus") not in _OVER:  # else the caller left, which is told elsewhere
            transfers.failed(transfer.pk, form.get("DialCallStatus", ""))
    return answer(next_verb(transfer.call_id))


def _talked(transfer: Transfer, form: dict[str, str]) -> bool:
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
