"""The model's side of a test: a server on loopback that answers ``/v1/messages`` as it is told."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ModelServer:
    """``answers`` are given in turn, the last one for ever: a form to fill in as a dict, or the
    status of a refusal. ``requests`` are the bodies received.
    """

    def __init__(self) -> None:
        self.answers: list[dict[str, Any] | int] = []
        self.requests: list[dict[str, Any]] = []
        self.url = ""

    def next_answer(self) -> dict[str, Any] | int:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def prompt(self, n: int = 0) -> str:
        return str(self.requests[n]["messages"][-1]["content"])

    def schema(self, n: int = 0) -> dict[str, Any]:
        form: dict[str, Any] = self.requests[n]["output_config"]["format"]["schema"]
        return form


def message(form: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [{"type": "text", "text": json.dumps(form)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 10},
    }


@contextlib.contextmanager
def running_model() -> Iterator[ModelServer]:
    model = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            model.requests.append(json.loads(self.rfile.read(length)))
            answer = model.next_answer()
            refusal = {"type": "error", "error": {"type": "api_error", "message": "no"}}
            if answer == 400:
                refusal["error"] = {"type": "invalid_request_error", "message": "no"}
            status = answer if isinstance(answer, int) else 200
            body = json.dumps(message(answer) if isinstance(answer, dict) else refusal).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("x-should-retry", "false")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
