"""The simulated model on a free port, with the official SDK pointed at it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer
from anthropic import AsyncAnthropic

from sandbox.model import messages


@asynccontextmanager
async def model_server() -> AsyncIterator[str]:
    """The base URL of a running simulator with an empty prompt cache."""
    app = web.Application()
    app.add_routes(messages.routes())
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


def sdk(url: str, *, api_key: str = "key-of-tests", **options: object) -> AsyncAnthropic:
    """The unmodified SDK, which tries once unless told otherwise."""
    return AsyncAnthropic(api_key=api_key, base_url=url, **{"max_retries": 0, **options})  # type: ignore[arg-type]
