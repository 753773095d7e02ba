"""The speech service's side of a test: a server on loopback that speaks silence, or refuses."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from accounts.tests.loopback import Handler, serving


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

    class Speak(Handler):
        def do_POST(self) -> None:
            query = {name: one for name, [one] in parse_qs(urlsplit(self.path).query).items()}
            speech.requests.append((query, json.loads(self.body())["text"]))
            answer = speech.SAMPLES if speech.status == 200 else b"{}"
            self.say(speech.status, answer, {"Content-Type": "audio/l16"})

    with serving(Speak) as port:
        speech.url = f"http://127.0.0.1:{port}"
        yield speech
