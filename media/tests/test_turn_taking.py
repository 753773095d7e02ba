"""Who of the two goes on: turns, interruptions, sounds of listening."""

import pytest

from media.events import (
    AskModel,
    CancelModel,
    Clear,
    ModelText,
    Note,
    TurnEnded,
    Voiced,
)
from media.tests.driving import LONG, Play, answering, speaking

# --- taking turns -------------------------------------------------------------------------------


def test_the_end_of_a_turn_stores_it_and_asks_the_model():
    play = answering()

    assert play.turns == [("caller", "When are you open?")]
    assert play.all(AskModel) == [
        AskModel(1, ({"role": "user", "content": "When are you open?"},)),
    ]


def test_a_callers_turn_begins_with_the_voice_and_not_with_the_first_transcript():
    play = Play(inbound=True, speaks_first=False)
    play.open()
    play.at(1_000).feed(Voiced(1_000, True))

    play.at(1_350).hears("When are")
    play.at(2_400).caller_says("When are you open?", speech_ended=2_000)
    assert (play.last_turn.started_ms, play.last_turn.ended_ms) == (1_000, 2_000)


def test_sentences_are_spoken_while_the_model_still_writes():
    play = answering()

    play.at(1_100).model_says("We open at nine. And we", done=False)
    assert play.spoken == ["We open at nine."]
    play.at(1_200).model_says(" close at five.")
    assert play.spoken == ["We open at nine.", "And we close at five."]


def test_an_answer_heard_to_its_end_is_stored_with_its_waterfall():
    play = speaking("We open at nine.", 1_400)

    play.at(2_700).mark(1)
    turn = play.last_turn
    assert (turn.text, turn.full_text, turn.interrupted) == ("We open at nine.", "", False)
    assert (turn.started_ms, turn.ended_ms, turn.latency_ms) == (1_200, 2_700, 500)
    assert turn.timings == {
        "endpoint_ms": 300,
        "first_token_ms": 500,
        "first_clause_ms": 500,
        "first_frame_ms": 500,
        "heard_ms": 2_000,
    }


def test_a_caller_who_goes_on_while_the_model_thinks_is_answered_once_for_all():
    play = answering()

    assert play.at(1_200).hears("on Saturday") == [CancelModel()]
    play.at(2_000).feed(TurnEnded(2_000, "on Saturday", 1_700))
    assert play.all(AskModel)[-1].messages == (
        {"role": "user", "content": "When are you open? on Saturday"},
    )
    assert play.spoken == []


def test_text_of_a_cancelled_reply_is_never_spoken():
    play = answering()
    old = play.all(AskModel)[-1]
    play.at(1_200).caller_says("on Saturday")

    play.model_says("New answer.")
    assert play.feed(ModelText(1_300, old.generation, "Old answer. ")) == []
    assert play.spoken == ["New answer."]


def test_words_whose_end_is_never_announced_are_answered_all_the_same():
    play = Play(inbound=True, speaks_first=False)
    play.open()
    play.at(1_000).hears("When are you open")

    assert play.at(3_999).all(AskModel) == []
    assert len(play.at(4_000).all(AskModel)) == 1


# --- barge-in -----------------------------------------------------------------------------------


def test_real_words_silence_the_agent_and_cut_it_at_the_last_heard_word():
    play = speaking()

    assert play.at(3_800).hears("wait a") == [
        Note("interrupted", {"reply": "answer"}),
        Clear(),
        *play.actions[-1:],
    ]
    turn = play.last_turn
    assert turn.interrupted
    assert turn.text == "We are open from nine to five on every"
    assert turn.full_text == LONG


def test_only_what_was_heard_enters_the_models_history():
    play = speaking()
    play.at(3_800).hears("wait a")

    play.at(4_500).caller_says("wait a minute")
    assert play.all(AskModel)[-1].messages == (
        {"role": "user", "content": "When are you open?"},
        {"role": "assistant", "content": "We are open from nine to five on every"},
        {"role": "user", "content": "wait a minute"},
    )


def test_a_reply_that_nobody_heard_leaves_no_turn():
    play = speaking()

    play.at(1_250).hears("stop that")
    assert play.turns == [("caller", "When are you open?")]
    assert play.clears == 1


def test_marks_that_a_clear_gives_back_do_not_count_as_heard():
    play = speaking()
    play.at(1_250).hears("stop that")

    assert play.at(1_300).mark(1) == []
    assert play.turns == [("caller", "When are you open?")]


@pytest.mark.parametrize(
    "words", ["yeah", "Mm-hmm.", "Okay, I see.", "right right", "Uh huh, got it"]
)
def test_sounds_of_listening_do_not_interrupt(words):
    play = speaking()

    assert play.at(2_000).hears(words) == []
    assert play.caller_says(words) == [Note("backchannel")]
    assert play.clears == 0
    assert len(play.all(AskModel)) == 1


@pytest.mark.parametrize("words", ["stop", "Wait", "no", "hold on"])
def test_one_word_that_means_stop_is_enough(words):
    play = speaking(interruption_sensitivity=10)

    play.at(2_000).hears(words)
    assert play.clears == 1


@pytest.mark.parametrize(
    ("sensitivity", "words", "clears"),
    [
        (100, "Tuesday", 1),
        (50, "Tuesday", 0),
        (50, "Tuesday please", 1),
        (20, "Tuesday please", 0),
        (20, "Tuesday afternoon please", 1),
        (0, "stop it now please", 0),
    ],
)
def test_sensitivity_says_how_many_words_it_takes(sensitivity, words, clears):
    play = speaking(interruption_sensitivity=sensitivity)

    play.at(2_000).hears(words)
    assert play.clears == clears


def test_at_sensitivity_zero_the_caller_is_answered_when_the_agent_has_finished():
    play = speaking("We open at nine.", 1_400, interruption_sensitivity=0)

    play.at(2_000).caller_says("and on Sunday please", speech_ended=1_900)
    assert (play.clears, len(play.all(AskModel))) == (0, 1)
    play.at(2_700).mark(1)
    assert play.turns[-2:] == [("agent", "We open at nine."), ("caller", "and on Sunday please")]
    assert len(play.all(AskModel)) == 2


def test_yes_into_the_last_words_of_a_question_answers_it():
    play = speaking("Shall I book it?", 1_400)

    play.at(2_300).caller_says("yes", speech_ended=2_100)
    assert play.clears == 0
    play.at(2_700).mark(1)
    assert play.turns[-2:] == [("agent", "Shall I book it?"), ("caller", "yes")]
    assert len(play.all(AskModel)) == 2


def test_a_mark_that_never_comes_back_does_not_stop_the_conversation():
    play = speaking("We open at nine.", 1_400)

    assert play.at(4_099).turns == [("caller", "When are you open?")]
    assert play.at(4_100).turns[-1] == ("agent", "We open at nine.")


def test_a_turn_that_we_had_to_end_is_not_taken_twice_when_the_transcriber_comes_back():
    play = Play(inbound=True, opening="", speaks_first=False)
    play.open()
    play.feed(Voiced(0, True))
    play.at(500).hears("My number is")
    play.feed(Voiced(600, False))

    play.at(4_000)  # the transcriber is gone: the turn ends without it
    play.hears("My number")  # a new one hears the same audio again
    play.caller_says("My number is.")

    assert play.turns == [("caller", "My number is")]
    assert len(play.all(AskModel)) == 1


def test_of_a_turn_that_we_had_to_end_the_rest_is_heard():
    play = Play(inbound=True, opening="", speaks_first=False)
    play.open()
    play.at(500).hears("My number is")
    play.at(4_000)

    play.at(5_000).caller_says("My number is two zero two.")

    assert play.turns == [("caller", "My number is"), ("caller", "two zero two.")]


def test_the_same_words_in_a_new_voice_are_a_new_turn():
    play = Play(inbound=True, opening="", speaks_first=False)
    play.open()
    play.at(500).hears("Hello?")
    play.at(4_000)

    play.feed(Voiced(4_500, True))
    play.at(5_000).caller_says("Hello?")

    assert play.turns == [("caller", "Hello?"), ("caller", "Hello?")]


def test_an_agent_that_allows_long_pauses_waits_for_the_end_of_the_turn():
    play = Play(inbound=True, opening="", speaks_first=False, stt_max_silence_ms=6_000)
    play.open()
    play.at(500).hears("My number is")

    play.at(7_400)
    assert play.turns == []
    play.at(7_500)
    assert play.turns == [("caller", "My number is")]
