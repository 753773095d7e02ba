"""The carrier's REST API: its table of routes."""

from aiohttp import web

from . import control, rest_calls, rest_messages, rest_numbers, rest_recordings
from .carrier import Carrier
from .rest import api, not_found


async def _account(request: web.Request, carrier: Carrier) -> web.Response:
    if request.match_info["sid"] != carrier.account.sid:
        raise not_found(request)
    return web.json_response(carrier.account.resource())


async def _nothing_here(request: web.Request, carrier: Carrier) -> web.Response:
    raise not_found(request)


def routes() -> list[web.RouteDef]:
    """Everything under ``/2010-04-01`` and the carrier's control routes."""
    return [
        web.get("/2010-04-01/Accounts/{sid}.json", api(_account)),
        *rest_numbers.routes(),
        *rest_calls.routes(),
        *rest_messages.routes(),
        *rest_recordings.routes(),
        *control.routes(),
        web.route("*", "/2010-04-01/{rest:.*}", api(_nothing_here)),
    ]
