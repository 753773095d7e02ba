"""Twilio's knocks about texts: one came in, or how one of ours fares. Signed, repeated, in any
order; answered in milliseconds, as the work goes to a queue."""

from collections.abc import Iterable
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from prometheus_client import Histogram

from accounts.models import CarrierAccount
from carriers import knocks, twiml
from sms import inbound, statuses
from sms.known_numbers import known_number
from sms.models import MessagePart

log = structlog.get_logger(__name__)

_MEDIA_AT_MOST = 10
INTAKE_SECONDS = Histogram(
    "nixflex_text_intake_seconds",
    "From a text's arrival in this process to the answer to its carrier",
    buckets=(*(ms / 1000 for ms in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50)), 0.1, 0.5, 1),
)


def _form(request: HttpRequest) -> knocks.Form | None:
    form = knocks.form_of(request)
    return form if form and form.get("MessageSid") else None


def _is_signed(request: HttpRequest, accounts: Iterable[CarrierAccount]) -> bool:
    return knocks.is_signed(request, (account.auth_token for account in accounts))


def _forbidden() -> HttpResponse:
    log.warning("text_webhook_refused")
    return knocks.forbidden()


@csrf_exempt
@require_POST
@INTAKE_SECONDS.time()
def received(request: HttpRequest) -> HttpResponse:
    """A text came in. It is stored once, however often it is brought; the answer to the carrier is
    always empty, as ours to the person goes out by a request of its own."""
    form = _form(request)
    if form is None:
        return _forbidden()
    number = known_number(form.get("To", ""))
    sid = form.get("AccountSid", "")
    if number is not None:
        signers: Any = [number.carrier_account] if number.carrier_account.sid == sid else []
    else:
        signers = CarrierAccount.objects.filter(sid=sid)
    if not _is_signed(request, signers):
        return _forbidden()
    if number is None:
        log.warning("text_to_unknown_number", message_sid=form["MessageSid"][:64])
    else:
        inbound.receive(
            number,
            carrier_sid=form["MessageSid"][:64],
            from_number=form.get("From", "")[:64],
            body=form.get("Body", ""),
            media=_media(form),
            opt_out_type=form.get("OptOutType", ""),
        )
    return knocks.answer(twiml.nothing_to_send())


def _media(form: knocks.Form) -> list[dict[str, str]]:
    found = min(knocks.whole_number(form.get("NumMedia", "")) or 0, _MEDIA_AT_MOST)
    return [
        {
            "url": form.get(f"MediaUrl{position}", ""),
            "content_type": form.get(f"MediaContentType{position}", ""),
        }
        for position in range(found)
    ]


@csrf_exempt
@require_POST
def status(request: HttpRequest) -> HttpResponse:
    """How one of our texts fares. Old news changes nothing."""
    form, token = _form(request), request.GET.get("p", "")
    if form is None or not token:
        return _forbidden()
    part = (
        MessagePart.objects.select_related("thread__number__carrier_account", "thread__account")
        .filter(token=token)
        .first()
    )
    if part is None:
        return _forbidden()
    sid, number = form.get("AccountSid", ""), part.thread.number
    carriers = (
        [number.carrier_account]
        if number is not None
        else list(CarrierAccount.objects.filter(account=part.thread.account))
    )
    if not _is_signed(request, [carrier for carrier in carriers if carrier.sid == sid]):
        return _forbidden()
    if statuses.bind(part.pk, form["MessageSid"][:64]):
        statuses.note_carriers_word(
            part.pk,
            form.get("MessageStatus", ""),
            knocks.whole_number(form.get("ErrorCode", "")),
        )
    return HttpResponse(status=204)
