"""Asked twice, done once: ``Idempotency-Key``, and a guard for clients that send none.

The official SDK sends a POST again when its answer does not arrive in 30 s, with no key; without a
guard a person's phone would ring twice.

What a request does and the answer that is stored for its copies are one transaction, so there is
never the one without the other, however the process dies. The transaction begins with a row that
is unique for the request: a copy that comes meanwhile waits on it, and then finds the answer, or,
where the first one failed, takes its place. Answers that are errors are not stored.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from accounts.authentication import key_of
from accounts.errors import ApiError
from accounts.models import ApiKey, StoredAnswer
from accounts.parsing import body

KEY_LASTS = timedelta(hours=24)
# Longer than the SDK's time-out (30 s) and the pause before it sends again.
GUARD_LASTS = timedelta(seconds=60)
# A copy that has a key is told at once that the first is in flight; one that has none waits, a
# little less than its own client does.
KEY_WAITS_MS = 100
GUARD_WAITS_MS = 25_000
_LONGEST_KEY = 255
_LOCK_NOT_AVAILABLE = "55P03"

type Handler[**P] = Callable[Concatenate[Any, Request, P], Response]


def idempotent[**P](handler: Handler[P]) -> Handler[P]:
    """Make a view's method honour ``Idempotency-Key``: a copy within 24 h gets the first answer,
    with ``Idempotent-Replayed: true``.

    409 ``idempotency_key_reused`` for another request with the same key, 409
    ``idempotency_key_in_flight`` while the first is at work. A key belongs to its API key. The
    method runs in a transaction and must do nothing outside the database before it ends.
    """

    @wraps(handler)
    def once(view: APIView, request: Request, /, *args: P.args, **kwargs: P.kwargs) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return handler(view, request, *args, **kwargs)
        return _once_per_key(key, request, lambda: handler(view, request, *args, **kwargs))

    return once


def guarded[**P](handler: Handler[P]) -> Handler[P]:
    """As ``idempotent``, and without a key: the same body on the same route with the same API key
    within 60 s of the first is a copy of it, unless it says ``X-Allow-Duplicate: 1``.

    A copy that comes while the first is at work waits for its answer.
    """

    @wraps(handler)
    def once(view: APIView, request: Request, /, *args: P.args, **kwargs: P.kwargs) -> Response:
        def work() -> Response:
            return handler(view, request, *args, **kwargs)

        key = request.headers.get("Idempotency-Key")
        if key is not None:
            return _once_per_key(key, request, work)
        if request.headers.get("X-Allow-Duplicate", "").strip().lower() in ("1", "true"):
            return work()
        same = _sha256(request)
        return _once(request, f"guard:{same}", same, work, GUARD_LASTS, GUARD_WAITS_MS)

    return once


def _once_per_key(key: str, request: Request, work: Callable[[], Response]) -> Response:
    if not key.strip() or len(key) > _LONGEST_KEY:
        raise ApiError(
            "invalid_idempotency_key",
            f"Idempotency-Key must be 1 to {_LONGEST_KEY} characters. A UUID is a good one.",
            details={"max_length": _LONGEST_KEY},
        )
    return _once(request, f"key:{key}", _sha256(request), work, KEY_LASTS, KEY_WAITS_MS)


def _sha256(request: Request) -> str:
    """Return what two requests have in common that ask for the same: method, route and body."""
    asked = [request.method, request.path, request.META.get("QUERY_STRING", ""), body(request)]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _once(
    request: Request,
    slot: str,
    same: str,
    work: Callable[[], Response],
    lasts: timedelta,
    waits_ms: int,
) -> Response:
    api_key, now = key_of(request), timezone.now()
    slot = hashlib.sha256(slot.encode()).hexdigest()
    with transaction.atomic():
        mine = _take_slot(api_key, slot, same, now, now + lasts, waits_ms)
        if mine is None:
            return _replay(api_key, slot, same)
        response = work()
        if response.status_code >= 400:
            StoredAnswer.objects.filter(pk=mine).delete()
            return response
        StoredAnswer(
            pk=mine,
            status=response.status_code,
            content="" if response.data is None else json.dumps(response.data, cls=JSONEncoder),
        ).save(update_fields=["status", "content"])
    return response


def _take_slot(
    api_key: ApiKey, slot: str, same: str, now: datetime, expires_at: datetime, waits_ms: int
) -> int | None:
    """Return the key of a row that is ours to fill, or None where an answer is stored.

    Waits while another transaction is about to store one.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{waits_ms}ms"])
            cursor.execute(
                """
                INSERT INTO accounts_storedanswer
                    (api_key_id, slot, request_sha256, status, content, expires_at)
                VALUES (%s, %s, %s, NULL, '', %s)
                ON CONFLICT (api_key_id, slot) DO UPDATE
                    SET request_sha256 = EXCLUDED.request_sha256, status = NULL, content = '',
                        expires_at = EXCLUDED.expires_at
                    WHERE accounts_storedanswer.expires_at <= %s
                RETURNING id
                """,
                [api_key.pk, slot, same, expires_at, now],
            )
            row = cursor.fetchone()
            cursor.execute("SELECT set_config('lock_timeout', '0', true)")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise ApiError(
            "idempotency_key_in_flight",
            "The same request is being answered right now. Ask again in a moment.",
            409,
            headers={"Retry-After": "1"},
        ) from error
    return row[0] if row else None


def _replay(api_key: ApiKey, slot: str, same: str) -> Response:
    stored = StoredAnswer.objects.get(api_key=api_key, slot=slot)
    if stored.request_sha256 != same:
        raise ApiError(
            "idempotency_key_reused",
            "This Idempotency-Key was sent with another request. Use a new key for a new request.",
            409,
        )
    return Response(
        json.loads(stored.content) if stored.content else None,
        status=stored.status,
        headers={"Idempotent-Replayed": "true"},
    )


def purge(now: datetime | None = None) -> int:
    """Delete answers that are not replayed any more; return how many."""
    deleted, _ = StoredAnswer.objects.filter(expires_at__lte=now or timezone.now()).delete()
    return deleted
