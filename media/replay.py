"""Plays a recorded call to the machine of today, and finds where it decides otherwise than then.

There is no tolerance: the same events and the same rules give the same actions, to the millisecond.
After the first difference the recorded events answer what was decided then, so what follows shows
where the change leads only roughly.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import ndiff
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import orjson

from agents.tools.base import Outcome, Tool
from calls.live import LiveCall
from media import events
from media.conversation import Conversation
from media.events import Action, Event, Tick
from media.flight import LEFT_OUT, encode, encode_call, encode_steps

LEAST_WAIT_MS = 5  # as the live session's: a rule that asks again and again must not spin
SHOWN_LENGTH = 160

Told = dict[str, Any]  # an action: {"action": its name, …its fields}


class Unreadable(Exception):
    """This is no flight log, or one of events that the machine of today does not know."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event, and what was decided then; ``wake_at`` is when the machine wanted a tick."""

    event: Event
    actions: list[Told]
    wake_at: int | None


@dataclass(slots=True)
class Flight:
    """One media socket's machine: what it started from, and its steps."""

    generation: int
    call: LiveCall
    steps: list[Step] = field(default_factory=list)
    stopped_at: int | None = None  # ms; the log is not recorded further


@dataclass(frozen=True, slots=True)
class Difference:
    """What was decided then and now, after an event that the machine of today may have added."""

    t: int
    event: str
    then: list[Told]
    now: list[Told]

    def __str__(self) -> str:
        """The time and the event, and below it the actions: ``-`` only then, ``+`` only now."""
        for whole in (False, True):
            then, now = ([tell(one, whole=whole) for one in side] for side in (self.then, self.now))
            if then != now:
                break
        lines = [line for line in ndiff(then, now) if not line.startswith("?")]
        return "\n".join([f"{_clock(self.t)}  {self.event}", *(f"    {line}" for line in lines)])


# --- playing --------------------------------------------------------------------------------------


def replay(flight: Flight) -> list[Difference]:
    """Feed a recording to a new machine; return where it decides otherwise, in order."""
    differences = []
    for event, step, actions, _ in _play(flight):
        now = _told(actions)
        if step is None and now:
            differences.append(Difference(event.t, "Tick() that only today's rules want", [], now))
        elif step is not None and now != step.actions:
            differences.append(Difference(event.t, _show(event), step.actions, now))
    return differences


def decided_again(flight: Flight) -> list[bytes]:
    """The recording's lines with the same events, and what the machine of today decides."""
    steps = [(event, actions, wake_at) for event, _, actions, wake_at in _play(flight)]
    return [encode_call(flight.call), *encode_steps(flight.call, steps)]


def _play(
    flight: Flight,
) -> Iterator[tuple[Event, Step | None, list[Action], int | None]]:
    """Each event with its step, if it is of the recording, and what the machine makes of it now."""
    machine = Conversation(flight.call)
    woken_then: int | None = None
    t = flight.steps[0].event.t if flight.steps else 0
    for step in flight.steps:
        # A tick that was wanted then is in the recording; one that only today's rules want is not.
        while (wake := machine.wake_at) is not None and wake < step.event.t and wake != woken_then:
            t = max(wake, t + LEAST_WAIT_MS)
            if t >= step.event.t:
                break
            tick = Tick(t)
            yield tick, None, machine.handle(tick), machine.wake_at
        yield step.event, step, machine.handle(step.event), machine.wake_at
        t, woken_then = step.event.t, step.wake_at


def _told(actions: Iterable[Action]) -> list[Told]:
    """Actions as a recording has them."""
    return [{"action": type(action).__name__, **orjson.loads(encode(action))} for action in actions]


# --- telling --------------------------------------------------------------------------------------


def tell(action: Told, *, whole: bool = False) -> str:
    """An action in a line: of messages to the model their number and the last, unless ``whole``."""
    shown = dict(action)
    name = shown.pop("action")
    messages = shown.get("messages")
    if messages and not whole:
        last = f"{messages[-1]['role']}: {json.dumps(messages[-1]['content'], ensure_ascii=False)}"
        shown["messages"] = f"{len(messages)}, the last {_cut(last)}"
    values = (f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in shown.items())
    return f"{name}({', '.join(value if whole else _cut(value) for value in values)})"


def _show(event: Event) -> str:
    values = ((each.name, getattr(event, each.name)) for each in fields(event))
    inner = ", ".join(f"{name}={_cut(repr(value))}" for name, value in values if name != "t")
    return f"{type(event).__name__}({inner})"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}…"


def _clock(t: int) -> str:
    minutes, ms = divmod(t, 60_000)
    return f"{minutes:02}:{ms / 1000:06.3f}"


# --- reading --------------------------------------------------------------------------------------


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of stored pieces. Raises ``Unreadable``."""
    for piece in pieces:
        try:
            yield from zlib.decompress(piece).splitlines()
        except zlib.error as error:
            raise Unreadable(str(error)) from error


def read(lines: Iterable[bytes]) -> list[Flight]:
    """The recordings in these lines, one for each media socket. Raises ``Unreadable``."""
    flights: list[Flight] = []
    asked: Sequence[Any] = ()
    reader: _Reader | None = None
    try:
        for line in lines:
            value = orjson.loads(line)
            if isinstance(value, list) and reader is not None:
                step, asked = reader.step(value, asked)
                flights[-1].steps.append(step)
            elif "stopped" in value:
                flights[-1].stopped_at = value["stopped"]
            else:
                reader = _Reader()
                flights.append(Flight(value["generation"], reader.call(value["call"])))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    return flights


class _Reader:
    """Builds one recording's values; knows the questions that its tools led to."""

    def __init__(self) -> None:
        self._questions: dict[tuple[str, str], str | None] = {}

    def call(self, known: dict[str, Any]) -> LiveCall:
        blank: dict[str, Any] = dict.fromkeys(LEFT_OUT, "")
        blank |= {"keyterms": (), "carrier_account_id": None}
        tools = tuple(self._tool(tool) for tool in known.pop("tools"))
        values = {name: _built(_HINTS[name], value) for name, value in known.items()}
        return LiveCall(**blank | values | {"tools": tools})

    def _tool(self, known: dict[str, Any]) -> Tool:
        name = known["name"]

        def read_back(arguments: Mapping[str, Any]) -> str:
            words = self._questions.get((name, _key(arguments)))
            if words is None:
                raise ValueError("not asked in the recording")
            return words

        reads_back = known.pop("reads_back")
        return Tool(
            description="",
            input_schema={},
            use=_is_recorded,
            read_back=read_back if reads_back else None,
            **known,
        )

    def step(self, line: list[Any], asked: Sequence[Any]) -> tuple[Step, Sequence[Any]]:
        """A line's step, and the messages that the model was asked with last."""
        name, event, actions, wake_at, *questions = line
        if name not in _EVENTS:
            raise Unreadable(f"the machine of today knows no {name}")
        for tool, arguments, words in questions[0] if questions else ():
            self._questions[tool, _key(arguments)] = words
        told = []
        for action, values in actions:
            if action == "AskModel":
                messages = values["messages"]
                asked = [*asked[: messages["as_before"]], *messages["new"]]
                values["messages"] = asked
            told.append({"action": action, **values})
        return Step(_built(_EVENTS[name], event), told, wake_at), asked


def _key(arguments: Mapping[str, Any]) -> str:
    return json.dumps(dict(arguments), sort_keys=True)


async def _is_recorded(arguments: Mapping[str, Any], said: str) -> Outcome:
    """Answer as a tool does that cannot be used: what it answered then is in the recording."""
    return Outcome("A replay uses no tools.", failed=True)


def _built(hint: Any, value: Any) -> Any:
    """A JSON value as what ``hint`` names: dataclasses, and sequences of them as tuples."""
    origin = get_origin(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        return hint(**{name: _built(hints[name], part) for name, part in value.items()})
    if origin in {Union, UnionType} and value is not None:
        [only] = [one for one in get_args(hint) if one is not type(None)][:1]
        return _built(only, value)
    if isinstance(value, list) and origin is not list and get_args(hint):
        return tuple(_built(get_args(hint)[0], part) for part in value)
    return value


_EVENTS = {
    name: kind
    for name, kind in vars(events).items()
    if isinstance(kind, type) and issubclass(kind, Event)
}
_HINTS = get_type_hints(LiveCall)
