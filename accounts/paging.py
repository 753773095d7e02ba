"""``?limit=&offset=`` of lists."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Model, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from accounts.errors import ApiError

_FURTHEST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Page:
    limit: int
    offset: int

    def of[M: Model](self, rows: QuerySet[M]) -> QuerySet[M]:
        """Return this page of ordered ``rows``."""
        return rows[self.offset : self.offset + self.limit]


def page_parameters(*, default: int, cap: int) -> list[OpenApiParameter]:
    """Return how the API's description tells of ``page_of`` with the same ``default`` and
    ``cap``."""
    return [
        OpenApiParameter(
            "limit", OpenApiTypes.INT, description=f"Default {default}, at most {cap}."
        ),
        OpenApiParameter("offset", OpenApiTypes.INT, description="Default 0."),
    ]


def page_of(query: Mapping[str, str], *, default: int, cap: int) -> Page:
    """Read a request's page. Over the cap means the cap; what is no whole number is a 400.

    ``query`` is ``request.query_params``; an empty value means the default.
    """
    limit = _whole(query, "limit", default, least=1)
    return Page(min(limit, cap), min(_whole(query, "offset", 0, least=0), _FURTHEST))


def _whole(query: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = query.get(name, "").strip()
    if not text:
        return default
    # int() alone would take " 5 ", "1_0" and other scripts' digits.
    if not (text.isascii() and text.isdigit()) or int(text[:12]) < least:
        raise ApiError(
            "invalid_request",
            f"{name} must be a whole number of {least} or more.",
            details={"field": name},
        )
    return int(text[:12])
