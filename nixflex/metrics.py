"""``/metrics`` for Prometheus: what this process counts, and the media processes that live.

A media process counts calls, answers and provider failures itself, so each is scraped on its own
address; how many calls each of them has, any process can tell.
"""

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Gauge
from prometheus_client import generate_latest as as_text

from calls import presence


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer to ``Authorization: Bearer <METRICS_TOKEN>``; without that setting there is no such
    page."""
    token = settings.METRICS_TOKEN
    if not token:
        return HttpResponse(status=404)
    said = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not secrets.compare_digest(said.encode(), token.encode()):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(as_text(REGISTRY) + _media(), content_type=CONTENT_TYPE_LATEST)


def _media() -> bytes:
    registry = CollectorRegistry()
    live = Gauge(
        "nixflex_process_live_calls", "Calls of a media process", ["process"], registry=registry
    )
    room = Gauge("nixflex_process_has_room", "1 if it takes calls", ["process"], registry=registry)
    for name, one in presence.alive().items():
        live.labels(name).set(one["live"])
        room.labels(name).set(one["room"] and not one["draining"])
    return as_text(registry)
