"""A customer's own server on loopback, which is asked in mid-call and answers as it is told."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request it got."""

    method: str
    path: str  # with the query
    headers: dict[str, str]  # lower-case names
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class CustomerServer:
    """``answer`` is what it says to every request: status and JSON-ready value, or raw bytes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer: tuple[int, Any] = (200, {})
        self.got: list[Asked] = []
        self.silent = threading.Event()  # cleared: it takes requests and does not answer
        self.silent.set()


@contextlib.contextmanager
def running_customer_server() -> Iterator[CustomerServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = {name.lower(): value for name, value in self.headers.items()}
            customer.got.append(Asked(self.command, self.path, sent, self.rfile.read(length)))
            customer.silent.wait(10)
            status, said = customer.answer
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            with contextlib.suppress(OSError):  # whoever asked may have gone
                self.send_response(status)
                self.send_header("Location", customer.url)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    customer = CustomerServer(f"http://127.0.0.1:{server.server_address[1]}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield customer
    finally:
        customer.silent.set()
        server.shutdown()
        server.server_close()
        thread.join()
