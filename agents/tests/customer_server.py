"""A customer's own server on loopback, which is asked in mid-call and answers as it is told."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from accounts.tests.loopback import Handler, serving


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

    def __init__(self) -> None:
        self.url = ""
        self.answer: tuple[int, Any] = (200, {})
        self.got: list[Asked] = []
        self.silent = threading.Event()  # cleared: it takes requests and does not answer
        self.silent.set()


@contextlib.contextmanager
def running_customer_server() -> Iterator[CustomerServer]:
    customer = CustomerServer()

    class Hook(Handler):
        def do_GET(self) -> None:
            sent = Asked(self.command, self.path, self.sent_headers(), self.body())
            customer.got.append(sent)
            customer.silent.wait(10)
            status, said = customer.answer
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            with contextlib.suppress(OSError):  # whoever asked may have gone
                self.say(status, content, {"Location": customer.url})

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    with serving(Hook) as port:
        customer.url = f"http://127.0.0.1:{port}/hook"
        try:
            yield customer
        finally:
            customer.silent.set()
