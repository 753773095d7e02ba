"""A customer's server on loopback: it notes every request and answers as it is told."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from accounts.tests.loopback import Handler, serving


class Receiver:
    """``answers`` are given in turn, the last one for ever: a status, or None to hang up."""

    def __init__(self) -> None:
        self.answers: list[int | None] = [200]
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]

    def next_answer(self) -> int | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextlib.contextmanager
def running_receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Hook(Handler):
        def do_POST(self) -> None:
            receiver.requests.append((self.sent_headers(), self.body()))
            status = receiver.next_answer()
            if status is None:
                self.close_connection = True
                return
            self.say(status, headers=receiver.headers)

    with serving(Hook) as port:
        receiver.url = f"http://127.0.0.1:{port}/hook"
        yield receiver
