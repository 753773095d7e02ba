"""``Recordings``: start on a live call, pause, stop, list, fetch, delete, and the sound itself."""

from aiohttp import web

from .carrier import Carrier
from .errors import Refused
from .recordings import Recording
from .rest import PAGING, api, check_known, choice_of, form_of, method_of, not_found, page, url_of

OF_CALL = "/2010-04-01/Accounts/{account}/Calls/{call}/Recordings.json"
ONE_OF_CALL = "/2010-04-01/Accounts/{account}/Calls/{call}/Recordings/{sid}.json"
LIST = "/2010-04-01/Accounts/{account}/Recordings.json"
ONE = "/2010-04-01/Accounts/{account}/Recordings/{sid}.json"
SOUND = "/2010-04-01/Accounts/{account}/Recordings/{sid:RE[0-9a-f]+}{format:(\\.wav|\\.mp3)?}"
CREATE = frozenset(
    {
        "RecordingStatusCallbackEvent",
        "RecordingStatusCallback",
        "RecordingStatusCallbackMethod",
        "Trim",
        "RecordingChannels",
        "RecordingTrack",
    }
)
FILTERS = frozenset(
    {
        "DateCreated",
        "DateCreated<",
        "DateCreated>",
        "CallSid",
        "ConferenceSid",
        "IncludeSoftDeleted",
    }
)


async def _create(request: web.Request, carrier: Carrier) -> web.Response:
    leg = carrier.exchange.legs.get(request.match_info["call"])
    form = await form_of(request, CREATE)
    if request.match_info["call"] not in carrier.account.calls:
        raise not_found(request)
    if leg is None or leg.call.status != "in-progress":
        raise Refused(21220)
    events = frozenset(" ".join(form.getall("RecordingStatusCallbackEvent", ["completed"])).split())
    url = url_of(form, "RecordingStatusCallback", 21609)
    recording = leg.start_recording(
        source="StartCallRecordingAPI",
        channels=2
        if choice_of(form, "RecordingChannels", ("mono", "dual"), "mono") == "dual"
        else 1,
        track=choice_of(form, "RecordingTrack", ("inbound", "outbound", "both"), "both"),
        trim=choice_of(form, "Trim", ("trim-silence", "do-not-trim"), "do-not-trim")
        == "trim-silence",
        callback=carrier.exchange.recording_told(
            url, method_of(form, "RecordingStatusCallbackMethod"), events
        ),
    )
    return web.json_response(recording.resource(carrier.exchange.origin), status=201)


def _find(request: web.Request, carrier: Carrier) -> Recording:
    recording = carrier.recordings.get(request.match_info["sid"])
    if (
        recording is None
        or request.match_info.get("call", recording.call_sid) != recording.call_sid
    ):
        raise not_found(request)
    return recording


async def _fetch(request: web.Request, carrier: Carrier) -> web.Response:
    return web.json_response(_find(request, carrier).resource(carrier.exchange.origin))


async def _list(request: web.Request, carrier: Carrier) -> web.Response:
    """Newest first."""
    check_known(request.query, FILTERS | PAGING)
    call_sid = request.match_info.get("call") or request.query.get("CallSid")
    found = [r for r in reversed(carrier.recordings.values()) if call_sid in (None, r.call_sid)]
    return page(request, "recordings", found, lambda r: r.resource(carrier.exchange.origin))


async def _update(request: web.Request, carrier: Carrier) -> web.Response:
    recording = _find(request, carrier)
    form = await form_of(request, {"Status", "PauseBehavior"})
    silent = choice_of(form, "PauseBehavior", ("skip", "silence"), "silence") == "silence"
    if recording.status not in ("in-progress", "paused"):
        raise Refused(21220)
    match choice_of(form, "Status", ("in-progress", "paused", "stopped"), "-"):
        case "paused":
            recording.pause(silent=silent)
        case "stopped":
            recording.finish()
        case _:
            recording.resume()
    return web.json_response(recording.resource(carrier.exchange.origin))


async def _delete(request: web.Request, carrier: Carrier) -> web.Response:
    recording = _find(request, carrier)
    recording.finish()
    del carrier.recordings[recording.sid]
    return web.Response(status=204)


async def _sound(request: web.Request, carrier: Carrier) -> web.Response:
    """WAV for ``.wav`` and for no extension. There is no MP3 encoder here: 404."""
    recording = _find(request, carrier)
    if recording.status != "completed" or request.match_info["format"] == ".mp3":
        raise not_found(request)
    channels = choice_of(request.query, "RequestedChannels", ("1", "2"), str(recording.channels))
    try:
        sound = recording.wav(int(channels))
    except ValueError as error:
        raise Refused(20422, f"RequestedChannels: {error}") from None
    return web.Response(body=sound, content_type="audio/x-wav")


def routes() -> list[web.RouteDef]:
    return [
        web.post(OF_CALL, api(_create)),
        web.get(OF_CALL, api(_list)),
        web.get(ONE_OF_CALL, api(_fetch)),
        web.post(ONE_OF_CALL, api(_update)),
        web.delete(ONE_OF_CALL, api(_delete)),
        web.get(LIST, api(_list)),
        web.get(ONE, api(_fetch)),
        web.delete(ONE, api(_delete)),
        web.get(SOUND, api(_sound)),
    ]
