"""The model's side of a test: a server on loopback that answers ``/v1/messages`` as it is told and
keeps what it was asked.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from accounts.tests.loopback import Handler, serving

type Answer = str | int | dict[str, Any] | list[tuple[str, dict[str, Any]]]


@dataclass
class ModelServer:
    """``answers`` are given in turn, the last one for ever: a text, a form to fill in as a dict, a
    tool's name in brackets, tools with their arguments, or the HTTP status of a refusal.
    ``requests`` are the bodies received. ``meanwhile`` is for a fixture to run once an answer is
    written.
    """

    url: str = ""
    answers: list[Answer] = field(default_factory=lambda: ["It is at 3 pm."])
    requests: list[dict[str, Any]] = field(default_factory=list)
    meanwhile: Callable[[], object] | None = None

    def next_answer(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def system(self) -> str:
        """The system prompt of the newest request."""
        return "\n\n".join(block["text"] for block in self.requests[-1]["system"])

    def prompt(self, n: int = 0) -> str:
        """The newest message of a request."""
        return str(self.requests[n]["messages"][-1]["content"])

    def schema(self, n: int = 0) -> dict[str, Any]:
        """The form that a request wants filled in."""
        form: dict[str, Any] = self.requests[n]["output_config"]["format"]["schema"]
        return form


@contextmanager
def running_model() -> Iterator[ModelServer]:
    model = ModelServer()

    class Messages(Handler):
        def do_POST(self) -> None:
            model.requests.append(json.loads(self.body()))
            answer = model.next_answer()
            told = {"x-should-retry": "false"}
            if isinstance(answer, int):
                kind = "invalid_request_error" if answer == 400 else "api_error"
                refusal = {"type": "error", "error": {"type": kind, "message": "no"}}
                self.say_json(answer, refusal, told)
            else:
                self.say_json(200, _message(answer, len(model.requests)), told)

    with serving(Messages) as port:
        model.url = f"http://127.0.0.1:{port}"
        yield model


def _message(
    answer: str | dict[str, Any] | list[tuple[str, dict[str, Any]]], number: int
) -> dict[str, Any]:
    if isinstance(answer, str) and answer.startswith("["):
        answer = [(answer.strip("[]"), {})]
    content: list[dict[str, Any]]
    if isinstance(answer, list):
        content = [
            {"type": "tool_use", "id": f"toolu_{number}_{place}", "name": name, "input": given}
            for place, (name, given) in enumerate(answer)
        ]
    else:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        content = [{"type": "text", "text": text}]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": content,
        "stop_reason": "tool_use" if isinstance(answer, list) else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
