"""What shall go wrong, on request: ``PUT /_sandbox/faults`` with a JSON object, ``DELETE`` clears.

Each part of the sandbox asks at the moment it could fail. ``docs/sandbox.md`` lists the faults.
"""

import random
import time
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from sandbox import fault_settings
from sandbox.journal import note

Fault = dict[str, Any]

_faults: dict[str, Any] = {}
_gone_until: dict[int, float] = {}  # by the fault's id, on the monotonic clock
_dice = random.Random(0)  # noqa: S311 - decides which callback is doubled, not a secret


def get(part: str) -> Fault:
    """The fault asked of a part that has one way to fail, ``{}`` when none."""
    return next(iter(_of(part)), {})


def _of(part: str) -> list[Fault]:
    found = _faults.get(part) or []
    return found if isinstance(found, list) else [found]


def socket_loss() -> str:
    """What follows a lost media socket: ``next_verb`` (default), ``end_call``, ``half_open``."""
    return str(_faults.get("socket_loss", "next_verb"))


def chance(probability: float) -> bool:
    """Throw the seeded dice."""
    return probability > 0 and _dice.random() < probability


def between(low: float, high: float) -> float:
    """A number from the seeded dice."""
    return _dice.uniform(low, high)


def take(part: str) -> Fault:
    """Like ``get``, but uses up one of the fault's ``count`` (endless without one)."""
    fault = get(part)
    return fault if fault and _struck(fault) else {}


def standing(part: str, *kinds: str, about: str, asked: str = "") -> Iterator[Fault]:
    """The faults of these kinds that are not used up and may strike a request that says ``about``:
    all of their ``only`` are in it, in any case, and what they want to be ``asked`` is in that.
    """
    for fault in _of(part):
        meant = _concerns(fault, about) and fault.get("asked", "").lower() in asked.lower()
        if meant and fault.get("kind") in kinds and fault.get("count", 1) > 0:
            yield fault


def strike(part: str, *kinds: str, about: str, asked: str = "") -> Fault:
    """The first of ``standing`` that strikes now, ``{}`` if none does; it is noted and used up by
    one.
    """
    for fault in standing(part, *kinds, about=about, asked=asked):
        if use(part, fault):
            return fault
    return {}


def use(part: str, fault: Fault) -> bool:
    """Whether a fault that stands strikes now; if it does, it is noted and used up by one."""
    if not _struck(fault):
        return False
    note("fault", part=part, fault=fault["kind"], text=f"{part}: {fault['kind']}")
    return True


def _concerns(fault: Fault, about: str) -> bool:
    only = fault.get("only", [])
    said = about.lower()
    return all(text.lower() in said for text in ([only] if isinstance(only, str) else only))


def _struck(fault: Fault) -> bool:
    if fault.get("count", 1) <= 0 or not chance(float(fault.get("probability", 1.0))):
        return False
    if "count" in fault:
        fault["count"] -= 1
    return True


def begin_absence(fault: Fault) -> None:
    """From now on the service is ``gone``, for as long as the fault says."""
    _gone_until[id(fault)] = time.monotonic() + float(fault.get("seconds", float("inf")))


def absence(part: str, about: str) -> Fault:
    """The ``gone`` that lasts at this moment, ``{}`` if none does."""
    for fault in _of(part):
        if _gone_until.get(id(fault), 0.0) > time.monotonic() and _concerns(fault, about):
            return fault
    return {}


def put(faults: dict[str, Any]) -> None:
    """Replace all faults. Raises ValueError with a sentence when one is not known."""
    fault_settings.check(faults)
    _faults.clear()
    _gone_until.clear()
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
