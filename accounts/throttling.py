"""So many requests a minute and key (spec section 9, row 17)."""

import time
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.authentication import ApiClient

if TYPE_CHECKING:  # APIView imports this module
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)

WINDOW_S = 60


class KeyRateThrottle(BaseThrottle):
    """Allow ``API_RATE_LIMIT_PER_MINUTE`` requests of one key in each clock minute.

    One atomic counter in the shared cache, so all processes count together. A cache that is down
    lets requests through: the limit protects, it is not what the API is for.
    """

    def allow_request(self, request: Request, view: "APIView") -> bool:
        client = request.user
        if not isinstance(client, ApiClient):
            return True
        limit = settings.API_RATE_LIMIT_PER_MINUTE
        window = int(time.time() // WINDOW_S)
        try:
            count = self._count(f"api-rate:{client.pk}:{window}")
        except (RedisError, OSError):
            log.warning("rate_limit_not_counted", key_id=client.key.key_id)
            return True
        # The middleware puts these on the response, whatever becomes of the request.
        request._request.rate_limit_headers = {  # type: ignore[attr-defined]
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - count)),
            "X-RateLimit-Reset": str((window + 1) * WINDOW_S),
        }
        return count <= limit

    def wait(self) -> float:
        return WINDOW_S - time.time() % WINDOW_S

    @staticmethod
    def _count(name: str) -> int:
        # Twice the window: a counter never ends while it is still counted with.
        if cache.add(name, 1, timeout=2 * WINDOW_S):
            return 1
        try:
            return cache.incr(name)
        except ValueError:  # gone between the two
            cache.set(name, 1, timeout=2 * WINDOW_S)
            return 1
