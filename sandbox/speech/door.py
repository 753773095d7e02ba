"""What every Deepgram endpoint does first: check the key, read the query, refuse."""

import hashlib
import json
import uuid
from collections.abc import Collection
from typing import Any

from aiohttp import web

from sandbox import faults

SIMULATION = {"x-sandbox-simulation": "1"}


class Refused(web.HTTPException):
    """A refusal in Deepgram's form: ``err_code``, ``err_msg``, ``request_id``."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status_code = status
        request_id = str(uuid.uuid4())
        super().__init__(
            headers={"dg-request-id": request_id, "dg-error": message, **SIMULATION},
            text=json.dumps({"err_code": code, "err_msg": message, "request_id": request_id}),
            content_type="application/json",
        )


def bad(message: str) -> Refused:
    """Deepgram's answer to a request it cannot serve."""
    return Refused(400, "Bad Request", f"Bad Request: {message}")


def admit(request: web.Request) -> None:
    """Raise ``Refused`` without a key (any but ``invalid`` will do)."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() not in ("token", "bearer") or not key.strip() or key.strip() == "invalid":
        raise Refused(401, "INVALID_AUTH", "Invalid credentials.")


def refuse_by_fault(part: str, about: str) -> None:
    """Raise ``Refused`` where ``/_sandbox/faults`` asks for it, or while the service is gone."""
    away = faults.absence(part, about)
    if fault := away or faults.strike(part, "refuse", about=about):
        status = fault.get("status", 503 if away else 429)
        code = "TOO_MANY_REQUESTS" if status == 429 else "INTERNAL_SERVER_ERROR"
        raise Refused(status, code, "Refused by an injected fault.")


async def accept(request: web.Request) -> tuple[web.WebSocketResponse, str]:
    """Open the socket of an admitted client; return it and its request id."""
    request_id = str(uuid.uuid4())
    ws = web.WebSocketResponse()
    ws.headers.update({"dg-request-id": request_id, **SIMULATION})
    await ws.prepare(request)
    return ws, request_id


def message_of(text: str) -> tuple[Any, dict[str, Any]]:
    """Read a client's control message: its type, None if it has none or is no JSON object, and the
    whole.
    """
    try:
        message = json.loads(text)
        return message["type"], message
    except (ValueError, TypeError, KeyError):
        return None, {}


def uuid_of(model: str) -> str:
    """Return the id a model has in this sandbox, the same in every run."""
    return str(uuid.UUID(hashlib.md5(model.encode(), usedforsecurity=False).hexdigest()))


class Query:
    """The query string, each value checked as it is asked for."""

    def __init__(self, request: web.Request, known: Collection[str]) -> None:
        self._values = request.query
        for name in self._values:
            if name not in known:
                raise bad(f"unknown query parameter: {name}.")

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, default)

    def all(self, name: str) -> list[str]:
        return self._values.getall(name, [])

    def choice(self, name: str, choices: Collection[str], default: str | None = None) -> str:
        value = self._values.get(name, default)
        if value is None or value not in choices:
            raise bad(f"{name}={value!r} is not one of {', '.join(sorted(choices))}.")
        return value

    def flag(self, name: str) -> bool:
        return self.choice(name, ("true", "false"), "false") == "true"

    def number(self, name: str, low: float, high: float, default: float) -> float:
        value = self._values.get(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            raise bad(f"{name}={value!r} is not a number.") from None
        if not low <= number <= high:
            raise bad(f"{name} must be between {low:g} and {high:g}, not {value}.")
        return number
