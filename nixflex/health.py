"""Is this process alive, and can the whole do its work? For load balancers and for ``make run``."""

from collections.abc import Callable

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from nixflex.celery import app
from nixflex.tasks import HEARTBEAT_KEY

TIMEOUT_SECONDS = 3


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 while this process answers at all. Touches no database."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when database, broker and beat work, else 503, with a word on each part."""
    parts = {name: word_on(check) for name, check in PARTS.items()}
    ready = all(word == "ok" for word in parts.values())
    answer = JsonResponse(
        {"status": "ok" if ready else "unavailable", **parts}, status=200 if ready else 503
    )
    # Whoever asks knows: not an error of ours in the log, several times a second at every start.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _broker() -> str:
    with app.connection_for_write(connect_timeout=TIMEOUT_SECONDS) as broker:
        broker.ensure_connection(max_retries=1, timeout=TIMEOUT_SECONDS)
    return "ok"


def beat() -> str:
    if cache.get(HEARTBEAT_KEY) is None:
        return "no heartbeat: are beat and a worker running?"
    return "ok"


PARTS: dict[str, Callable[[], str]] = {"database": _database, "broker": _broker, "beat": beat}


def word_on(check: Callable[[], str]) -> str:
    """Return ``ok`` or, in a few words, what is wrong."""
    try:
        return check()
    except Exception as error:
        # The name only: a driver's message may hold an address or a password.
        return f"failed: {type(error).__name__}"
