"""Twilio's knocks: what to do with a call, how it stands, who answered. Signed, repeated, in any
order.

A request is verified before anything else happens, against ``PUBLIC_URL`` and the token of the
carrier account that the call or number is bound to; the account SID alone would not do, as several
accounts here may hold the same one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

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
from carriers import knocks, twiml

LONGEST_SID = 64
LONGEST_CALL_S = 24 * 3600  # the carrier ends any call then
NOT_IN_SERVICE = "Sorry, this number is not in service at the moment. Goodbye."


@dataclass(frozen=True, slots=True)
class Knock:
    """A verified request: the form it carried, and the dial attempt or number that it is about,
    where known."""

    form: knocks.Form
    attempt: DialAttempt | None
    number: PhoneNumber | None

    @property
    def sid(self) -> str:
        return self.form.get("CallSid", "")


def _verified(request: HttpRequest, form: knocks.Form) -> Knock | None:
    """Return what the request says if the carrier signed it, else None; nothing is written either
    way."""
    if not 0 < len(form.get("CallSid", "")) <= LONGEST_SID:
        return None
    token, attempt = request.GET.get("a", ""), None
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
    if knocks.is_signed(request, tokens_of(form, call, number)):
        return Knock(form=form, attempt=attempt, number=number)
    return None


def tokens_of(form: knocks.Form, call: Call | None, number: PhoneNumber | None) -> Iterable[str]:
    """Return the auth tokens of who may speak for this call or number: its own carrier account,
    nobody else's.
    """
    sid = form.get("AccountSid", "")
    if number is not None:
        bound = number.carrier_account
        return [bound.auth_token] if bound.sid == sid else []
    holders = CarrierAccount.objects.filter(sid=sid)
    if call is not None:
        holders = holders.filter(account=call.account)
    return (holder.auth_token for holder in holders)


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


@knocks.view(_verified)
def voice(request: HttpRequest, knock: Knock) -> HttpResponse:
    """What to do with the call: talk through our media socket, or not at all.

    Asked at the answer of an outbound call, at the ring of an inbound one, and again whenever the
    media socket closed before the call did; so a call that is over or being ended is hung up, and
    never greeted a second time.
    """
    if knock.attempt is not None:
        if not _accepts(knock.attempt, knock.sid):
            return knocks.answer(twiml.hang_up())
        return knocks.answer(_goes_on(request, knock.attempt.call_id))
    known = _call_of(knock.sid)
    if known is not None:
        return knocks.answer(_goes_on(request, known.pk))
    return _ring(knock)


def _goes_on(request: HttpRequest, call_pk: int) -> str:
    waited_s = knocks.whole_number(request.GET.get("w", ""))
    return next_verb(call_pk, waited_s=waited_s, rested="rested" in request.GET)


def _ring(knock: Knock) -> HttpResponse:
    number = knock.number
    agent = number.agent if number else None
    served = number is not None and agent is not None and agent.is_active
    if number is None or not served or not number.inbound_enabled or not number.account.is_active:
        return knocks.answer(twiml.say_and_hang_up(NOT_IN_SERVICE))
    if presence.room() is Room.FULL:
        return knocks.answer(twiml.reject_busy())  # busy, not silence
    call = admit_inbound(number, carrier_sid=knock.sid, from_number=knock.form.get("From", ""))
    if call is None:
        usage.count_rejected(number.account)
        return knocks.answer(twiml.reject_busy())
    if not gate.lets_in(call):
        services.turn_away(call.pk)
        return knocks.answer(twiml.reject_busy())
    ring_s = agent.pickup_delay if agent else 0
    if ring_s:
        openings.want(call.pk)
    return knocks.answer(next_verb(call.pk, ring_s=ring_s))


@knocks.view(_verified)
def status(request: HttpRequest, knock: Knock) -> HttpResponse:
    """How a call stands. Old news, and news of a call we do not know, changes nothing."""
    call_pk = _bound(knock)
    new = STATUS.get(knock.form.get("CallStatus", ""))
    if call_pk is None or new is None:
        return HttpResponse(status=204)
    if new in Call.TERMINAL:
        error_code = knocks.whole_number(knock.form.get("ErrorCode", ""))
        services.end_call(
            call_pk,
            new,
            at=knocks.moment(knock.form.get("Timestamp", "")),
            duration_s=_connected_s(knock.form),
            error_code=error_code,
            error_message=_why(new, error_code, knock.form),
        )
    else:
        services.move_call(call_pk, new, at=knocks.moment(knock.form.get("Timestamp", "")))
    return HttpResponse(status=204)


def _connected_s(form: knocks.Form) -> int | None:
    seconds = knocks.whole_number(form.get("CallDuration", ""))
    return seconds if seconds is None or seconds <= LONGEST_CALL_S else None


def _why(status: str, error_code: int | None, form: knocks.Form) -> str:
    if error_code:
        return in_words(error_code, form.get("ErrorMessage", ""))
    if status == Call.Status.FAILED:
        sip = knocks.whole_number(form.get("SipResponseCode", ""))
        code = f" (SIP {sip})" if sip is not None else ""
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


@knocks.view(_verified)
def amd(request: HttpRequest, knock: Knock) -> HttpResponse:
    """Who answered, a person or a machine: for the record, and for the media process that has the
    call."""
    call_pk = _bound(knock)
    answered_by = knock.form.get("AnsweredBy", "")
    if call_pk is not None and answered_by and services.note_answered_by(call_pk, answered_by):
        send_command(Call.objects.get(pk=call_pk), "amd", answered_by=answered_by)
    return HttpResponse(status=204)
