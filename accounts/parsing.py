"""Bodies are JSON objects whatever their content type says; answers are JSON whatever was asked."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from django.conf import settings
from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from accounts.errors import ApiError, invalid_field

# Objects and arrays inside each other. Far more than anybody writes, and few enough for all that
# walk through them by recursion.
DEEPEST = 50
_TOO_LARGE = 1e300  # for whoever calculates with it as a float


class JSONBodyParser(BaseParser):
    """Read a JSON object. An empty body is ``{}``: both SDKs send a JSON content type with nothing.

    Raises ApiError ``invalid_json`` (not JSON), ``invalid_body`` (not an object),
    ``request_too_large`` (413, over ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes) or ``invalid_request``
    (a string or number no database can hold: NUL, half a surrogate pair, infinity; or more than
    ``DEEPEST`` objects and arrays inside each other).
    """

    media_type = "*/*"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        return parse_object(_read(stream))


class RawBodyParser(BaseParser):
    """Return the body's bytes as they are. ``request_too_large`` as of ``JSONBodyParser``."""

    media_type = "*/*"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return _read(stream)


def _read(stream: Any) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    raw: bytes = stream.read(limit + 1)
    if len(raw) > limit:
        raise ApiError(
            "request_too_large", f"The body is larger than {limit} bytes.", 413, {"limit": limit}
        )
    return raw


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in ``raw``, ``{}`` for nothing; errors as of ``JSONBodyParser``."""
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ApiError(
            "invalid_json",
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise ApiError("invalid_json", "The body is not JSON in UTF-8 that can be read.") from error
    if not isinstance(value, dict):
        raise ApiError("invalid_body", 'The body must be a JSON object, as {"name": "…"}.')
    _check_storable(value, "")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _check_storable(value: Any, path: str, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise ApiError(
            "invalid_request", f"More than {DEEPEST} objects and arrays stand inside each other."
        )
    match value:
        case str():
            if not _storable(value):
                raise ApiError(
                    "invalid_request",
                    f"{path} holds a character that cannot be stored (NUL or a lone surrogate).",
                    details={"field": path},
                )
        case int() | float():
            if not abs(value) < _TOO_LARGE:
                raise ApiError(
                    "invalid_request",
                    f"{path} is too large a number.",
                    details={"field": path},
                )
        case dict():
            for key, inner in value.items():
                if not _storable(key):
                    raise ApiError("invalid_request", "A field name cannot be stored.")
                _check_storable(inner, f"{path}.{key}" if path else key, depth + 1)
        case list():
            for index, inner in enumerate(value):
                _check_storable(inner, f"{path}.{index}", depth + 1)


def _storable(text: str) -> bool:
    if text.isascii():
        return "\0" not in text
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def body(request: Request) -> dict[str, Any]:
    """Return the request's JSON object; ``{}`` when there was no body, of whatever content type."""
    data = request.data
    if "HTTP_TRANSFER_ENCODING" in request.META and not data:
        return parse_object(_read(request._request))  # DRF takes no Content-Length for no body
    # DRF makes an empty body of a form content type a QueryDict, which serializers read as a form.
    return {} if isinstance(data, QueryDict) or not isinstance(data, dict) else data


def time_in_query(text: str, name: str) -> datetime:
    """Read ISO 8601 (without an offset: UTC; a date: its midnight) or epoch milliseconds from the
    query parameter ``name``. ApiError ``invalid_request`` for anything else.
    """
    try:
        if text.isascii() and text.isdigit():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        # In a query a raw plus is a space.
        when = parse_datetime(text.replace(" ", "+") if "T" in text else text)
        if when is None and (day := parse_date(text)):
            when = datetime(day.year, day.month, day.day, tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        when = None
    if when is None:
        raise invalid_field(name, "must be a time in ISO 8601, as 2026-07-25T03:45:12Z.")
    return when if when.tzinfo else when.replace(tzinfo=UTC)


class AlwaysJSON(BaseContentNegotiation):
    """No ``Accept`` header turns an answer into a 406: the view's first renderer answers."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type or "application/json"
