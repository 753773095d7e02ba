"""The model's side of a test: a server on loopback that answers as it is told and keeps what it was
asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Model:
    """``answers`` are given in turn, the last one for ever: a text, a tool's name in brackets, or
    an HTTP status. ``meanwhile`` runs while an answer is being written."""

    url: str = ""
    answers: list[str | int] = field(default_factory=lambda: ["It is at 3 pm."])
    asked: list[dict[str, Any]] = field(default_factory=list)
    meanwhile: Callable[[], object] | None = None

    @property
    def system(self) -> str:
        """The system prompt of the newest request."""
        return "\n\n".join(block["text"] for block in self.asked[-1]["system"])

    def next_answer(self) -> str | int:
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
                body, status = _message(answer), 200
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


def _message(answer: str) -> dict[str, Any]:
    is_tool = answer.startswith("[")
    content = (
        {"type": "tool_use", "id": "toolu_1", "name": answer.strip("[]"), "input": {}}
        if is_tool
        else {"type": "text", "text": answer}
    )
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [content],
        "stop_reason": "tool_use" if is_tool else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
