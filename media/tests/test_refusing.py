"""Who says "don't call me again" is entered in the ledger, heard out politely, and let go."""

import pytest

from media.events import AskModel, RefuseContact, Speak
from media.tests.driving import Play

DONE = (
    "I understand. I have taken your number off our list, and we will not contact you again. "
    "Goodbye."
)
ASKED = "Just so that I get it right: do you want us to stop contacting you?"


def talking() -> Play:
    play = Play(inbound=True, speaks_first=False)
    play.open()
    return play


def refused(play: Play) -> list[tuple[int, str, str]]:
    return [(one.sequence, one.phrase, str(one.scope)) for one in play.all(RefuseContact)]


def test_a_certain_refusal_is_entered_and_acknowledged_without_asking_the_model():
    play = talking()

    play.at(1_000).caller_says("Please don't call me again.", speech_ended=700)

    assert refused(play) == [(1, "en.certain.do_not_call_again", "all")]
    assert play.turns == [("caller", "Please don't call me again.")]
    assert " ".join(play.spoken) == DONE
    assert play.all(AskModel) == []


def test_after_the_acknowledgement_is_heard_the_call_ends():
    play = talking()
    play.at(1_000).caller_says("Take me off your list.", speech_ended=700)

    play.at(1_100).send(*[500] * len(play.spoken))
    for speak in play.all(Speak):
        play.mark(speak.clause_id)

    assert play.hung_up == "completed"


def test_a_likely_refusal_is_asked_about_and_entered_on_a_yes():
    play = talking()
    play.at(1_000).caller_says("Leave me alone.", speech_ended=700)
    assert refused(play) == []
    assert " ".join(play.spoken) == ASKED
    play.at(1_100).send(1_000, 1_000)
    play.mark(1)
    play.mark(2)

    play.at(4_000).caller_says("Yes, please.", speech_ended=3_700)

    assert refused(play) == [(3, "en.likely.leave_me_alone", "all")]
    assert " ".join(play.spoken[2:]) == DONE
    assert play.all(AskModel) == []


def test_a_likely_refusal_that_is_denied_enters_nobody_and_the_talk_goes_on():
    play = talking()
    play.at(1_000).caller_says("Leave me alone.", speech_ended=700)
    play.at(1_100).send(1_000, 1_000)
    play.mark(1)
    play.mark(2)

    play.at(4_000).caller_says("No, no, go on.", speech_ended=3_700)

    assert refused(play) == []
    assert len(play.all(AskModel)) == 1


def test_a_refusal_into_the_goodbye_still_counts():
    play = talking()
    play.at(1_000).caller_says("Please don't call me again.", speech_ended=700)
    play.at(1_100).send(*[2_000] * len(play.spoken))

    play.at(2_500).caller_says("Remove my number, I said.", speech_ended=2_300)

    assert [sequence for sequence, *_ in refused(play)] == [1, 2]
    assert play.clears == 0


@pytest.mark.parametrize(
    "text",
    ["Please don't call me before nine.", "I want to cancel my appointment.", "Stop by at two."],
)
def test_a_look_alike_goes_to_the_model_and_enters_nobody(text):
    play = talking()

    play.at(1_000).caller_says(text, speech_ended=700)

    assert play.all(RefuseContact) == []
    assert len(play.all(AskModel)) == 1
