"""How a receiver knows that a delivery is ours: two signatures over the same bytes.

``X-Nixflex-Signature`` is what the official SDKs verify, by an API key's secret. The Standard
Webhooks headers (standardwebhooks.com) are signed by a secret of the endpoint's own, so that who
verifies need not be able to call the API.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_PREFIX = "whsec_"


def new_secret() -> str:
    """Return a secret of an endpoint: ``whsec_`` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def legacy_signature(key_secret: str, at: int, body: bytes) -> str:
    """Return ``t=<unix s>,v1=<hex>``: HMAC-SHA256 of ``<t>.<body>`` by the whole ``nxfs_…``."""
    signed = hmac.new(key_secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"


def standard_headers(
    own_secrets: Sequence[str], event_id: str, at: int, body: bytes
) -> dict[str, str]:
    """Return ``webhook-id``, ``webhook-timestamp`` (unix s) and ``webhook-signature``: one
    signature for each secret, any of which verifies.
    """
    signatures = [
        base64.b64encode(
            hmac.new(
                _bytes_of(secret), f"{event_id}.{at}.".encode() + body, hashlib.sha256
            ).digest()
        ).decode()
        for secret in own_secrets
    ]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _bytes_of(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_PREFIX))
