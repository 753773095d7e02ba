"""Calendar writes that the engine reads back: one clean yes, one write."""

from collections.abc import Mapping
from typing import Any

import pytest

from agents.tools.base import Outcome, Tool, ToolCall, ToolResult
from media.events import AskModel, CallerGone, ToolsDone, ToolsWanted, UseTools
from media.tests.driving import Play

BOOK = {"start": "2026-05-29T10:00", "name": "Sam"}
ELEVEN = {**BOOK, "start": "2026-05-29T11:00"}


async def never(arguments: Mapping[str, Any], said: str) -> Outcome:
    raise AssertionError("the machine itself uses no tool")


def read_back(arguments: Mapping[str, Any]) -> str:
    return f"Shall I book {arguments['name']} at {arguments['start'][-5:]}? Please say yes."


def asks_to_book(**arguments: str) -> Play:
    """A caller who wants a time; the model calls the tool at once."""
    tools = (
        Tool("book_appointment", "Book.", {}, never, read_back=read_back),
        Tool("find_booking", "Find.", {}, never),
    )
    play = Play(inbound=True, tools=tools)
    play.open()
    play.send(1_000)
    play.at(2_600)
    play.caller_says("Friday at ten, for Sam.")
    wants(play, **(arguments or BOOK))
    return play


def wants(play: Play, name: str = "book_appointment", /, **arguments: str) -> None:
    asked = play.all(AskModel)[-1]
    call = ToolCall(f"toolu_{len(play.actions)}", name, arguments)
    play.feed(ToolsWanted(play.t, asked.generation, (call,)))


def hears_it_out(play: Play) -> None:
    play.send(1_500, 800)
    play.at(play.t + 5_000)


def used(play: Play) -> list[Mapping[str, Any]]:
    return [use.calls[0].arguments for use in play.all(UseTools)]


def test_a_write_is_held_and_read_back_with_its_exact_details():
    play = asks_to_book()

    assert used(play) == []
    assert play.spoken[1:] == ["Shall I book Sam at 10:00?", "Please say yes."]
    hears_it_out(play)
    play.caller_says("Yes.")
    held = play.all(AskModel)[-1].messages[-3:]
    assert "Held, nothing was written" in held[0]["content"][0]["content"]
    assert play.turns[-2:] == [
        ("agent", "Shall I book Sam at 10:00? Please say yes."),
        ("caller", "Yes."),
    ]


def test_after_a_yes_the_same_call_is_done_once():
    play = asks_to_book()
    hears_it_out(play)
    play.caller_says("Yes, please.")

    wants(play, **BOOK)

    assert used(play) == [BOOK]
    use = play.all(UseTools)[-1]
    play.feed(ToolsDone(play.t, use.generation, (ToolResult(use.calls[0], Outcome("Done.")),)))
    wants(play, **BOOK)
    assert used(play) == [BOOK]  # a second one needs a yes of its own


@pytest.mark.parametrize("reply", ["Yes, but make it eleven.", "No.", "What was that?"])
def test_anything_but_a_yes_keeps_it_held(reply: str):
    play = asks_to_book()
    hears_it_out(play)
    play.caller_says(reply)

    wants(play, **BOOK)

    assert used(play) == []
    assert play.spoken.count("Shall I book Sam at 10:00?") == 2


def test_changed_details_are_a_new_proposal():
    play = asks_to_book()
    hears_it_out(play)
    play.caller_says("Yes.")

    wants(play, **ELEVEN)
    assert used(play) == []
    assert play.spoken[-2:] == ["Shall I book Sam at 11:00?", "Please say yes."]

    hears_it_out(play)
    play.caller_says("Yes.")
    wants(play, **BOOK)  # the old details are not what was confirmed
    assert used(play) == []


def test_a_yes_into_the_question_does_not_count():
    play = asks_to_book()
    play.send(1_500, 800)
    play.at(play.t + 900)
    play.caller_says("Yes go on.")

    wants(play, **BOOK)

    assert used(play) == []


def test_a_yes_to_another_question_is_no_yes_to_the_booking():
    play = asks_to_book()
    hears_it_out(play)
    play.caller_says("Is there parking?")
    play.model_says("There is. Do you come by car?")
    hears_it_out(play)
    play.caller_says("Yes.")

    wants(play, **BOOK)

    assert used(play) == []


def test_reads_are_never_held():
    play = asks_to_book()
    hears_it_out(play)
    play.caller_says("Do I have one already?")

    wants(play, "find_booking", email="s@example.com")

    assert used(play) == [{"email": "s@example.com"}]


def test_a_read_beside_a_held_write_waits_too():
    play = asks_to_book()
    hears_it_out(play)
    play.caller_says("Hm.")
    asked = play.all(AskModel)[-1]
    calls = (ToolCall("t1", "find_booking", {}), ToolCall("t2", "book_appointment", BOOK))

    play.feed(ToolsWanted(play.t, asked.generation, calls))

    assert used(play) == []


def test_arguments_that_cannot_be_read_back_go_to_the_tool_which_refuses_them():
    play = asks_to_book(name="Sam")

    assert used(play) == [{"name": "Sam"}]


def test_a_caller_who_hangs_up_at_the_question_has_booked_nothing():
    play = asks_to_book()
    play.send(1_500, 800)
    play.feed(CallerGone(play.t))

    assert used(play) == []
    assert play.machine.over
