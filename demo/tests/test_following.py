"""What is told of a call, from its rows and from what the sandbox saw."""

import io
from typing import Any

import pytest

from calls.factories import CallFactory, TurnFactory
from calls.models import Call
from demo.call import Follower
from demo.calls import Booking, _booking, _show_memory, _VoicemailFollower
from demo.console import Console
from demo.sandbox import ms_between

pytestmark = pytest.mark.django_db

PERSON = "+447386172392"


@pytest.fixture
def console() -> Console:
    return Console(io.StringIO())


def told(console: Console) -> str:
    assert isinstance(console.out, io.StringIO)
    return console.out.getvalue()


def said(text: str, number: str = PERSON) -> dict[str, Any]:
    return {"kind": "person_said", "number": number, "text": text}


def follower(console: Console, call: Call, **options: Any) -> Follower:
    return Follower(console, call.call_id, agent="Mia", person="Laura", **options)


def test_a_conversation_is_told_once_with_how_fast_the_agent_answered(console):
    call = CallFactory.create(live=True, to_number=PERSON)
    one = follower(console, call)
    TurnFactory.create(call=call, sequence=1, role="caller", text="Hello?")
    TurnFactory.create(call=call, sequence=2, role="agent", text="This is Mia.", latency_ms=480)

    over = [one.tell([said("Hello?")]), one.tell([])]

    assert over == [False, False]
    assert told(console).count("Hello?") == 1
    assert told(console).count("This is Mia.") == 1
    assert "answered in 480 ms" in told(console)


def test_what_the_agent_says_is_timed_from_when_she_began(console, monkeypatch):
    call = CallFactory.create(live=True, to_number=PERSON)
    console.scene("A call")
    now = console._began
    monkeypatch.setattr("demo.console.time.monotonic", lambda: now + 21.7)
    TurnFactory.create(
        call=call, sequence=1, role="agent", text="Is it?", started_ms=10_000, ended_ms=15_200
    )

    follower(console, call).tell([])

    assert "  0:16.5  Mia      Is it?" in told(console)


def test_a_message_left_is_told_before_the_hanging_up(console):
    call = CallFactory.create(
        to_number=PERSON, over=True, ended_reason="voicemail_detected", duration_ms=9_000
    )
    TurnFactory.create(call=call, sequence=1, role="agent", text="Please call back.")
    one = _VoicemailFollower(console, call.call_id, agent="Mia", person="Peter's machine")

    assert [one.tell([]), one.tell([])] == [True, True]

    lines = [line.split("  ", 2)[-1].strip() for line in told(console).splitlines()]
    assert lines == ["Mia      Please call back.", "Mia hangs up on Peter's machine"]


def test_what_was_misheard_is_shown_and_counted(console):
    call = CallFactory.create(over=True, to_number=PERSON, duration_ms=9_000)
    TurnFactory.create(call=call, sequence=1, role="caller", text="My name is Nora Locker.")
    one = follower(console, call)

    over = one.tell([said("My name is Laura Walker.")])

    assert over is True
    assert "Mia understood: My name is Nora Locker." in told(console)
    assert one.summary() == "9 s · 40% of Laura's words misheard"


def test_another_persons_words_are_left_to_their_own_call(console):
    one = follower(console, CallFactory.create(live=True, to_number=PERSON))

    one.tell([said("I am somebody else.", number="+12025550110")])

    assert "somebody else" not in told(console)


def test_who_talks_over_the_agent_is_told_after_what_they_broke_into(console):
    call = CallFactory.create(live=True, to_number=PERSON)
    one = follower(console, call, interrupts="Where can I park?")

    one.tell([said("Where can I park?")])
    before = told(console)
    TurnFactory.create(
        call=call, sequence=1, role="agent", text="A check-up", full_text="A check-up is 40 pounds",
        interrupted=True,
    )  # fmt: skip
    one.tell([])

    assert "park" not in before
    assert told(console).index("A check-up …") < told(console).index("(talks over her) Where can I")


def test_of_a_prompt_the_notes_on_the_person_are_shown(console):
    call = CallFactory.create(
        system_prompt_used="You are Mia.\nName: not this\n## CALLER HISTORY\n- Background: rules\n"
        "- 2026-11-22 (Sunday, we called them): She booked Tuesday.\n## CALLER CONTEXT\n"
        "Name: Laura Walker\n"
    )

    _show_memory(console, call)

    assert [line.strip() for line in told(console).splitlines()] == [
        "what the agent knew by itself, from before:",
        "- 2026-11-22 (Sunday, we called them): She booked Tuesday.",
        "Name: Laura Walker",
    ]


def test_a_booking_is_told_in_the_clinics_time():
    booking = _booking(
        {
            "start": "2026-07-01T14:30:00.000Z",
            "attendee_name": "Laura Walker",
            "attendee_email": "laura.walker@example.com",
        }
    )

    assert isinstance(booking, Booking)
    assert str(booking) == "Laura Walker, Wednesday 1 July at 15:30"
    assert booking.day == "Wednesday"


def test_the_time_between_two_events_is_the_sandboxs_own():
    at = "2026-11-22T08:56:0{}+00:00"

    assert ms_between({"at": at.format("1.250")}, {"at": at.format("1.459")}) == 209
