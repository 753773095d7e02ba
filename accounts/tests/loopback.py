"""Servers of others in a test: on a free port of 127.0.0.1, for as long as a ``with`` lasts."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """A request, to be answered by ``do_POST`` and the like of a subclass."""

    def body(self) -> bytes:
        """Read what was sent."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def sent_headers(self) -> dict[str, str]:
        """Return the request's headers by their names in lower case."""
        return {name.lower(): value for name, value in self.headers.items()}

    def say(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def say_json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        """Answer with a JSON value."""
        typed = {"Content-Type": "application/json", **(headers or {})}
        self.say(status, json.dumps(value).encode(), typed)

    def log_message(self, *_: object) -> None:
        """Leave the test's output alone."""


class _Server(ThreadingHTTPServer):
    # A whole batch knocks at once: the default of 5 would turn some away on a busy machine.
    request_queue_size = 128


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], *, tls: SSLContext | None = None
) -> Iterator[int]:
    """Serve, each request in a thread of its own; yield the port."""
    server = _Server(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
