"""Twilio's knocks about our texts: how one fares. Signed, repeated, in any order. (Texts that come
in: ``sms/intake.py``.)"""

from collections.abc import Iterable

import structlog
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.models import CarrierAccount
from carriers import knocks
from sms import statuses
from sms.models import MessagePart

log = structlog.get_logger(__name__)


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
    statuses.note_callback(
        part,
        form["MessageSid"][:64],
        form.get("MessageStatus", ""),
        knocks.whole_number(form.get("ErrorCode", "")),
    )
    return HttpResponse(status=204)
