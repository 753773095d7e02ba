"""``Authorization: Bearer <key_id>:<key_secret>``."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import Account, ApiKey

# How exact ``last_used_at`` is: one write a minute and key, however many requests.
LAST_USED_EVERY = timedelta(minutes=1)
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class ApiClient:
    """Who is asking (``request.user``): a verified key, and the one account it works for."""

    key: ApiKey
    is_authenticated: bool = True

    @property
    def account(self) -> Account:
        return self.key.account

    @property
    def pk(self) -> int:
        return self.key.pk


def account_of(request: Request) -> Account:
    """Return the account an authenticated API request works for."""
    return cast(ApiClient, request.user).account


def key_of(request: Request) -> ApiKey:
    """Return the key an authenticated API request was made with."""
    return cast(ApiClient, request.user).key


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def verify(credentials: str) -> ApiKey | None:
    """Return the live key that ``key_id:key_secret`` proves, else None."""
    key_id, colon, secret = credentials.partition(":")
    if not (key_id and colon and secret) or not credentials.isascii() or "\0" in credentials:
        return None
    key = ApiKey.objects.select_related("account").filter(key_id=key_id).first()
    # Compared also where there is no such key: the answer takes as long.
    proven = hmac.compare_digest(key.secret_sha256 if key else _NOBODY, sha256(secret))
    if key is None or not proven or key.revoked_at is not None or not key.account.is_active:
        return None
    return key


class ApiKeyAuthentication(BaseAuthentication):
    """Anything but a live key of an active account is the same 401."""

    def authenticate(self, request: Request) -> tuple[ApiClient, ApiKey] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, credentials = header.partition(" ")
        if scheme.lower() != "bearer":
            return None  # the permission check answers 401
        key = verify(credentials.strip())
        if key is None:
            raise AuthenticationFailed
        _note_use(key)
        return ApiClient(key), key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _note_use(key: ApiKey) -> None:
    now = timezone.now()
    stale = now - LAST_USED_EVERY
    if key.last_used_at is None or key.last_used_at < stale:
        ApiKey.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=stale), pk=key.pk).update(
            last_used_at=now
        )
