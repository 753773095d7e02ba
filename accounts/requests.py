"""Every answer carries an id that its log lines carry too."""

import secrets
from collections.abc import Awaitable, Callable
from typing import cast

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


def new_request_id() -> str:
    return f"req_{secrets.token_hex(8)}"


class RequestIdMiddleware:
    """Give every response, errors included, ``x-request-id: req_<16 hex>``, and the same as
    ``x-railway-request-id``, which the official SDK reads. Log lines have it as ``request_id``.

    Also passes on the rate limit that ``accounts.throttling`` noted on the request.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        request_id = new_request_id()
        # Bound until the next request: Django logs a refusal after the last middleware is through.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if self._is_async:
            return self._acall(request, request_id)
        response = cast(HttpResponseBase, self.get_response(request))
        return _with_headers(response, request, request_id)

    async def _acall(self, request: HttpRequest, request_id: str) -> HttpResponseBase:
        response = await cast(Awaitable[HttpResponseBase], self.get_response(request))
        return _with_headers(response, request, request_id)


def _with_headers(
    response: HttpResponseBase, request: HttpRequest, request_id: str
) -> HttpResponseBase:
    response["x-request-id"] = response["x-railway-request-id"] = request_id
    for name, value in getattr(request, "rate_limit_headers", {}).items():
        response[name] = value
    return response
