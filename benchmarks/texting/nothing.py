"""A server that takes a text and does nothing with it: what of the time until a text is answered is
the sender's and the machine's own."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx


async def application(_scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run it in a process of its own, under our web process's server; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = f"{__name__}:application"
    options = ("--loop=uvloop", "--http=httptools", "--lifespan=off", "--no-access-log")
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", served, f"--port={port}", *options, "--log-level=error"]
    )
    try:
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.post(f"http://127.0.0.1:{port}/")
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(10)
