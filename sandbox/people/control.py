"""``/_sandbox/people``: read the table of people, and tell one of them what to do next."""

from typing import Any, get_args

from aiohttp import web

from . import directory
from .person import Answers

KNOWN = ("say", "interrupts", "muted", "answers", "rings_s", "waits_s", "patience_s")


def _changes(body: Any) -> dict[str, Any]:
    """Check an override; raise a 400 that says what is wrong."""
    if not isinstance(body, dict):
        raise _wrong("the body must be a JSON object")
    if unknown := body.keys() - set(KNOWN):
        raise _wrong(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(KNOWN)}")
    changes = dict(body)
    if "say" in body:
        lines = [body["say"]] if isinstance(body["say"], str) else body["say"]
        if not isinstance(lines, list) or not all(isinstance(s, str) and s.strip() for s in lines):
            raise _wrong("say must be a sentence or a list of sentences")
        changes["say"] = tuple(lines)
    if not isinstance(body.get("interrupts", ""), str):
        raise _wrong("interrupts must be a sentence")
    if not isinstance(body.get("muted", False), bool):
        raise _wrong("muted must be true or false")
    choices = get_args(Answers)
    if body.get("answers", "answer") not in choices:
        raise _wrong(f"answers must be one of {', '.join(choices)}")
    for name in ("rings_s", "waits_s", "patience_s"):
        seconds = body.get(name, 0)
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not 0 <= seconds <= 600:
            raise _wrong(f"{name} must be between 0 and 600 seconds")
    return changes


def _wrong(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=f'{{"error": "{message}"}}', content_type="application/json")


async def _list(request: web.Request) -> web.Response:
    return web.json_response({"people": [person.row() for person in directory.everybody()]})


async def _put(request: web.Request) -> web.Response:
    number = request.match_info["number"]
    if not directory.E164.fullmatch(number):
        raise _wrong("the number must be in E.164 form, such as +12025550110")
    try:
        body = await request.json()
    except ValueError:
        raise _wrong("the body must be JSON") from None
    return web.json_response(directory.override(number, **_changes(body)).row())


async def _delete(request: web.Request) -> web.Response:
    directory.restore(request.match_info.get("number"))
    return web.Response(status=204)


def routes() -> list[web.RouteDef]:
    """Routes for the sandbox's one aiohttp application."""
    one = "/_sandbox/people/{number}"
    return [
        web.get("/_sandbox/people", _list),
        web.delete("/_sandbox/people", _delete),
        web.put(one, _put),
        web.delete(one, _delete),
    ]
