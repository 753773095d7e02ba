"""``[VOICEMAIL]``: the model says that a machine answered (spec 6.4)."""

from media.events import FoundVoicemail
from media.tests.driving import Play


def greeted(**settings) -> Play:
    """An outbound call in which something was said that no rule knows for a greeting."""
    play = Play(**settings)
    play.open()
    play.at(300).model_says("Hello, this is Mia.")
    play.at(2_400).caller_says("Ahoy, this is the duck line of Sam and friends.")
    return play


def test_a_tag_alone_ends_the_call_in_silence():
    play = greeted()
    play.model_says("[VOICEMAIL]")

    assert (play.spoken, play.hung_up) == (["Hello, this is Mia."], "voicemail_detected")
    assert play.all(FoundVoicemail) == [FoundVoicemail("llm_transcript")]


def test_a_message_before_the_tag_is_said_to_its_end_first():
    play = greeted()
    play.model_says("This is Mia, please call us back. [VOICEMAIL]")
    play.send(2_000)

    clears = play.clears
    play.at(3_000).caller_says("and the beep goes")
    assert (play.clears, play.hung_up) == (clears, None)
    play.at(4_500).mark(play.machine._agent.playout.clauses[-1].clause_id)
    assert play.hung_up == "voicemail_detected"


def test_a_message_that_was_set_is_left_word_for_word_instead():
    play = greeted(voicemail_action="leave_message", voicemail_message="Acme here, call us back.")
    play.model_says("Hello there. [VOICEMAIL]")
    play.at(6_000)

    assert play.hung_up is None
    assert play.spoken[-1] == "Acme here, call us back."
    play.send(2_000)
    play.at(8_500).mark(play.machine._agent.playout.clauses[-1].clause_id)
    assert play.hung_up == "voicemail_detected"


def test_a_person_who_has_answered_twice_is_not_hung_up_on():
    play = Play()
    play.open()
    play.at(300).model_says("Hello, this is Mia, is this Sam?")
    for number, said in enumerate(("Yes it is me, what is it?", "No, tomorrow does not suit me.")):
        play.at(1_000 + number * 4_000).send(500)
        play.at(1_800 + number * 4_000).mark(number + 1)
        play.at(3_000 + number * 4_000).caller_says(said)
        play.model_says(("Your appointment.", "[VOICEMAIL]")[number])

    assert play.hung_up is None
    assert play.all(FoundVoicemail) == []
