"""The carrier's REST API: what every request goes through."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web
from multidict import MultiDict

from .carrier import CARRIER, Carrier
from .errors import Refused

PAGING = frozenset({"PageSize", "Page", "PageToken"})
METHODS = ("GET", "POST")

Form = MultiDict[str]
Handler = Callable[[web.Request, Carrier], Awaitable[web.StreamResponse]]


def api(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Basic authentication for the account in the path, and Twilio's error bodies."""

    async def answer(request: web.Request) -> web.StreamResponse:
        carrier = request.app[CARRIER]
        try:
            _authenticate(request, carrier)
            return await handler(request, carrier)
        except Refused as refused:
            headers = (
                {"WWW-Authenticate": 'Basic realm="Twilio API"'} if refused.status == 401 else None
            )
            return web.json_response(refused.body(), status=refused.status, headers=headers)

    return answer


def _authenticate(request: web.Request, carrier: Carrier) -> None:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(20003) from None
    account = carrier.account
    asked_for = request.match_info.get("account", account.sid)
    if (
        scheme.lower() != "basic"
        or (user, password) != (account.sid, account.auth_token)
        or asked_for != user
    ):
        raise Refused(20003)


def names(listed: str) -> frozenset[str]:
    """Parameter names from one readable line."""
    return frozenset(listed.split())


async def form_of(request: web.Request, known: Iterable[str]) -> Form:
    """The form fields. Raises Refused 20001 when one is not a parameter of this resource."""
    form: Form = MultiDict((key, str(value)) for key, value in (await request.post()).items())
    check_known(form, known)
    return form


def check_known(given: Mapping[str, str], known: Iterable[str]) -> None:
    """Raises Refused 20001 naming the parameters that do not exist."""
    if unknown := set(given) - set(known):
        raise Refused(20001, ", ".join(sorted(unknown)))


def url_of(form: Mapping[str, str], name: str, code: int) -> str:
    """An absolute http(s) URL or ``""``; else Refused ``code``."""
    value = form.get(name, "")
    if value:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or "_" in parts.hostname:
            raise Refused(code, value)
    return value


def method_of(form: Mapping[str, str], name: str) -> str:
    """``GET`` or ``POST`` (the default)."""
    return choice_of(form, name, METHODS, "POST")


def choice_of(form: Mapping[str, str], name: str, choices: Sequence[str], default: str) -> str:
    """One of ``choices``; else Refused 20422."""
    value = form.get(name) or default
    if value not in choices:
        raise Refused(20422, f"{name}={value}")
    return value


def whole_of(form: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number within limits; else Refused 20422."""
    value = form.get(name) or str(default)
    if not value.isdigit() or not low <= int(value) <= high:
        raise Refused(20422, f"{name}={value}")
    return int(value)


def page(
    request: web.Request, name: str, rows: Sequence[Any], resource: Callable[[Any], dict[str, Any]]
) -> web.Response:
    """One page of a list in Twilio's envelope; ``PageSize`` 1-1000, default 50."""
    query = request.query
    size = whole_of(query, "PageSize", 50, 1, 1000)
    index = whole_of(query, "Page", 0, 0, 1_000_000)
    start = index * size
    shown = rows[start : start + size]
    kept = [(key, value) for key, value in query.items() if key not in PAGING]

    def uri(number: int) -> str:
        return f"{request.path}?{urlencode([*kept, ('PageSize', size), ('Page', number)])}"

    return web.json_response(
        {
            name: [resource(row) for row in shown],
            "end": max(start + len(shown) - 1, 0),
            "first_page_uri": uri(0),
            "next_page_uri": uri(index + 1) if start + size < len(rows) else None,
            "page": index,
            "page_size": size,
            "previous_page_uri": uri(index - 1) if index else None,
            "start": start,
            "uri": uri(index),
        }
    )


def not_found(request: web.Request) -> Refused:
    return Refused(20404, request.path)
