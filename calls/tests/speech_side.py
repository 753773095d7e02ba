"""The speech service's side of a test: a server on loopback that speaks silence, or refuses."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class SpeechServer:
    """``status`` is what it answers; ``requests`` are the (query, text) it received."""

    SAMPLES = b"\x01\x00" * 800

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[dict[str, Any], str]] = []
        self.url = ""


@contextlib.contextmanager
def running_speech() -> Iterator[SpeechServer]:
    speech = SpeechServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            query = {name: one for name, [one] in parse_qs(urlsplit(self.path).query).items()}
            speech.requests.append((query, body["text"]))
            answer = speech.SAMPLES if speech.status == 200 else b"{}"
            self.send_response(speech.status)
            self.send_header("Content-Type", "audio/l16")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    speech.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield speech
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
