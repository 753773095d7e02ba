"""How long a request's body may be. Django takes it in whole, to a file where it is long, before
anybody asks whose request it is; without an end to it a stranger fills the disk.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings

from accounts.errors import ApiError, envelope

type App = Callable[[Any, Any, Any], Awaitable[None]]

_KIB = 1024
# A campaign's people (``campaigns.api.LARGEST_CSV``), with what a form has around its file.
_FILE = 257 * 1024 * _KIB
# The carrier's forms, a login.
_SMALL = 64 * _KIB


def largest(path: str) -> int:
    """Return how many bytes a body that is sent to ``path`` may have."""
    if path == "/admin/login/":
        return _SMALL
    if path.startswith("/admin/") or (path.startswith("/v1/") and path.endswith("/recipients")):
        return _FILE
    return settings.DATA_UPLOAD_MAX_MEMORY_SIZE if path.startswith("/v1/") else _SMALL


def limited(app: App) -> App:
    """Return ``app`` with every body that is longer than ``largest`` answered by 413, unread."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        limit, taken = largest(scope["path"]), 0
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > limit:
            await _refuse(scope, send, limit)
            return

        async def receive_some() -> Mapping[str, Any]:
            nonlocal taken
            message: Mapping[str, Any] = await receive()
            taken += len(message.get("body", b""))
            # To the application the client is gone: it drops what it has, and answers nothing.
            return {"type": "http.disconnect"} if taken > limit else message

        await app(scope, receive_some, send)
        if taken > limit:
            await _refuse(scope, send, limit)

    return answer


async def _refuse(scope: Mapping[str, Any], send: Any, limit: int) -> None:
    refusal = ApiError(
        "request_too_large", f"The body is larger than {limit} bytes.", 413, {"limit": limit}
    )
    content, kind = b"The request is too large.", b"text/plain"
    if scope["path"].startswith("/v1/"):
        content, kind = json.dumps(envelope(refusal)).encode(), b"application/json"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),  # the rest of the body is not read
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": content})
