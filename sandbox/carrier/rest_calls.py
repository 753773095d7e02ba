"""``Calls``: create, fetch, list, update, delete."""

import asyncio
import re
from datetime import UTC, date, datetime

from aiohttp import web

from sandbox import faults
from sandbox.journal import note

from .carrier import Carrier
from .errors import Refused
from .order import (
    DEFAULT_RING_S,
    EVENTS,
    LONGEST_CALL_S,
    Callback,
    Detection,
    Fetch,
    Inline,
    Order,
    Program,
)
from .rest import (
    PAGING,
    Form,
    api,
    check_known,
    choice_of,
    form_of,
    method_of,
    names,
    not_found,
    page,
    url_of,
    whole_of,
)
from .state import E164, Call

LIST = "/2010-04-01/Accounts/{account}/Calls.json"
ONE = "/2010-04-01/Accounts/{account}/Calls/{sid}.json"
CREATE = names(
    "To From Method FallbackUrl FallbackMethod StatusCallback StatusCallbackEvent"
    " StatusCallbackMethod SendDigits Timeout Record RecordingChannels"
    " RecordingStatusCallback RecordingStatusCallbackMethod RecordingStatusCallbackEvent"
    " RecordingTrack RecordingConfigurationId Trim SipAuthUsername SipAuthPassword"
    " MachineDetection MachineDetectionTimeout MachineDetectionSpeechThreshold"
    " MachineDetectionSpeechEndThreshold MachineDetectionSilenceTimeout AsyncAmd"
    " AsyncAmdStatusCallback AsyncAmdStatusCallbackMethod CallerId Byoc CallReason"
    " CallToken TimeLimit ClientNotificationUrl Url Twiml ApplicationSid"
)
UPDATE = names(
    "Url Method Status FallbackUrl FallbackMethod StatusCallback StatusCallbackMethod"
    " Twiml TimeLimit"
)
FILTERS = (
    names("To From ParentCallSid Status StartTime StartTime< StartTime> EndTime EndTime< EndTime>")
    | PAGING
)
LONGEST_TWIML = 4000
REFUSALS = {
    "+15005550001": 21211,
    "+15005550002": 21214,
    "+15005550003": 21215,
    "+15005550004": 21216,
}
"""Twilio's own magic numbers."""
TRUTHS = ("true", "false")
DIGITS = re.compile(r"[0-9*#wW]*")


async def _create(request: web.Request, carrier: Carrier) -> web.StreamResponse:
    fault = faults.take("create_call")
    if "refuse" in fault:
        note("fault", text=f"create_call refused with {fault['refuse']}")
        raise Refused(int(fault["refuse"]))
    form = await form_of(request, CREATE)
    to, from_ = _parties(form, carrier)
    call = carrier.exchange.place(to=to, from_=from_, order=_order(form, carrier))
    return await answer_or_lose(
        request, fault, call.sid, web.json_response(call.resource(), status=201)
    )


async def answer_or_lose(
    request: web.Request, fault: dict[str, object], sid: str, response: web.Response
) -> web.StreamResponse:
    """The answer, unless the fault loses it on its way by ``reset``, ``500`` or ``timeout``."""
    match str(fault.get("lose_answer", "")):
        case "":
            return response
        case "500":
            note("fault", call_sid=sid, text="answer lost: HTTP 500 after acceptance")
            raise Refused(20500)
        case "timeout":
            note("fault", call_sid=sid, text="answer lost: nothing sent after acceptance")
            await asyncio.sleep(float(str(fault.get("seconds", 60))))
        case _:
            note("fault", call_sid=sid, text="answer lost: connection reset after acceptance")
    if request.transport is not None:
        request.transport.abort()
    return response


def _parties(form: Form, carrier: Carrier) -> tuple[str, str]:
    to, from_ = form.get("To", ""), form.get("From", "")
    if not to:
        raise Refused(21201)
    if not from_:
        raise Refused(21213)
    if not E164.fullmatch(to):
        raise Refused(21211, to)
    if not E164.fullmatch(from_):
        raise Refused(21212, from_)
    if from_ not in carrier.account.numbers:
        raise Refused(21210, from_)
    person = carrier.exchange.directory(to)
    if code := REFUSALS.get(to) or (person.refusal_code if person else None):
        raise Refused(code, to)
    return to, from_


def _order(form: Form, carrier: Carrier) -> Order:
    program = _program(form)
    if program is None:
        raise (
            Refused(21218, form["ApplicationSid"])
            if form.get("ApplicationSid")
            else Refused(21205, "missing")
        )
    order = Order(
        program=program,
        callback=_callback(form),
        ring_s=whole_of(form, "Timeout", DEFAULT_RING_S, 1, 600),
        longest_s=whole_of(form, "TimeLimit", LONGEST_CALL_S, 1, 24 * 3600),
        send_digits=form.get("SendDigits", ""),
    )
    if not DIGITS.fullmatch(order.send_digits):
        raise Refused(20422, "SendDigits")
    if fallback := url_of(form, "FallbackUrl", 21205):
        order.fallback = Fetch(fallback, method_of(form, "FallbackMethod"))
    order.detection = _detection(form)
    if choice_of(form, "Record", TRUTHS, "false") == "true":
        events = frozenset(
            " ".join(form.getall("RecordingStatusCallbackEvent", ["completed"])).split()
        )
        url = url_of(form, "RecordingStatusCallback", 21609)
        order.recording = {
            "source": "OutboundAPI",
            "channels": 2
            if choice_of(form, "RecordingChannels", ("mono", "dual"), "mono") == "dual"
            else 1,
            "track": choice_of(form, "RecordingTrack", ("inbound", "outbound", "both"), "both"),
            "trim": choice_of(form, "Trim", ("trim-silence", "do-not-trim"), "trim-silence")
            == "trim-silence",
            "callback": carrier.exchange.recording_told(
                url, method_of(form, "RecordingStatusCallbackMethod"), events
            ),
        }
    return order


def _program(form: Form) -> Program | None:
    """``Url`` wins over ``Twiml``, as at Twilio."""
    if url := url_of(form, "Url", 21205):
        return Fetch(url, method_of(form, "Method"))
    if twiml := form.get("Twiml"):
        if len(twiml) > LONGEST_TWIML:
            raise Refused(20422, f"Twiml is longer than {LONGEST_TWIML} characters")
        return Inline(twiml)
    return None


def _callback(form: Form) -> Callback:
    events = frozenset(" ".join(form.getall("StatusCallbackEvent", ["completed"])).split())
    if unknown := events - set(EVENTS):
        raise Refused(21626, ", ".join(sorted(unknown)))
    return Callback(
        url_of(form, "StatusCallback", 21609), method_of(form, "StatusCallbackMethod"), events
    )


def _detection(form: Form) -> Detection | None:
    mode = choice_of(form, "MachineDetection", ("", "Enable", "DetectMessageEnd"), "")
    whole_of(form, "MachineDetectionSpeechThreshold", 2400, 1000, 6000)
    whole_of(form, "MachineDetectionSpeechEndThreshold", 1200, 500, 5000)
    whole_of(form, "MachineDetectionSilenceTimeout", 5000, 2000, 10000)
    asynchronous = choice_of(form, "AsyncAmd", TRUTHS, "false") == "true"
    url = url_of(form, "AsyncAmdStatusCallback", 21609)
    if not mode or form.get("SendDigits"):
        return None
    if asynchronous and not url:
        note("warning", code=21262, text="AsyncAmd without AsyncAmdStatusCallback")
    return Detection(
        mode,
        asynchronous,
        whole_of(form, "MachineDetectionTimeout", 30, 3, 59),
        url,
        method_of(form, "AsyncAmdStatusCallbackMethod"),
    )


def _find(request: web.Request, carrier: Carrier) -> Call:
    call = carrier.account.calls.get(request.match_info["sid"])
    if call is None:
        raise not_found(request)
    return call


async def _fetch(request: web.Request, carrier: Carrier) -> web.Response:
    return web.json_response(_find(request, carrier).resource())


async def _list(request: web.Request, carrier: Carrier) -> web.Response:
    """Newest first. A call that has not started yet is found by the time it was created."""
    query = request.query
    check_known(query, FILTERS)
    wanted = {
        key: query[key] for key in ("To", "From", "Status", "ParentCallSid") if query.get(key)
    }
    times = [(key, _moment(value)) for key, value in query.items() if "Time" in key and value]

    def matches(call: Call) -> bool:
        shown = {
            "To": call.to,
            "From": call.from_,
            "Status": call.status,
            "ParentCallSid": call.parent_sid,
        }
        if any(shown[key] != value for key, value in wanted.items()):
            return False
        return all(_within(call, key, moment) for key, moment in times)

    calls = [call for call in reversed(carrier.account.calls.values()) if matches(call)]
    return page(request, "calls", calls, Call.resource)


def _moment(value: str) -> datetime:
    try:
        if len(value) == 10:
            day = date.fromisoformat(value)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Refused(20422, f"time {value}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _within(call: Call, key: str, moment: datetime) -> bool:
    at = (call.started or call.created) if key.startswith("Start") else call.ended
    if at is None:
        return False
    if key.endswith(">"):
        return at.replace(microsecond=0) >= moment.replace(microsecond=0)
    if key.endswith("<"):
        return at < moment
    return at.date() == moment.date()


async def _update(request: web.Request, carrier: Carrier) -> web.Response:
    call = _find(request, carrier)
    form = await form_of(request, UPDATE)
    status = choice_of(form, "Status", ("", "completed", "canceled"), "")
    program = _program(form)
    if form.get("Url") and form.get("Twiml"):
        raise Refused(20422, "Url and Twiml exclude each other")
    limit = whole_of(form, "TimeLimit", 0, 0, 24 * 3600)
    leg = carrier.exchange.legs.get(call.sid)
    if leg is None or call.over:
        raise Refused(21220)
    if url := url_of(form, "StatusCallback", 21609):
        leg.order.callback = Callback(
            url, method_of(form, "StatusCallbackMethod"), leg.order.callback.events
        )
    if fallback := url_of(form, "FallbackUrl", 21205):
        leg.order.fallback = Fetch(fallback, method_of(form, "FallbackMethod"))
    if limit:
        leg.limit(limit)
    note("call_update", call_sid=call.sid, status=status or None, redirect=program is not None)
    if status or program is not None:
        carrier.exchange.update(call, status=status, program=program)
    return web.json_response(call.resource())


async def _delete(request: web.Request, carrier: Carrier) -> web.Response:
    call = _find(request, carrier)
    if not call.over:
        raise Refused(20422, "a call in progress cannot be deleted")
    del carrier.account.calls[call.sid]
    return web.Response(status=204)


def routes() -> list[web.RouteDef]:
    return [
        web.post(LIST, api(_create)),
        web.get(LIST, api(_list)),
        web.get(ONE, api(_fetch)),
        web.post(ONE, api(_update)),
        web.delete(ONE, api(_delete)),
    ]
