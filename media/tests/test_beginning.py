"""The first words of a call, and those of a call that was moved to another process."""

import pytest

from calls.live import SpokenTurn
from media.events import (
    AskModel,
    ModelFailed,
    Speak,
    Voiced,
)
from media.tests.driving import OPENING, Play


def test_an_inbound_call_is_greeted_at_once_in_the_agents_exact_words():
    play = Play(inbound=True)

    assert play.open() == [Speak(1, OPENING)]


def test_brackets_in_a_written_greeting_are_spoken_as_they_stand():
    play = Play(inbound=True, opening="Hello [END_CALL] there.")

    play.open()
    assert play.spoken == ["Hello [END_CALL] there."]


def test_an_outbound_opening_is_written_at_once_and_spoken_after_a_beat():
    play = Play()

    assert play.open() == [
        AskModel(
            1, ({"role": "user", "content": "[The call has just been answered. Speak first.]"},)
        )
    ]
    assert play.at(300).model_says("Hello, this is Mia.") == []
    assert play.at(799).spoken == []
    assert play.at(800).spoken == ["Hello, this is Mia."]


def test_the_opening_waits_for_the_end_of_the_persons_hello():
    play = Play(opening="Hello, this is Mia.")
    play.open()
    play.at(600).feed(Voiced(600, True))
    play.at(1_000).feed(Voiced(1_000, False))

    assert play.at(1_100).caller_says("Hello?", speech_ended=900) == play.actions[-1:]
    assert play.at(1_699).spoken == []
    assert play.at(1_700).spoken == ["Hello, this is Mia."]
    assert play.turns == [("caller", "Hello?")]


def test_nobody_keeps_the_opening_waiting_longer_than_two_and_a_half_seconds():
    play = Play(opening="Hello, this is Mia.")
    play.open()
    play.at(500).feed(Voiced(500, True))

    assert play.at(2_499).spoken == []
    assert play.at(2_500).spoken == ["Hello, this is Mia."]


def test_a_person_who_says_more_than_hello_is_answered_and_not_recited_to():
    play = Play()
    play.open()
    play.at(300).model_says("Hello, this is Mia.")

    play.at(700).caller_says("Acme Limited, Sarah speaking, how can I help?")
    assert play.spoken == []
    assert play.all(AskModel)[-1].messages[-1]["content"].startswith("Acme Limited")


def test_an_agent_that_does_not_speak_first_waits_for_the_caller():
    play = Play(inbound=True, speaks_first=False)

    assert play.open() == []
    assert play.at(5_000).actions == []


def test_a_call_that_lost_its_process_goes_on_with_an_apology_and_its_history():
    turns = (SpokenTurn(1, "agent", OPENING, 0, 2_000), SpokenTurn(2, "caller", "Hi", 3_000, 3_300))
    play = Play(inbound=True, turns=turns)

    play.open()
    assert play.spoken == ["I'm sorry, I lost you for a moment.", "Where were we?"]
    play.send(1_000, 800)
    play.at(2_000).mark(2)
    assert play.last_turn.sequence == 3

    play.at(4_000).caller_says("At the price")
    play.model_says("It costs ninety pounds.")
    assert play.spoken[2:] == ["It costs ninety pounds."]


def moved() -> Play:
    turns = (SpokenTurn(1, "agent", OPENING, 0, 2_000), SpokenTurn(2, "caller", "Hi", 3_000, 3_300))
    play = Play(inbound=True, turns=turns, fallback_message="Could you say that again?")
    play.open()
    return play


def test_whoever_speaks_before_the_apology_for_a_move_was_heard_gets_it_with_the_answer():
    play = moved()

    play.at(100).caller_says("Are you still there?", speech_ended=90)
    assert play.spoken[2:] == ["I'm sorry, I lost you for a moment."]  # while the model writes
    play.model_says("Yes, I am.")
    play.send(1_500, 700)
    play.at(3_000).mark(3)
    play.mark(4)

    assert play.turns[-2:] == [
        ("caller", "Are you still there?"),
        ("agent", "I'm sorry, I lost you for a moment. Yes, I am."),
    ]
    play.at(4_000).caller_says("Good. What does it cost?")
    play.model_says("It costs ninety pounds.")
    assert play.spoken[-1] == "It costs ninety pounds."
    assert sum("lost you" in text for text in play.spoken) == 2  # one of them was never heard


def test_an_apology_for_a_move_that_is_interrupted_unheard_is_still_owed():
    play = moved()
    play.at(100).caller_says("Are you")
    play.at(200).caller_says("still there?")

    play.model_says("Yes, I am.")
    assert play.spoken[-2:] == ["I'm sorry, I lost you for a moment.", "Yes, I am."]


@pytest.mark.parametrize("said", ["", "Yes, I"])
def test_behind_the_apology_for_a_move_a_failing_model_is_treated_as_ever(said):
    play = moved()
    play.at(100).caller_says("Are you still there?")

    if said:
        play.model_says(said, done=False)
    asked = play.all(AskModel)[-1]
    play.feed(ModelFailed(play.t, asked.generation, "overloaded_error"))
    assert play.all(AskModel)[-1].second
    play.feed(ModelFailed(play.t, play.all(AskModel)[-1].generation, "overloaded_error"))

    assert play.spoken[2:] == ["I'm sorry, I lost you for a moment.", "Could you say that again?"]
    play.send(1_500, 900)
    play.at(4_000).mark(3)
    play.mark(4)
    assert play.turns[-1] == (
        "agent",
        "I'm sorry, I lost you for a moment. Could you say that again?",
    )
