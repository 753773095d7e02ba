"""What shall go wrong, on request: ``PUT /_sandbox/faults`` with a JSON object, ``DELETE`` clears.

Each part of the sandbox asks ``get("<part>")`` at the moment it could fail. ``sandbox/README.md``
lists what each part understands.
"""

import random
from typing import Any

from aiohttp import web

PARTS = frozenset(
    {
        "create_call",
        "create_message",
        "callbacks",
        "stream",
        "socket_loss",
        "speech",
        "model",
        "calendar",
    }
)
SOCKET_LOSS = frozenset({"next_verb", "end_call", "half_open"})

_faults: dict[str, Any] = {}
_dice = random.Random(0)  # noqa: S311 - decides which callback is doubled, not a secret


def get(part: str) -> dict[str, Any]:
    """The faults asked of one part, ``{}`` when none."""
    found = _faults.get(part)
    return found if isinstance(found, dict) else {}


def socket_loss() -> str:
    """What follows a lost media socket: ``next_verb`` (default), ``end_call``, ``half_open``."""
    return str(_faults.get("socket_loss", "next_verb"))


def chance(probability: float) -> bool:
    """Throw the seeded dice."""
    return probability > 0 and _dice.random() < probability


def between(low: float, high: float) -> float:
    """A number from the seeded dice."""
    return _dice.uniform(low, high)


def take(part: str) -> dict[str, Any]:
    """Like ``get``, but uses up one of the fault's ``count`` (endless without one)."""
    fault = get(part)
    if not fault or not chance(float(fault.get("probability", 1.0))):
        return {}
    if "count" in fault:
        if fault["count"] <= 0:
            return {}
        fault["count"] -= 1
    return fault


def put(faults: dict[str, Any]) -> None:
    """Replace all faults. Raises ValueError with a sentence when one is not known."""
    if unknown := faults.keys() - PARTS - {"seed"}:
        raise ValueError(
            f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(PARTS))}, seed"
        )
    if faults.get("socket_loss", "next_verb") not in SOCKET_LOSS:
        raise ValueError(f"socket_loss is one of {', '.join(sorted(SOCKET_LOSS))}")
    for part in PARTS - {"socket_loss"}:
        if not isinstance(faults.get(part, {}), dict):
            raise ValueError(f"{part} must be an object")
    _faults.clear()
    _faults.update(faults)
    _dice.seed(faults.get("seed", 0))


def clear() -> None:
    """Everything works again."""
    put({})


async def _read(request: web.Request) -> web.Response:
    return web.json_response(_faults)


async def _put(request: web.Request) -> web.Response:
    try:
        faults = await request.json()
        if not isinstance(faults, dict):
            raise ValueError("the body must be a JSON object")
        put(faults)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)
    return web.json_response(_faults)


async def _clear(request: web.Request) -> web.Response:
    clear()
    return web.Response(status=204)


def routes() -> list[web.RouteDef]:
    """The fault injector's control routes."""
    path = "/_sandbox/faults"
    return [web.get(path, _read), web.put(path, _put), web.delete(path, _clear)]
