"""``IncomingPhoneNumbers``: the account's own numbers."""

import re

from aiohttp import web

from sandbox.journal import note

from .carrier import Carrier
from .rest import PAGING, api, check_known, choice_of, form_of, not_found, page, url_of
from .state import Number, now

LIST = "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json"
ONE = "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}.json"
FILTERS = frozenset({"Beta", "FriendlyName", "PhoneNumber", "Origin"}) | PAGING
URLS = {
    "VoiceUrl": "voice_url",
    "VoiceFallbackUrl": "voice_fallback_url",
    "StatusCallback": "status_callback",
    "SmsUrl": "sms_url",
    "SmsFallbackUrl": "sms_fallback_url",
}
METHODS = {
    "VoiceMethod": "voice_method",
    "VoiceFallbackMethod": "voice_fallback_method",
    "StatusCallbackMethod": "status_callback_method",
    "SmsMethod": "sms_method",
    "SmsFallbackMethod": "sms_fallback_method",
}
TEXTS = {
    "FriendlyName": "friendly_name",
    "VoiceApplicationSid": "voice_application_sid",
    "SmsApplicationSid": "sms_application_sid",
    "TrunkSid": "trunk_sid",
}
ACCEPTED = frozenset(
    {
        "AccountSid",
        "ApiVersion",
        "VoiceCallerIdLookup",
        "EmergencyStatus",
        "EmergencyAddressSid",
        "VoiceReceiveMode",
        "IdentitySid",
        "AddressSid",
        "BundleSid",
    }
)


async def _list(request: web.Request, carrier: Carrier) -> web.Response:
    """``PhoneNumber`` matches any part of the number, ``*`` any digit, as at Twilio."""
    check_known(request.query, FILTERS)
    numbers = list(carrier.account.numbers.values())
    if wanted := request.query.get("PhoneNumber"):
        pattern = re.compile(re.escape(wanted.replace(" ", "")).replace(r"\*", r"\d"))
        numbers = [number for number in numbers if pattern.search(number.phone_number)]
    if name := request.query.get("FriendlyName"):
        numbers = [number for number in numbers if number.resource()["friendly_name"] == name]
    return page(request, "incoming_phone_numbers", numbers, Number.resource)


def _find(request: web.Request, carrier: Carrier) -> Number:
    for number in carrier.account.numbers.values():
        if number.sid == request.match_info["sid"]:
            return number
    raise not_found(request)


async def _fetch(request: web.Request, carrier: Carrier) -> web.Response:
    return web.json_response(_find(request, carrier).resource())


async def _update(request: web.Request, carrier: Carrier) -> web.Response:
    number = _find(request, carrier)
    form = await form_of(request, URLS.keys() | METHODS.keys() | TEXTS.keys() | ACCEPTED)
    changes: dict[str, str | None] = {}
    for name, key in URLS.items():
        if name in form:
            changes[key] = url_of(form, name, 21402)
    for name, key in METHODS.items():
        if name in form:
            changes[key] = choice_of(form, name, ("GET", "POST"), "POST")
    for name, key in TEXTS.items():
        if name in form:
            changes[key] = form[name] or (None if key == "trunk_sid" else "")
    number.settings.update(changes)
    number.updated = now()
    carrier.keep_numbers()
    note("number_updated", number=number.phone_number, changes=changes)
    return web.json_response(number.resource())


def routes() -> list[web.RouteDef]:
    return [web.get(LIST, api(_list)), web.get(ONE, api(_fetch)), web.post(ONE, api(_update))]
