"""Calls as text: what the machine does, without its audio."""

from typing import Any, cast

from agents.model import ModelFailed, Written
from agents.tools.base import ToolCall
from calls.live import LiveCall
from media.events import AskModel
from media.factories import LiveCallFactory
from media.in_text import TextCall


class Writer:
    """Gives its answers in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: Written | str) -> None:
        self.answers = list(answers)
        self.asked: list[AskModel] = []

    def __call__(self, ask: AskModel) -> Written:
        self.asked.append(ask)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Written(answer) if isinstance(answer, str) else answer


def outbound(**settings: Any) -> LiveCall:
    return cast("LiveCall", LiveCallFactory(direction="outbound", opening="", **settings))


def test_a_call_goes_turn_by_turn_and_ends_by_its_tag_which_nobody_hears():
    writer = Writer("Hi, Mia here. All well?", "Good. Goodbye! [END_CALL]")
    call = TextCall(outbound(), writer)

    call.say("Hello?")
    call.say("Yes, thank you.")

    assert call.lines == [
        ("person", "Hello?"),
        ("agent", "Hi, Mia here. All well?"),
        ("person", "Yes, thank you."),
        ("agent", "Good. Goodbye!"),
    ]
    assert (call.ended, call.failure, len(writer.asked)) == ("completed", "", 2)


def test_who_says_no_to_all_calls_is_answered_by_the_engine_itself():
    writer = Writer("Hi, Mia here. All well?")
    call = TextCall(outbound(), writer)

    call.say("Hello?")
    call.say("Please never call me again.")

    assert call.lines[-1][0] == "agent"
    assert "contact you again" in call.lines[-1][1]
    assert len(writer.asked) == 1


def test_a_tool_is_not_used_and_the_model_is_told_so():
    writer = Writer("Hi.", Written("", (ToolCall("1", "check_availability", {}),)), "At two, then.")
    call = TextCall(outbound(), writer)

    call.say("Hello?")
    call.say("When is a slot free?")

    assert call.lines[-1] == ("agent", "At two, then.")
    assert "not used in a rehearsal" in str(writer.asked[-1].messages)


def test_a_model_that_fails_ends_the_call_and_is_named():
    def fails(_: AskModel) -> Written:
        raise ModelFailed("time-out")

    call = TextCall(outbound(), fails)

    assert (call.ended, call.failure) == ("failed", "time-out")
