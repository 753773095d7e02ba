"""Answers that are written before the caller's turn has certainly ended."""

import pytest

from agents.tools.base import Outcome, ToolCall, ToolResult
from media.events import (
    AskModel,
    CallerGone,
    CancelModel,
    Forget,
    HangUp,
    ModelDone,
    ModelFailed,
    ModelText,
    Note,
    Prepare,
    Speak,
    ToolsDone,
    ToolsWanted,
    TurnEnded,
    TurnMayEnd,
    TurnResumed,
    UseTools,
)
from media.tests.driving import Play

QUESTION = "When are you open?"


def listening(**settings: object) -> Play:
    play = Play(inbound=True, opening="", speaks_first=False, **settings)
    play.open()
    return play


def may_end(play: Play, t: int, text: str = QUESTION) -> AskModel:
    play.at(t).feed(TurnMayEnd(t, text))
    return play.all(AskModel)[-1]


def outcomes(play: Play) -> list[object]:
    return [note.data for note in play.all(Note) if note.kind == "speculation"]


def held(play: Play) -> list[object]:
    """What became of audio that was made ahead, and what was said."""
    return [a for a in play.actions if isinstance(a, Prepare | Forget | Speak)]


def test_the_first_clause_is_made_ahead_and_let_out_when_the_turn_has_ended():
    play = listening()
    asked = may_end(play, 1_000)

    play.feed(ModelText(1_050, asked.generation, "We open at nine, and we close"))
    assert held(play) == []
    play.feed(ModelText(1_100, asked.generation, " at five. Come"))
    assert held(play) == [Prepare("We open at nine, and we close at five.")]
    play.feed(ModelText(1_150, asked.generation, " by! Any time."))
    play.at(1_200).feed(TurnEnded(1_200, QUESTION, 900))

    assert held(play) == [
        Prepare("We open at nine, and we close at five."),
        Speak(1, "We open at nine, and we close at five."),
        Speak(2, "Come by!"),
        Speak(3, "Any time."),
    ]


def test_a_reply_that_is_written_without_a_full_stop_is_made_ahead_when_it_is_done():
    play = listening()
    asked = may_end(play, 1_000)
    play.feed(ModelText(1_050, asked.generation, "At nine"))

    play.feed(ModelDone(1_060, asked.generation))

    assert held(play) == [Prepare("At nine")]


def test_a_reply_that_acts_before_it_speaks_is_not_made_ahead():
    play = listening()
    asked = may_end(play, 1_000, "Goodbye.")

    play.feed(ModelText(1_050, asked.generation, "[END_CALL] Goodbye!"))
    assert held(play) == []
    play.at(1_200).feed(TurnEnded(1_200, "Goodbye.", 900))

    assert held(play) == [Speak(1, "Goodbye!")]


def test_what_the_engine_says_instead_drops_the_audio_that_is_held():
    play = listening()
    asked = may_end(play, 1_000, "Please don't call me again.")
    play.feed(ModelText(1_050, asked.generation, "Very well."))

    play.at(1_200).feed(TurnEnded(1_200, "Please don't call me again.", 900))

    assert held(play)[:2] == [Prepare("Very well."), Forget()]
    assert "Very well." not in play.spoken


def test_the_model_is_asked_when_the_turn_may_end_and_heard_when_it_has():
    play = listening()
    asked = may_end(play, 1_000)
    assert asked.messages[-1] == {"role": "user", "content": QUESTION}

    play.at(1_100).feed(ModelText(1_100, asked.generation, "We open at nine. "))
    assert play.spoken == []
    assert play.turns == []
    play.at(1_200).feed(TurnEnded(1_200, QUESTION, 900))
    assert play.spoken == ["We open at nine."]
    play.feed(ModelText(1_250, asked.generation, "Until five."))
    play.feed(ModelDone(1_300, asked.generation))

    assert play.spoken == ["We open at nine.", "Until five."]
    assert play.turns == [("caller", QUESTION)]
    assert len(play.all(AskModel)) == 1
    assert play.all(CancelModel) == []
    assert outcomes(play) == [{"used": True, "ahead_ms": 200}]


def test_the_waterfall_counts_from_the_real_end_of_the_turn():
    play = listening()
    asked = may_end(play, 1_000)
    play.feed(ModelText(1_000, asked.generation, "We open at nine."))

    play.at(1_200).feed(TurnEnded(1_200, QUESTION, 900))
    play.feed(ModelDone(1_210, asked.generation))
    play.at(1_300).send(500)
    play.at(2_000).mark(1)

    assert play.last_turn.timings == {
        "endpoint_ms": 300,
        "first_token_ms": 300,
        "first_clause_ms": 300,
        "first_frame_ms": 400,
        "heard_ms": 1_100,
    }


def test_a_caller_who_goes_on_is_not_answered_too_early():
    play = listening()
    asked = may_end(play, 1_000)
    play.feed(ModelText(1_000, asked.generation, "We open at nine."))

    play.at(1_150).feed(TurnResumed(1_150, f"{QUESTION} On"))
    play.feed(ModelText(1_160, asked.generation, " And close at five."))  # it was on its way
    again = may_end(play, 2_000, f"{QUESTION} On Sundays?")
    play.feed(ModelText(2_050, again.generation, "Sundays never."))
    play.at(2_200).feed(TurnEnded(2_200, f"{QUESTION} On Sundays?", 1_900))

    assert play.spoken == ["Sundays never."]
    assert play.turns == [("caller", f"{QUESTION} On Sundays?")]
    assert len(play.all(CancelModel)) == 1
    assert outcomes(play) == [
        {"used": False, "why": "resumed", "characters": 16},
        {"used": True, "ahead_ms": 200},
    ]
    assert held(play) == [
        Prepare("We open at nine."),
        Forget(),
        Prepare("Sundays never."),
        Speak(1, "Sundays never."),
    ]


def test_more_words_drop_it_without_a_word_of_resumption():
    play = listening()
    asked = may_end(play, 1_000)

    play.at(1_100).hears(QUESTION)  # the same words once more change nothing
    assert play.all(CancelModel) == []
    play.at(1_200).hears(f"{QUESTION} And")

    assert len(play.all(CancelModel)) == 1
    assert outcomes(play) == [{"used": False, "why": "more was said"}]
    assert play.feed(ModelText(1_300, asked.generation, "We open at nine.")) == []


def test_a_turn_that_ends_with_other_words_is_asked_about_anew():
    play = listening()
    guessed = may_end(play, 1_000)
    play.feed(ModelText(1_050, guessed.generation, "We open at nine."))

    play.at(1_200).feed(TurnEnded(1_200, "When do you open?", 900))

    first, second = play.all(AskModel)
    assert second.generation != first.generation
    assert second.messages[-1]["content"] == "When do you open?"
    assert play.spoken == []
    order = [type(a) for a in play.actions if isinstance(a, AskModel | CancelModel)]
    assert order == [AskModel, CancelModel, AskModel]
    assert outcomes(play) == [{"used": False, "why": "other words", "characters": 16}]
    assert held(play) == [Prepare("We open at nine."), Forget()]


def test_tools_wait_for_the_real_end_of_the_turn():
    play = listening()
    asked = may_end(play, 1_000, "Cancel my appointment.")
    call = ToolCall("1", "cancel_appointment", {})

    play.at(1_100).feed(ToolsWanted(1_100, asked.generation, (call,)))
    assert play.all(UseTools) == []
    play.at(1_200).feed(TurnEnded(1_200, "Cancel my appointment.", 900))

    [used] = play.all(UseTools)
    assert (used.calls, used.said) == ((call,), "Cancel my appointment.")


def test_a_tool_that_was_wanted_too_early_is_never_used():
    play = listening()
    asked = may_end(play, 1_000, "Cancel my appointment.")
    call = ToolCall("1", "cancel_appointment", {})
    play.at(1_100).feed(ToolsWanted(1_100, asked.generation, (call,)))

    play.at(1_150).feed(TurnResumed(1_150, "Cancel my appointment. No, move it."))
    play.at(2_000).feed(TurnEnded(2_000, "Cancel my appointment. No, move it.", 1_900))

    assert play.all(UseTools) == []


def test_a_result_that_came_meanwhile_is_told_to_the_model_after_all():
    play = listening()
    may_end(play, 1_000)
    result = ToolResult(ToolCall("1", "send_sms", {"text": "hi"}), Outcome("Sent."))

    play.at(1_100).feed(ToolsDone(1_100, -1, (result,)))
    play.at(1_200).feed(TurnEnded(1_200, QUESTION, 900))

    assert len(play.all(AskModel)) == 2
    assert outcomes(play) == [{"used": False, "why": "other words"}]


def test_a_failure_counts_when_the_answer_is_due():
    play = listening()
    asked = may_end(play, 1_000)

    assert play.at(1_100).feed(ModelFailed(1_100, asked.generation, "overloaded_error")) == []
    play.at(1_200).feed(TurnEnded(1_200, QUESTION, 900))

    first, second = play.all(AskModel)
    assert (first.second, second.second) == (False, True)
    assert "model_failed" in play.notes


def test_over_a_running_answer_nothing_is_guessed():
    play = listening()
    play.caller_says("Hello there")
    play.model_says("Good morning, this is Acme.", done=True)
    play.at(300).send(2_000)

    play.at(1_000).feed(TurnMayEnd(1_000, "mm hmm"))

    assert len(play.all(AskModel)) == 1


def test_a_caller_who_pauses_often_costs_two_requests_in_vain_at_most():
    play = listening()
    said = ""
    for number in range(6):
        said = f"{said} word{number}".strip()
        play.at(1_000 * number + 1_000).feed(TurnMayEnd(play.t, said))
        play.at(play.t + 200).feed(TurnResumed(play.t, f"{said} and"))
    assert len(play.all(AskModel)) == 2

    play.at(9_000).feed(TurnEnded(9_000, f"{said} and so on", 8_900))
    assert len(play.all(AskModel)) == 3


def test_without_a_real_end_the_turn_ends_here_and_the_guess_is_used():
    play = listening()
    asked = may_end(play, 1_000)
    play.feed(ModelText(1_100, asked.generation, "We open at nine."))

    play.at(4_000)  # the transcriber is gone

    assert play.spoken == ["We open at nine."]
    assert outcomes(play) == [{"used": True, "ahead_ms": 3_000}]


@pytest.mark.parametrize("ending", ["command", "gone"])
def test_the_end_of_the_call_stops_the_writing(ending):
    from media.events import EndCommand

    play = listening()
    may_end(play, 1_000)

    play.feed(EndCommand(1_100, "completed") if ending == "command" else CallerGone(1_100))

    assert len(play.all(CancelModel)) == 1
    assert play.all(Speak) == []
    assert len(play.all(HangUp)) == (ending == "command")
