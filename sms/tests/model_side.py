"""The model's side of a test: a server on loopback that answers as it is told and keeps what it was
asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

type Answer = str | int | list[tuple[str, dict[str, Any]]]


@dataclass
class Model:
    """``answers`` are given in turn, the last one for ever: a text, a tool's name in brackets,
    tools with their arguments, or an HTTP status. ``meanwhile`` runs while an answer is being
    written."""

    url: str = ""
    answers: list[Answer] = field(default_factory=lambda: ["It is at 3 pm."])
    asked: list[dict[str, Any]] = field(default_factory=list)
    meanwhile: Callable[[], object] | None = None

    @property
    def system(self) -> str:
        """The system prompt of the newest request."""
        return "\n\n".join(block["text"] for block in self.asked[-1]["system"])

    def next_answer(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def running_model() -> Iterator[Model]:
    model = Model()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            model.asked.append(json.loads(self.rfile.read(length)))
            answer = model.next_answer()
            if isinstance(answer, int):
                body, status = {"type": "error", "error": {"type": "api_error"}}, answer
            else:
                body, status = _message(answer, len(model.asked)), 200
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.send_header("x-should-retry", "false")
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield model
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _message(answer: str | list[tuple[str, dict[str, Any]]], number: int) -> dict[str, Any]:
    if isinstance(answer, str) and answer.startswith("["):
        answer = [(answer.strip("[]"), {})]
    if isinstance(answer, str):
        content: list[dict[str, Any]] = [{"type": "text", "text": answer}]
    else:
        content = [
            {"type": "tool_use", "id": f"toolu_{number}_{place}", "name": name, "input": given}
            for place, (name, given) in enumerate(answer)
        ]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": content,
        "stop_reason": "end_turn" if isinstance(answer, str) else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
