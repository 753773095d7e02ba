"""The sandbox's one web application: carrier, speech service, model and calendar on one port."""

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from sandbox import faults, journal
from sandbox.carrier import rest_routes
from sandbox.carrier.carrier import install
from sandbox.carrier.line import Person, SilentPerson
from sandbox.carrier.network import Directory

log = logging.getLogger("sandbox")

PARTS = ("carrier", "speech", "model", "calendar")
MODULES = {
    "speech": (
        "sandbox.speech.listen",
        "sandbox.speech.flux",
        "sandbox.speech.speak",
        "sandbox.speech.projects",
        "sandbox.people.control",
    ),
    "model": ("sandbox.model.messages",),
    "calendar": ("sandbox.calendar.api",),
}
WARM = ("sandbox.speech.recogniser", "sandbox.speech.synthesiser")
LARGEST_BODY = 32 * 1024 * 1024

STATE = web.AppKey("state", dict[str, Any])


def build(
    parts: Iterable[str] = PARTS,
    *,
    directory: Directory | None = None,
    cps: float = 1.0,
    origin: str = "",
    keep: Path | None = None,
) -> web.Application:
    """The application with the named parts.

    ``directory`` says who answers a number; by default ``sandbox.people`` where speech is loaded,
    else everybody is a ``SilentPerson``. ``origin`` is our base URL as others reach it.
    ``keep`` is a file for what the carrier knows of its numbers after a restart.
    """
    wanted = set(parts)
    app = web.Application(client_max_size=LARGEST_BODY)
    app[STATE] = {"simulation": True, "parts": sorted(wanted), "warm": False}
    app.add_routes([web.get("/_sandbox/health", _health), *journal.routes(), *faults.routes()])
    if "carrier" in wanted:
        app.cleanup_ctx.append(
            install(directory or _people(wanted), cps=cps, origin=origin, keep=keep)
        )
        app.add_routes(rest_routes.routes())
    for part, names in MODULES.items():
        if part in wanted:
            for name in names:
                app.add_routes(cast("list[web.RouteDef]", importlib.import_module(name).routes()))
    app.cleanup_ctx.append(_warm_up)
    return app


def _people(wanted: set[str]) -> Directory:
    if "speech" in wanted:
        return cast("Directory", importlib.import_module("sandbox.people.directory").person_at)
    silent = SilentPerson()

    def somebody(number: str) -> Person | None:
        return silent

    return somebody


async def _health(request: web.Request) -> web.Response:
    """200 once the models of every part are warm, 503 before."""
    state = request.app[STATE]
    return web.json_response(state, status=200 if state["warm"] else 503)


async def _warm_up(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(_load(app[STATE]))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _load(state: dict[str, Any]) -> None:
    started = asyncio.get_running_loop().time()
    try:
        if "speech" in state["parts"]:
            for name in WARM:
                warm_up = cast(
                    "Callable[[], Awaitable[None]]", importlib.import_module(name).warm_up
                )
                await warm_up()
    except Exception as error:
        state["error"] = f"the speech models did not load: {error!r}"
        log.exception("the speech models did not load")
        return
    state["warm"] = True
    state["warm_after_s"] = round(asyncio.get_running_loop().time() - started, 2)
    log.info("sandbox ready after %.1f s", state["warm_after_s"])
