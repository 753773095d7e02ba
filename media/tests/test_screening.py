"""A phone's assistant asks who is calling: it is told, and the person is waited for."""

import pytest

from media.events import (
    AskModel,
    CancelModel,
    MachineVerdict,
    Note,
    RefuseContact,
    TurnEnded,
)
from media.screening import NOTE
from media.tests.driving import Play

QUESTION = (
    "Hi, the person you are calling is using a screening service. "
    "Please say your name and why you're calling."
)
HOLD = "Thank you. Please stay on the line."


def screened(**settings) -> Play:
    """An outbound call whose assistant has asked its question at 5 s."""
    play = Play(**settings)
    play.open()
    play.at(300).model_says("Hello, this is Mia of Acme Dental, is this Sam?")
    play.at(5_000).caller_says(QUESTION)
    return play


def answered(**settings) -> Play:
    """The same, with the answer heard at 8 s."""
    play = screened(**settings)
    play.at(5_300).model_says("This is Mia of Acme Dental about an appointment tomorrow.")
    play.send(2_500)
    play.at(8_000).mark(play.machine._agent.playout.clauses[-1].clause_id)
    return play


def test_the_assistant_is_told_at_once_who_calls_and_why():
    play = screened()

    assert play.hung_up is None
    said = play.all(AskModel)[-1].messages[-1]["content"]
    assert said == f"[Call assistant] {QUESTION}\n{NOTE}"
    assert [n.data["answer"] for n in play.all(Note) if n.kind == "answered_by"] == ["screening"]


def test_the_engines_note_is_no_part_of_the_conversation():
    play = answered()
    play.at(12_000).caller_says("Hello?")

    assert NOTE not in str(play.all(AskModel)[-1].messages)
    assert play.turns[-3:] == [
        ("caller", f"[Call assistant] {QUESTION}"),
        ("agent", "This is Mia of Acme Dental about an appointment tomorrow."),
        ("caller", "Hello?"),
    ]


def test_a_question_in_two_sentences_is_answered_once_and_belongs_to_the_assistant():
    first, second = QUESTION.split(". ")
    play = Play()
    play.open()
    play.at(3_000).caller_says(f"{first}.")
    play.at(3_300).hears(second)

    play.at(5_000).feed(TurnEnded(5_000, second, 4_800))
    assert [text for role, text in play.turns] == [
        f"[Call assistant] {first}.", f"[Call assistant] {second}",
    ]  # fmt: skip
    assert len(play.all(AskModel)) == len(play.all(CancelModel)) + 1


@pytest.mark.parametrize("said", ["Thank you.", "One moment, I'm trying to reach them."])
def test_what_asks_for_nothing_is_not_answered(said):
    play = answered()
    before = len(play.all(AskModel))

    play.at(9_000).caller_says(said)
    assert len(play.all(AskModel)) == before


def test_a_request_to_hold_the_line_is_not_answered():
    play = answered()
    before = len(play.all(AskModel))

    play.at(9_000).caller_says(HOLD)
    assert len(play.all(AskModel)) == before
    assert play.turns[-1] == ("caller", f"[Call assistant] {HOLD}")


def test_the_person_is_given_time_to_come():
    play = answered(silence_hangup_s=10)
    play.at(9_000).caller_says(HOLD)

    # half of 10 s, and 45 s
    assert play.at(58_999).spoken[-1] == "This is Mia of Acme Dental about an appointment tomorrow."
    assert play.at(59_000).spoken[-1] == "Are you still there?"


@pytest.mark.parametrize(
    "said", ["Hello?", "Hi Mia, this is Sam, what can I do for you?", "Hold on, who is this?"]
)
def test_the_person_who_comes_is_answered_as_a_person(said):
    play = answered(silence_hangup_s=10)
    play.at(9_000).caller_says(HOLD)

    play.at(20_000).caller_says(said)
    assert play.turns[-1] == ("caller", said)
    play.model_says("Hello Sam, this is Mia.")
    play.send(1_000)
    play.at(21_500).mark(play.machine._agent.playout.clauses[-1].clause_id)
    play.at(26_500)
    assert play.spoken[-1] == "Are you still there?"


def test_a_refusal_after_the_answer_is_the_persons():
    play = answered()

    play.at(12_000).caller_says("Please don't call me again.")
    assert len(play.all(RefuseContact)) == 1


def test_a_screener_that_becomes_voicemail_is_one():
    play = answered()

    play.at(30_000).caller_says("Please leave a message after the tone.")
    assert play.hung_up == "voicemail_detected"


def test_the_carriers_verdict_does_not_hang_up_on_a_screener():
    play = screened()

    play.at(5_100).feed(MachineVerdict(5_100, "machine_start"))
    assert play.hung_up is None


def test_a_person_is_not_taken_for_the_assistant_that_spoke_before():
    first, second = QUESTION.split(". ")
    play = Play()
    play.open()
    play.at(3_000).caller_says(f"{first}.")
    play.at(5_000).caller_says(second)
    play.model_says("This is Mia of Acme Dental about an appointment tomorrow.")
    play.send(2_500)
    play.at(8_000).mark(play.machine._agent.playout.clauses[-1].clause_id)

    play.at(12_000).caller_says("Hello?")
    play.at(16_000).caller_says("No, that's all, thank you.")
    assert play.turns[-1] == ("caller", "No, that's all, thank you.")
