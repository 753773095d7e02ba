"""A recorded call, played to the machine again."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given, settings

from agents.tools.base import Outcome, Tool, ToolCall, ToolResult
from calls.factories import CallFactory
from calls.flights import flight_pieces
from calls.live import LiveCall, SpokenTurn
from media import beginning, flight
from media.conversation import Conversation
from media.events import (
    AskModel,
    Event,
    Opened,
    Tick,
    ToolsDone,
    ToolsWanted,
    UseTools,
)
from media.factories import LiveCallFactory
from media.flight import FlightRecorder, Step, encode_call, encode_steps
from media.replay import Flight, Unreadable, decided_again, read, replay, unpacked
from media.tests.driving import Play
from media.tests.test_conversation_properties import calls, steps

BOOK = ToolCall("toolu_1", "book", {"start": "2026-11-24T09:00", "name": "Ada"})


class Recorded(Play):
    """A played conversation that keeps its recording."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.steps: list[Step] = []

    def _take(self, event: Event) -> list[Any]:
        actions = super()._take(event)
        self.steps.append((event, actions, self.machine.wake_at))
        return actions

    @property
    def recording(self) -> list[bytes]:
        return written(self.machine.call, self.steps)


def written(call: LiveCall, steps: list[Step]) -> list[bytes]:
    return [encode_call(call), *encode_steps(call, steps)]


def the_only(lines: list[bytes]) -> Flight:
    [only] = read(lines)
    return only


def kinds(step: Step) -> list[str]:
    return [type(action).__name__ for action in step[1]]


def a_short_call(**fields: Any) -> Recorded:
    """A person who picks up, says hello, hears why we call, asks something and says goodbye."""
    play = Recorded(**fields)
    play.open()
    play.model_says("Hello, this is Mia of Acme.")
    play.at(900)
    play.send(1_500)
    play.at(2_600)
    play.mark(1)
    play.caller_says("When are you open?")
    play.model_says("From nine to five. Goodbye! [END_CALL]")
    play.at(3_000)
    play.send(1_200, 600)
    play.at(5_000)
    play.mark(3)
    assert play.hung_up == "completed"
    return play


def test_a_recording_replays_without_a_difference():
    play = a_short_call()

    recording = the_only(play.recording)

    assert [step.event for step in recording.steps] == [event for event, _, _ in play.steps]
    assert [len(step.actions) for step in recording.steps] == [len(a) for _, a, _ in play.steps]
    assert replay(recording) == []


@settings(max_examples=150, deadline=None)
@given(calls, steps)
def test_whatever_happens_replays_without_a_difference(call, happenings):
    machine, t, recorded = Conversation(call), 0, []
    events: list[Event] = [Opened(0)]
    for wait, (kind, *values) in happenings:
        t += wait
        events.append(kind(t, *values))
    for event in events:
        actions = machine.handle(event)
        recorded.append((event, actions, machine.wake_at))

    assert replay(the_only(written(call, recorded))) == []


def test_a_changed_rule_shows_where_it_decides_otherwise(monkeypatch):
    recording = the_only(a_short_call().recording)

    monkeypatch.setattr(beginning, "BEAT_MS", 500)
    differences = replay(recording)

    assert (differences[0].t, differences[0].event) == (500, "Tick() that only today's rules want")
    assert differences[0].then == []
    assert [one["action"] for one in differences[0].now] == ["Speak"]
    assert str(differences[0]) == (
        "00:00.500  Tick() that only today's rules want\n"
        '    + Speak(clause_id=1, text="Hello, this is Mia of Acme.")'
    )
    assert str(differences[1]) == (
        '00:00.800  Tick()\n    - Speak(clause_id=1, text="Hello, this is Mia of Acme.")'
    )


def test_a_longer_wait_than_then_shows_as_a_decision_that_was_not_made(monkeypatch):
    recording = the_only(a_short_call().recording)

    monkeypatch.setattr(beginning, "BEAT_MS", 850)
    first, second = replay(recording)[:2]

    assert (first.t, [one["action"] for one in first.then], first.now) == (800, ["Speak"], [])
    assert (second.t, second.then, [one["action"] for one in second.now]) == (850, [], ["Speak"])


def test_a_recording_decided_again_holds_what_is_decided_today(monkeypatch):
    recording = the_only(a_short_call().recording)
    monkeypatch.setattr(beginning, "BEAT_MS", 500)

    again = the_only(decided_again(recording))

    assert replay(again) == []
    assert [step.event for step in again.steps if step.event != Tick(500)] == [
        step.event for step in recording.steps
    ]


def test_other_messages_to_the_model_are_a_difference_and_shown_whole():
    play = a_short_call()
    ask = max(n for n, step in enumerate(play.steps) if kinds(step)[-1:] == ["AskModel"])
    event, actions, wake_at = play.steps[ask]
    asked = actions[-1]
    assert isinstance(asked, AskModel)
    messages = ({"role": "user", "content": "[Other words.]"}, *asked.messages[1:])
    play.steps[ask] = (event, [*actions[:-1], AskModel(asked.generation, messages)], wake_at)

    [difference] = replay(the_only(play.recording))

    assert "[Other words.]" in str(difference)


async def never(arguments: Mapping[str, Any], said: str) -> Outcome:
    raise AssertionError("a replay uses no tool")


def test_a_write_that_was_read_back_replays_without_the_tool():
    def question(arguments: Mapping[str, Any]) -> str:
        return f"Shall I book {arguments['start']} for {arguments['name']}?"

    book = Tool("book", "Book a time.", {"type": "object"}, never, read_back=question)
    play = Recorded(inbound=True, tools=(book,))
    play.open()
    play.send(1_000)
    play.at(2_600)
    play.caller_says("Book me in for Tuesday at nine, I am Ada.")
    play.feed(ToolsWanted(play.t, play.all(AskModel)[-1].generation, (BOOK,)))
    play.send(2_000)
    play.at(7_000)
    play.caller_says("Yes, please.")
    play.feed(ToolsWanted(play.t, play.all(AskModel)[-1].generation, (BOOK,)))
    [use] = play.all(UseTools)
    booked = Outcome("Booked.", booking={"action": "create", "start": "2026-11-24T09:00"})
    play.feed(ToolsDone(play.t, use.generation, (ToolResult(BOOK, booked),)))

    recording = the_only(play.recording)

    assert "Shall I book 2026-11-24T09:00 for Ada?" in play.spoken
    assert replay(recording) == []
    assert recording.call.tools[0].description == ""


def test_a_call_that_another_process_took_over_replays_from_its_committed_turns():
    turns = (SpokenTurn(1, "agent", "Hello, this is Mia.", 0, 900),)
    play = Recorded(turns=turns, generation=2, extras={"elapsed_ms": 4_000})
    play.at(4_000)
    play.open()

    recording = the_only(play.recording)

    assert (recording.generation, recording.call.turns) == (2, turns)
    assert [one["action"] for one in recording.steps[0].actions] == ["Speak", "Speak"]
    assert replay(recording) == []


def test_what_the_machine_does_not_need_is_not_recorded():
    call = LiveCallFactory(
        their_number="+12025550123", system_call="CALL PURPOSE: a secret", keyterms=("Acme",)
    )

    lines = b"\n".join(written(call, []))

    for left_out in (b"+1202555", b"secret", b"Acme Dental", call.carrier_sid.encode()):
        assert left_out not in lines


def test_events_that_nobody_knows_any_more_are_named():
    lines = [encode_call(LiveCallFactory()), b'["Sneezed",{"t":5},[],null]']

    with pytest.raises(Unreadable, match="knows no Sneezed"):
        read(lines)


@pytest.mark.parametrize("line", [b"[]", b"{}", b"nonsense", b'["Tick",{"when":1},[],null]'])
def test_what_is_no_flight_log_is_refused(line):
    with pytest.raises(Unreadable):
        read([encode_call(LiveCallFactory()), line])


@pytest.mark.django_db
class TestTheRecorder:
    def record(self, play: Recorded, call: Any) -> list[tuple[Any, ...]]:
        """Record a played call; return the writes that it asked for, done."""
        live = cast("LiveCall", LiveCallFactory(pk=call.pk))
        writes: list[tuple[Any, ...]] = []
        recorder = FlightRecorder(live, lambda *write: writes.append(write))
        for step in play.steps:
            recorder.step(*step)
        recorder.hand_over()
        for write, *arguments in writes:
            write(*arguments)
            write(*arguments)  # the journal tries again where an answer was lost
        return writes

    def test_pieces_of_a_call_make_one_recording(self, monkeypatch):
        monkeypatch.setattr(flight, "MOST_STEPS", 4)
        play, call = a_short_call(), CallFactory()

        writes = self.record(play, call)

        assert len(writes) == -(-len(play.steps) // 4)
        recording = the_only(list(unpacked(flight_pieces(call))))
        assert len(recording.steps) == len(play.steps)
        assert replay(recording) == []

    def test_a_piece_is_written_every_fifteen_seconds(self):
        play = Recorded()
        for t in (0, 7_000, 14_999, 15_000, 16_000):
            play.feed(Tick(t))

        writes = self.record(play, CallFactory())

        assert [len(write[2]) for write in writes] == [4, 1]

    def test_a_log_that_grew_too_long_says_where_it_stops(self, monkeypatch):
        monkeypatch.setattr(flight, "MOST_STEPS", 4)
        monkeypatch.setattr(flight, "MOST_BYTES", 0)
        play, call = a_short_call(), CallFactory()

        self.record(play, call)

        recording = the_only(list(unpacked(flight_pieces(call))))
        assert len(recording.steps) == 4
        assert recording.stopped_at == recording.steps[-1].event.t
        assert replay(recording) == []
