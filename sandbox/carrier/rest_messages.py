"""``Messages``: create, fetch, list, redact, delete."""

from aiohttp import web

from sandbox import faults
from sandbox.journal import note

from .carrier import Carrier
from .errors import Refused
from .messages import Outgoing
from .rest import PAGING, api, check_known, form_of, names, not_found, page, url_of
from .rest_calls import answer_or_lose
from .state import E164, Message

LIST = "/2010-04-01/Accounts/{account}/Messages.json"
ONE = "/2010-04-01/Accounts/{account}/Messages/{sid}.json"
CREATE = names(
    "To StatusCallback ApplicationSid MaxPrice ProvideFeedback Attempt ValidityPeriod"
    " ForceDelivery ContentRetention AddressRetention SmartEncoded PersistentAction"
    " TrafficType ShortenUrls ScheduleType SendAt SendAsMms ContentVariables RiskCheck"
    " From FallbackFrom MessagingServiceSid Body MediaUrl ContentSid"
)
FILTERS = frozenset({"To", "From", "DateSent", "DateSent<", "DateSent>"}) | PAGING


async def _create(request: web.Request, carrier: Carrier) -> web.StreamResponse:
    fault = faults.take("create_message")
    if "refuse" in fault:
        note("fault", text=f"create_message refused with {fault['refuse']}")
        raise Refused(int(fault["refuse"]))
    form = await form_of(request, CREATE)
    to, from_ = form.get("To", ""), form.get("From", "")
    if not to:
        raise Refused(21604)
    if form.get("MessagingServiceSid"):
        raise Refused(21701)
    if not from_:
        raise Refused(21603)
    if not E164.fullmatch(to):
        raise Refused(21211, to)
    media = tuple(form.getall("MediaUrl", []))
    if not form.get("Body") and not media:
        raise Refused(21602)
    message = carrier.texts.send(
        Outgoing(
            to,
            from_,
            form.get("Body", ""),
            media,
            url_of(form, "StatusCallback", 21609),
            form.get("SmartEncoded") == "true",
        )
    )
    return await answer_or_lose(
        request, fault, message.sid, web.json_response(message.resource(), status=201)
    )


def _find(request: web.Request, carrier: Carrier) -> Message:
    message = carrier.account.messages.get(request.match_info["sid"])
    if message is None:
        raise not_found(request)
    return message


async def _fetch(request: web.Request, carrier: Carrier) -> web.Response:
    return web.json_response(_find(request, carrier).resource())


async def _list(request: web.Request, carrier: Carrier) -> web.Response:
    """Newest first."""
    query = request.query
    check_known(query, FILTERS)
    to, from_ = query.get("To"), query.get("From")
    after, before, day = query.get("DateSent>"), query.get("DateSent<"), query.get("DateSent")

    def matches(message: Message) -> bool:
        at = (message.sent or message.created).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            to in (None, message.to)
            and from_ in (None, message.from_)
            and (after is None or at >= after)
            and (before is None or at < before)
            and (day is None or at[:10] == day[:10])
        )

    messages = [
        message for message in reversed(carrier.account.messages.values()) if matches(message)
    ]
    return page(request, "messages", messages, Message.resource)


async def _update(request: web.Request, carrier: Carrier) -> web.Response:
    message = _find(request, carrier)
    form = await form_of(request, {"Body", "Status"})
    if form.get("Body") == "":
        message.body = ""
    return web.json_response(message.resource())


async def _delete(request: web.Request, carrier: Carrier) -> web.Response:
    del carrier.account.messages[_find(request, carrier).sid]
    return web.Response(status=204)


def routes() -> list[web.RouteDef]:
    return [
        web.post(LIST, api(_create)),
        web.get(LIST, api(_list)),
        web.get(ONE, api(_fetch)),
        web.post(ONE, api(_update)),
        web.delete(ONE, api(_delete)),
    ]
