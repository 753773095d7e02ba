"""Putting a caller through: when the call is let go of, when it is not, and how it comes back."""

from collections.abc import Mapping
from typing import Any

import pytest

from agents.tools.base import Outcome, Tool, ToolCall
from calls.live import SpokenTurn
from calls.transfer_rules import FailedTransfer, TransferRules
from media.events import (
    AskModel,
    CallerGone,
    EndCommand,
    HandOver,
    ModelFailed,
    Speak,
    ToolsWanted,
    TurnEnded,
    UseTools,
    Voiced,
    VoiceRose,
)
from media.putting_through import MOST_REFUSALS
from media.tests.driving import Play

DESK, SALES = "+442087601234", "+442079460018"
LINE = "Of course, I'll put you through now."
RULES = TransferRules(numbers=(DESK, SALES), default=SALES, kind="cold", left=3)


async def never(arguments: Mapping[str, Any], said: str) -> Outcome:
    raise AssertionError("the machine itself uses no tool")


def asked(**settings: Any) -> Play:
    """A caller who asked for a person, two turns into the call."""
    play = Play(inbound=True, speaks_first=False, **{"transfers": RULES} | settings)
    play.open()
    play.at(1_000).caller_says("Can I speak to a person?", speech_ended=700)
    return play


def going(text: str = f"{LINE} [TRANSFER:{DESK}]", ms: int = 2_000, **settings: Any) -> Play:
    """The same, and the agent says from t=1200 that it puts them through."""
    play = asked(**settings)
    play.at(1_200).model_says(text)
    play.send(ms)
    return play


def handed_over(play: Play) -> list[tuple[str, str]]:
    return [(action.number, action.kind) for action in play.all(HandOver)]


# --- letting go -----------------------------------------------------------------------------------


def test_the_call_is_let_go_of_when_the_line_before_the_tag_was_heard_to_its_end():
    play = going()
    play.at(3_000)
    assert handed_over(play) == []

    last = play.mark(1)

    assert last[-1] == HandOver(DESK, "cold", after_turn=2)
    assert play.turns == [("caller", "Can I speak to a person?"), ("agent", LINE)]
    assert play.machine.over
    assert play.machine.wake_at is None


@pytest.mark.parametrize(
    ("tag", "where"),
    [
        (f"[TRANSFER: {DESK}]", (DESK, "cold")),
        (f"[TRANSFER:{DESK}:warm]", (DESK, "warm")),
        ("[TRANSFER:default]", (SALES, "cold")),
        (f"[TRANSFER:{DESK}] [END_CALL]", (DESK, "cold")),
        (f"[TRANSFER:{DESK}] [TRANSFER:{SALES}]", (DESK, "cold")),
    ],
)
def test_a_tag_says_where_and_how_and_the_first_counts(tag: str, where: tuple[str, str]):
    play = going(f"{LINE} {tag}")
    play.at(3_300).mark(1)

    assert handed_over(play) == [where]
    assert play.spoken == [LINE]


def test_a_tag_without_words_gets_some_in_the_calls_language():
    play = going(f"[TRANSFER:{DESK}]", language="de")
    play.at(3_300).mark(1)

    assert play.spoken == ["Einen Moment, ich verbinde Sie."]
    assert handed_over(play) == [(DESK, "cold")]


def test_a_mark_that_never_comes_holds_up_nobody_for_long():
    assert handed_over(going().at(6_000)) == [(DESK, "cold")]


# --- by tool --------------------------------------------------------------------------------------

CALL = ToolCall("toolu_1", "transfer_call", {"number": DESK})
OTHER = ToolCall("toolu_2", "check_order", {})
TOOLS = (Tool("transfer_call", "", {}, never), Tool("check_order", "", {}, never))


def wants(play: Play, *calls: ToolCall) -> None:
    play.feed(ToolsWanted(play.t, play.all(AskModel)[-1].generation, calls))


def test_a_tool_puts_through_as_a_tag_does_and_is_not_used_like_others():
    play = asked(tools=TOOLS)
    play.at(1_200).model_says(LINE, done=False)
    wants(play, OTHER, CALL)
    play.send(2_000)
    play.at(3_300).mark(1)

    assert [use.calls for use in play.all(UseTools)] == [(OTHER,)]
    assert play.spoken == [LINE]
    assert handed_over(play) == [(DESK, "cold")]


def test_a_tool_used_without_a_word_is_not_silent():
    play = asked(tools=TOOLS)
    wants(play.at(1_200), CALL)

    assert play.spoken == ["One moment, I'll put you through."]


def test_a_number_that_nobody_wrote_down_is_refused_by_the_tool_itself():
    play = asked(tools=TOOLS)
    wrong = ToolCall("toolu_1", "transfer_call", {"number": "+449098790000"})

    wants(play.at(1_200), wrong)

    assert [use.calls for use in play.all(UseTools)] == [(wrong,)]
    assert play.spoken == []


# --- what the caller says meanwhile ---------------------------------------------------------------


@pytest.mark.parametrize("said", ["Thank you very much.", "It is about my bill.", "Okay, great."])
def test_what_a_caller_adds_is_kept_and_they_are_put_through(said: str):
    play = going()
    play.at(2_000).feed(Voiced(2_000, True))
    play.feed(VoiceRose(2_080))
    play.hears(said)
    play.at(2_600).feed(Voiced(2_600, False))
    play.feed(TurnEnded(2_700, said, 2_600))
    play.at(9_000)

    assert handed_over(play) == [(DESK, "cold")]
    assert len(play.all(AskModel)) == 1


@pytest.mark.parametrize("said", ["No, wait, I have a question.", "Stop.", "Hold on a second."])
def test_a_caller_who_objects_while_it_is_said_is_listened_to(said: str):
    play = going()
    play.at(2_200).caller_says(said)
    play.at(4_000)

    assert handed_over(play) == []
    assert len(play.all(AskModel)) == 2
    assert play.last_turn.text == said


def test_nothing_counts_any_more_once_the_call_is_let_go_of():
    play = going()
    play.at(3_300).mark(1)

    assert play.caller_says("No, wait!") == []
    assert play.feed(EndCommand(3_400, "completed")) == []


def test_a_caller_who_hangs_up_before_is_not_put_through():
    play = going()
    play.at(2_000).feed(CallerGone(2_000))
    play.at(9_000)

    assert handed_over(play) == []


# --- what may not be ------------------------------------------------------------------------------


def test_a_destination_that_is_not_allowed_is_put_right_with_the_caller():
    play = going(f"{LINE} [TRANSFER:+449098790000]")
    play.at(3_300).mark(1)

    assert handed_over(play) == []
    note = play.all(AskModel)[-1].messages[-1]
    assert note["role"] == "user"
    assert "that did not happen: your instructions name no such number" in note["content"]
    play.model_says("I am sorry, I cannot put you through.")
    assert play.spoken[-1] == "I am sorry, I cannot put you through."
    assert "transfer_refused" in play.notes


def test_a_model_that_insists_is_not_asked_for_ever():
    play = asked(transfers=TransferRules())
    for n in range(MOST_REFUSALS + 1):
        play.model_says(f"{LINE} [TRANSFER:{DESK}]")
        play.send(1_000)
        play.at(play.t + 1_200).mark(n + 1)

    assert len(play.all(AskModel)) == MOST_REFUSALS + 1
    assert play.spoken[-1] == "I am sorry, could you say that again?"


def test_a_second_try_of_the_model_forgets_where_the_first_wanted_to_go():
    play = asked()
    play.at(1_200).model_says(f"[TRANSFER:{DESK}]", done=False)
    play.feed(ModelFailed(1_300, play.all(AskModel)[-1].generation, "stalled"))
    play.model_says("How can I help?")
    play.send(1_000)
    play.at(3_000).mark(1)

    assert handed_over(play) == []


# --- and back -------------------------------------------------------------------------------------

BEFORE = (
    SpokenTurn(1, "caller", "Can I speak to a person?", 0, 700),
    SpokenTurn(2, "agent", LINE, 1_200, 3_200),
)


def back(turns: tuple[SpokenTurn, ...] = BEFORE, left: int = 2, *failed: FailedTransfer) -> Play:
    failed = failed or (FailedTransfer(2, DESK, "no-answer"),)
    rules = TransferRules(numbers=(DESK, SALES), left=left, failed=failed)
    play = Play(inbound=True, turns=turns, transfers=rules, generation=2)
    play.open()
    return play


def test_the_agent_that_gets_the_caller_back_is_told_why_and_speaks_at_once():
    play = back()

    [ask] = play.all(AskModel)
    assert [message["role"] for message in ask.messages] == ["user", "assistant", "user"]
    note = ask.messages[-1]["content"]
    assert f"The transfer to {DESK} did not work: nobody answered." in note
    assert "put them through to it now, without asking" in note
    assert play.spoken == []  # no "I lost you for a moment"


def test_it_may_try_the_next_number():
    play = back()
    play.model_says(f"I will try a colleague. [TRANSFER:{SALES}]")
    play.send(1_000)
    play.at(1_200).mark(1)

    assert play.all(HandOver) == [HandOver(SALES, "cold", after_turn=3)]


def test_after_the_last_one_it_is_told_that_there_is_none():
    note = back(BEFORE, 0).all(AskModel)[0].messages[-1]["content"]

    assert "No further transfer is possible in this call" in note


def test_the_note_stays_where_it_was_when_the_talk_goes_on_and_is_nobodys_words():
    later = (*BEFORE, SpokenTurn(3, "agent", "Nobody is free, I am sorry.", 20_000, 22_000))

    play = back(later)

    assert play.all(AskModel) == []
    assert play.all(Speak)[0].text.startswith("I'm sorry, I lost you")
    play.send(2_000)
    play.at(3_000).caller_says("Then take a message.")
    contents = [message["content"] for message in play.all(AskModel)[-1].messages]
    assert contents[1] == LINE
    assert contents[2].startswith("[The transfer to")
    assert contents[3].startswith("Nobody is free, I am sorry.")
    assert play.machine.history.caller_words() == "Can I speak to a person?\nThen take a message."


def test_two_failures_are_told_in_their_order():
    play = back(
        (*BEFORE, SpokenTurn(3, "agent", "I will try a colleague.", 20_000, 21_000)),
        1,
        FailedTransfer(2, DESK, "busy"),
        FailedTransfer(3, SALES, "declined"),
    )

    contents = [message["content"] for message in play.all(AskModel)[-1].messages]
    assert "the line was busy" in contents[2]
    assert "the colleague could not take the call" in contents[4]
