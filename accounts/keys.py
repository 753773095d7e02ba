"""Making and ending API keys."""

import secrets

from django.utils import timezone

from accounts.authentication import sha256
from accounts.models import Account, ApiKey


def create_key(account: Account, name: str = "") -> tuple[ApiKey, str]:
    """Make a key of an account; return it and its secret, which is shown only this once."""
    secret = _new_secret()
    key = ApiKey.objects.create(
        account=account,
        name=name,
        key_id=f"nxf_{secrets.token_hex(16)}",
        secret_sha256=sha256(secret),
        secret=secret,
    )
    return key, secret


def rotate_key(key: ApiKey) -> str:
    """Give a key a new secret and return it, shown only this once; the old one ends now."""
    secret = _new_secret()
    key.secret, key.secret_sha256 = secret, sha256(secret)
    key.save(update_fields=["secret", "secret_sha256"])
    return secret


def revoke_key(key: ApiKey) -> bool:
    """End a key: its next request is a 401. Return whether anything changed."""
    return bool(ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()))


def default_account() -> Account:
    """Return the first account, made where there is none: a self-hosted house has one tenant."""
    return Account.objects.order_by("pk").first() or Account.objects.create(name="Default")


def _new_secret() -> str:
    return f"nxfs_{secrets.token_hex(32)}"
