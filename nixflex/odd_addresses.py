"""Addresses of the dashboard that somebody typed, or cut short, and that cannot mean anything."""

from collections.abc import Callable
from typing import ClassVar

from django.http import Http404, HttpRequest, HttpResponse

_COUNTED = ("__year", "__month", "__day")


class OddAddressMiddleware:
    """Answer them by 404, as our own pages do; Django's pages and Unfold's break at them."""

    sync_capable: ClassVar[bool] = True
    async_capable: ClassVar[bool] = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/admin/") and any(
            _means_nothing(name, value) for name, values in request.GET.lists() for value in values
        ):
            raise Http404
        return self._get_response(request)


def _means_nothing(name: str, value: str) -> bool:
    if name == "page" or name.endswith(_COUNTED):
        is_whole = value.isascii() and value.isdecimal() and len(value) <= 4
        return not is_whole or int(value) == 9999  # no year comes after it
    return "\0" in value
