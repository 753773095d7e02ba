"""Keeps a request in one thread."""

from collections.abc import Callable
from typing import ClassVar

from django.http import HttpRequest, HttpResponse


class OneThreadMiddleware:
    """Comes last: the middleware above a synchronous one is run synchronously too.

    Without it each of them changes threads on the way in and on the way out, which costs a request
    more than all that they do.
    """

    sync_capable: ClassVar[bool] = True
    async_capable: ClassVar[bool] = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)
