"""Signatures as Twilio makes them, and sids as it numbers things."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping


def signature(auth_token: str, url: str, params: Mapping[str, str] | None = None) -> str:
    """``X-Twilio-Signature``: HMAC-SHA1 over the URL as requested and the sorted form fields."""
    signed = url + "".join(key + value for key, value in sorted((params or {}).items()))
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def new_sid(prefix: str) -> str:
    """A fresh identifier such as ``CA`` + 32 hex digits."""
    return prefix + secrets.token_hex(16)
