"""What a demo or a test asks of the people: call us, text us, press keys, hang up."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from .carrier import CARRIER
from .errors import Refused


def _posted(make: Callable[..., Any], fields: tuple[str, ...]) -> Any:
    async def answer(request: web.Request) -> web.Response:
        try:
            body = await request.json()
            values = {name: str(body[name]) for name in fields}
        except (ValueError, KeyError, TypeError):
            return web.json_response(
                {"error": f"send a JSON object with {', '.join(fields)}"}, status=400
            )
        try:
            made = make(request, values)
        except Refused as refused:
            return web.json_response(refused.body(), status=refused.status)
        return web.json_response(made.resource(), status=201)

    return answer


def _call(request: web.Request, values: dict[str, str]) -> Any:
    return request.app[CARRIER].exchange.receive(to=values["to"], from_=values["from"])


def _text(request: web.Request, values: dict[str, str]) -> Any:
    return request.app[CARRIER].texts.receive(
        to=values["to"], from_=values["from"], body=values["body"]
    )


async def _person_hangs_up(request: web.Request) -> web.Response:
    leg = request.app[CARRIER].exchange.legs.get(request.match_info["sid"])
    if leg is None:
        return web.json_response({"error": "no such live call"}, status=404)
    leg.line.hang_up()
    return web.Response(status=204)


async def _person_presses(request: web.Request) -> web.Response:
    leg = request.app[CARRIER].exchange.legs.get(request.match_info["sid"])
    if leg is None:
        return web.json_response({"error": "no such live call"}, status=404)
    try:
        digits = str((await request.json())["digits"])
    except (ValueError, KeyError, TypeError):
        return web.json_response({"error": "send a JSON object with digits"}, status=400)
    leg.line.press(digits)
    return web.Response(status=204)


def routes() -> list[web.RouteDef]:
    """``POST /_sandbox/calls {"from","to"}`` (a person calls one of our numbers),
    ``POST /_sandbox/messages {"from","to","body"}`` (a person texts us),
    ``POST /_sandbox/calls/{sid}/digits {"digits"}`` (the person presses keys),
    ``DELETE /_sandbox/calls/{sid}`` (the person hangs up)."""
    return [
        web.post("/_sandbox/calls", _posted(_call, ("from", "to"))),
        web.post("/_sandbox/messages", _posted(_text, ("from", "to", "body"))),
        web.post("/_sandbox/calls/{sid}/digits", _person_presses),
        web.delete("/_sandbox/calls/{sid}", _person_hangs_up),
    ]
