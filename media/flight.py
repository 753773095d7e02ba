"""The flight recorder: what a call's machine was told, and what it asked for, so that the call can
be played to a machine again (``media.replay``).

A step costs the audio path one append. Encoding, compressing and storing happen in the journal's
threads, some seconds later; a process that is killed takes the last of them with it.

One JSON value a line. First ``{"generation", "call"}``: the ``LiveCall`` that the machine began
with, without what only the providers need. Then a list for each step: the event's name, the event,
the actions as ``[name, action]``, the machine's ``wake_at`` after it and, where tools were wanted,
the questions that their arguments lead to. Last, if the log had grown too long, ``{"stopped": t}``.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import orjson

from agents.tools.base import Tool, ToolCall
from calls.flights import store_flight
from calls.live import LiveCall
from media.events import Action, AskModel, Event, ToolsWanted

# Each piece is a row: rarely enough to cost little, often enough to lose little.
EVERY_MS = 15_000
MOST_STEPS = 512
# Some hours of talk; a call that goes on longer is replayed up to here.
MOST_BYTES = 1_000_000

# The machine must not need these: they are the providers', the carrier's, or a person's.
LEFT_OUT = frozenset(
    {
        "carrier_account_id",
        "carrier_sid",
        "keyterms",
        "our_number",
        "system_call",
        "system_stable",
        "their_number",
        "tools",
    }
)
_LEFT_OUT_OF_TOOLS = frozenset({"description", "input_schema", "use", "read_back"})

Step = tuple[Event, Sequence[Action], int | None]


class FlightRecorder:
    """Collects one socket's steps and hands them to ``put(write, …)``, the journal's queue."""

    def __init__(self, call: LiveCall, put: Callable[..., None]) -> None:
        self._call = call
        self._put = put
        self._steps: list[Step] = []
        self._pieces = 0
        self._since = int(call.extras.get("elapsed_ms") or 0)
        self._bytes = 0  # written by the journal's threads
        self._stopped = False

    def step(self, event: Event, actions: Sequence[Action], wake_at: int | None) -> None:
        """Note what an event led to. Never waits."""
        if self._stopped:
            return
        self._steps.append((event, actions, wake_at))
        if len(self._steps) >= MOST_STEPS or event.t - self._since >= EVERY_MS:
            self._since = event.t
            self.hand_over()

    def hand_over(self) -> None:
        """Have what was collected written."""
        if not self._steps:
            return
        steps, self._steps = self._steps, []
        self._stopped = self._bytes >= MOST_BYTES
        self._put(self._write, self._pieces, steps, self._stopped)
        self._pieces += 1

    def _write(self, number: int, steps: Sequence[Step], last: bool) -> None:
        lines = [] if number else [encode_call(self._call)]
        lines += encode_steps(self._call, steps)
        if last:
            lines.append(encode({"stopped": steps[-1][0].t}))
        data = zlib.compress(b"\n".join(lines))
        store_flight(self._call.pk, self._call.generation, number, data)
        self._bytes += len(data)


def encode_call(call: LiveCall) -> bytes:
    """What the machine started from."""
    known: dict[str, Any] = {
        field.name: getattr(call, field.name)
        for field in fields(call)
        if field.name not in LEFT_OUT
    }
    known["tools"] = [_encodable(tool) for tool in call.tools]
    return encode({"generation": call.generation, "call": known})


def encode_steps(call: LiveCall, steps: Sequence[Step]) -> Iterator[bytes]:
    """A line for each step. Of the messages to the model only those that are new since the step
    before that asked it.
    """
    asked: Sequence[Any] = ()
    for event, actions, wake_at in steps:
        told: list[tuple[str, Any]] = []
        for action in actions:
            if isinstance(action, AskModel):
                told.append(("AskModel", _only_new(action, asked)))
                asked = action.messages
            else:
                told.append((type(action).__name__, action))
        line = [type(event).__name__, event, told, wake_at]
        if isinstance(event, ToolsWanted):
            line.append(_questions(call.tools, event.calls))
        yield encode(line)


def _only_new(ask: AskModel, before: Sequence[Any]) -> dict[str, Any]:
    same = 0
    for old, new in zip(before, ask.messages, strict=False):
        if old != new:
            break
        same += 1
    whole = {field.name: getattr(ask, field.name) for field in fields(ask)}
    return whole | {"messages": {"as_before": same, "new": ask.messages[same:]}}


def _questions(tools: Sequence[Tool], calls: Sequence[ToolCall]) -> list[Any]:
    """What the machine would ask the caller before each of these writes (null: it cannot say)."""
    by_name = {tool.name: tool for tool in tools}
    questions = []
    for call in calls:
        tool = by_name.get(call.name)
        if tool is None or tool.read_back is None:
            continue
        try:
            words: str | None = tool.read_back(call.arguments)
        except (ValueError, KeyError):
            words = None
        questions.append((call.name, call.arguments, words))
    return questions


def _encodable(tool: Tool) -> dict[str, Any]:
    known = {
        field.name: getattr(tool, field.name)
        for field in fields(tool)
        if field.name not in _LEFT_OUT_OF_TOOLS
    }
    return known | {"reads_back": tool.read_back is not None}


def encode(value: Any) -> bytes:
    """JSON of a value that events and actions are made of."""
    return orjson.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"a flight log cannot hold a {type(value).__name__}")
