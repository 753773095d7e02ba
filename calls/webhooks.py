"""Twilio's knocks: what to do with a call, how it stands, who answered. Signed, repeated, in any
order.

A request is verified before anything else happens, against ``PUBLIC_URL`` and the token of the
carrier account that the call or number is bound to; the account SID alone would not do, as several
accounts here may hold the same one.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.models import CarrierAccount
from agents.models import PhoneNumber
from calls import dialling, gate, openings, presence, services, usage
from calls.admission import admit_inbound
from calls.commands import send_command
from calls.models import Call, DialAttempt
from calls.next_verb import next_verb
from calls.presence import Room
from calls.refusals import in_words
from calls.sweeping import STATUS
from carriers import twilio, twiml

logger = logging.getLogger(__name__)

NOT_IN_SERVICE = "Sorry, this number is not in service at the moment. Goodbye."


@dataclass(frozen=True, slots=True)
class Knock:
    """A verified request: the form it carried, and the dial attempt or number that it is about,
    where known."""

    form: dict[str, str]
    attempt: DialAttempt | None
    number: PhoneNumber | None

    @property
    def sid(self) -> str:
        return self.form.get("CallSid", "")


def _verified(request: HttpRequest) -> Knock | None:
    """Return what the request says if the carrier signed it, else None; nothing is written either
    way."""
    form = {name: str(request.POST.get(name, "")) for name in request.POST}
    token = request.GET.get("a", "")
    texts = (token, *form.values())
    if any("\0" in text for text in texts) or not form.get("CallSid"):
        return None
    attempt = None
    if token:
        attempt = (
            DialAttempt.objects.select_related("call__account", "call__number__carrier_account")
            .filter(token=token)
            .first()
        )
        if attempt is None:
            return None
    call = attempt.call if attempt else _call_of(form["CallSid"])
    number = call.number if call else _dialled(form.get("To", ""))
    if is_signed(request, signers(form.get("AccountSid", ""), call, number)):
        return Knock(form=form, attempt=attempt, number=number)
    return None


def is_signed(request: HttpRequest, carriers: Iterable[CarrierAccount]) -> bool:
    """Say whether one of ``carriers`` signed the request."""
    # What was signed is the address as the carrier knows it, query and unknown fields included.
    query = request.META.get("QUERY_STRING", "")
    url = f"{settings.PUBLIC_URL}{request.path}" + (f"?{query}" if query else "")
    signature = request.headers.get("X-Twilio-Signature", "")
    return any(
        twilio.verify_signature(carrier.auth_token, url, request.POST, signature)
        for carrier in carriers
    )


def signers(
    account_sid: str, call: Call | None, number: PhoneNumber | None
) -> Iterable[CarrierAccount]:
    """Who may speak for this call or number: its own carrier account, nobody else's."""
    if number is not None:
        bound = number.carrier_account
        return [bound] if bound.sid == account_sid else []
    holders = CarrierAccount.objects.filter(sid=account_sid)
    return holders.filter(account=call.account) if call else holders


def _call_of(sid: str) -> Call | None:
    return (
        Call.objects.select_related("account", "number__carrier_account")
        .filter(carrier_sid=sid)
        .first()
    )


def _dialled(phone_number: str) -> PhoneNumber | None:
    return (
        PhoneNumber.objects.select_related("account", "agent", "carrier_account")
        .filter(phone_number=phone_number)
        .first()
    )


def forbidden() -> HttpResponse:
    logger.warning("a webhook without a valid signature was refused")
    return HttpResponse("The signature is not valid.", status=403, content_type="text/plain")


def answer(document: str) -> HttpResponse:
    return HttpResponse(document, content_type="text/xml")


@csrf_exempt
@require_POST
def voice(request: HttpRequest) -> HttpResponse:
    """What to do with the call: talk through our media socket, or not at all.

    Asked at the answer of an outbound call, at the ring of an inbound one, and again whenever the
    media socket closed before the call did; so a call that is over or being ended is hung up, and
    never greeted a second time.
    """
    knock = _verified(request)
    if knock is None:
        return forbidden()
    if knock.attempt is not None:
        if not _accepts(knock.attempt, knock.sid):
            return answer(twiml.hang_up())
        return answer(_goes_on(request, knock.attempt.call_id))
    known = _call_of(knock.sid)
    if known is not None:
        return answer(_goes_on(request, known.pk))
    return _ring(knock)


def _goes_on(request: HttpRequest, call_pk: int) -> str:
    waited = request.GET.get("w", "")
    waited_s = int(waited) if waited.isascii() and waited.isdigit() else None
    return next_verb(call_pk, waited_s=waited_s, rested="rested" in request.GET)


def _ring(knock: Knock) -> HttpResponse:
    number = knock.number
    agent = number.agent if number else None
    served = number is not None and agent is not None and agent.is_active
    if number is None or not served or not number.inbound_enabled or not number.account.is_active:
        return answer(twiml.say_and_hang_up(NOT_IN_SERVICE))
    if presence.room() is Room.FULL:
        return answer(twiml.reject_busy())  # busy, not silence
    call = admit_inbound(number, carrier_sid=knock.sid, from_number=knock.form.get("From", ""))
    if call is None:
        usage.count_rejected(number.account)
        return answer(twiml.reject_busy())
    if not gate.lets_in(call):
        services.turn_away(call.pk)
        return answer(twiml.reject_busy())
    ring_s = agent.pickup_delay if agent else 0
    if ring_s:
        openings.want(call.pk)
    return answer(next_verb(call.pk, ring_s=ring_s))


@csrf_exempt
@require_POST
def status(request: HttpRequest) -> HttpResponse:
    """How a call stands. Old news, and news of a call we do not know, changes nothing."""
    knock = _verified(request)
    if knock is None:
        return forbidden()
    call_pk = _bound(knock)
    new = STATUS.get(knock.form.get("CallStatus", ""))
    if call_pk is None or new is None:
        return HttpResponse(status=204)
    if new in Call.TERMINAL:
        seconds = knock.form.get("CallDuration", "")
        code = knock.form.get("ErrorCode", "")
        error_code = int(code) if code.isascii() and code.isdigit() else None
        services.end_call(
            call_pk,
            new,
            at=moment(knock.form.get("Timestamp", "")),
            duration_s=int(seconds) if seconds.isascii() and seconds.isdigit() else None,
            error_code=error_code,
            error_message=_why(new, error_code, knock.form),
        )
    else:
        services.move_call(call_pk, new, at=moment(knock.form.get("Timestamp", "")))
    return HttpResponse(status=204)


def _why(status: str, error_code: int | None, form: dict[str, str]) -> str:
    if error_code:
        return in_words(error_code, form.get("ErrorMessage", ""))
    if status == Call.Status.FAILED:
        sip = form.get("SipResponseCode", "")
        code = f" (SIP {sip})" if sip.isascii() and sip.isdigit() else ""
        return f"The carrier could not connect the call: the number cannot be reached.{code}"
    return ""


def _bound(knock: Knock) -> int | None:
    """Return the key of our call, bound to the carrier's by this knock if it was not before."""
    if knock.attempt is not None:
        return knock.attempt.call_id if _accepts(knock.attempt, knock.sid) else None
    call = _call_of(knock.sid)
    return call.pk if call else None


def _accepts(attempt: DialAttempt, sid: str) -> bool:
    """Bind the carrier's call, as ``dialling.accept``; most are bound, and stay so."""
    if attempt.status == DialAttempt.Status.ACCEPTED:
        return attempt.carrier_sid == sid
    return dialling.accept(attempt.pk, sid)


def moment(stamp: str) -> datetime | None:
    """Read the carrier's time of an event (RFC 2822). None if it is missing, senseless or in the
    future."""
    try:
        when = parsedate_to_datetime(stamp)
    except ValueError:
        return None
    if when.tzinfo is None or when > timezone.now():
        return None
    return when


@csrf_exempt
@require_POST
def amd(request: HttpRequest) -> HttpResponse:
    """Who answered, a person or a machine: for the record, and for the media process that has the
    call."""
    knock = _verified(request)
    if knock is None:
        return forbidden()
    call_pk = _bound(knock)
    answered_by = knock.form.get("AnsweredBy", "")
    if call_pk is not None and answered_by and services.note_answered_by(call_pk, answered_by):
        send_command(Call.objects.get(pk=call_pk), "amd", answered_by=answered_by)
    return HttpResponse(status=204)
