"""The rules of a conversation, one claim each, without sockets or time."""

import pytest

from media.events import (
    AskModel,
    Beep,
    CallerGone,
    CancelModel,
    ClauseFailed,
    Clear,
    Digit,
    EndCommand,
    HangUp,
    MachineVerdict,
    ModelFailed,
    Note,
    TurnEnded,
    Voiced,
)
from media.tests.driving import LONG, OPENING, Play, answering, speaking

# --- the opening ------------------------------------------------------------------------------


# --- tags ---------------------------------------------------------------------------------------


def test_the_last_words_are_played_out_before_the_hang_up():
    play = answering()
    play.model_says("Thank you. Goodbye! [END", done=False)
    play.model_says("_CALL]")
    play.send(600, 500)

    assert play.spoken == ["Thank you.", "Goodbye!"]
    assert play.at(1_600).hung_up is None
    play.at(2_200).mark(2)
    assert play.hung_up == "completed"
    assert play.turns[-1] == ("agent", "Thank you. Goodbye!")


def test_an_agent_that_may_not_end_calls_does_not():
    play = answering(may_end_call=False)
    play.model_says("Goodbye! [END_CALL]")
    play.send(500)

    play.at(2_000).mark(1)
    assert play.hung_up is None


def test_a_goodbye_is_not_cut_by_the_callers_goodbye():
    play = speaking("Thank you, goodbye now! [END_CALL]", 1_500)

    play.at(2_000).caller_says("Thanks, bye bye")
    assert play.clears == 0
    play.at(2_800).mark(1)
    assert play.hung_up == "completed"


def test_one_more_question_into_a_goodbye_keeps_the_call():
    play = speaking("Thank you, goodbye now! [END_CALL]", 1_500)

    play.at(2_000).caller_says("wait, one more thing")
    assert play.at(5_000).hung_up is None
    assert len(play.all(AskModel)) == 2


# --- silence, duration, keypad ------------------------------------------------------------------


def test_silence_is_asked_about_and_then_ends_the_call():
    play = Play(inbound=True, silence_hangup_s=20)
    play.open()
    play.send(2_000)
    play.at(2_000).mark(1)

    assert play.at(11_999).spoken == [OPENING]
    assert play.at(12_000).spoken[1:] == ["Are you still there?"]
    play.send(1_000)
    play.at(13_000).mark(2)
    assert play.at(23_000).spoken[2:] == ["I can't hear anyone, so I'll let you go.", "Goodbye."]
    play.send(1_500, 500)
    play.at(25_100).mark(4)
    assert play.hung_up == "silence_timeout"


def test_a_caller_who_answers_the_question_is_given_the_whole_silence_again():
    play = Play(inbound=True, silence_hangup_s=20)
    play.open()
    play.send(2_000)
    play.at(2_000).mark(1)
    play.at(12_000).send(1_000)
    play.at(13_000).mark(2)

    play.at(14_000).caller_says("Yes, sorry, I was away")
    play.model_says("No problem.")
    play.send(700)
    play.at(15_000).mark(3)
    assert play.at(24_999).spoken[2:] == ["No problem."]
    assert play.at(25_000).spoken[3:] == ["Are you still there?"]


def test_wait_extends_the_silence_for_one_turn():
    play = answering(silence_hangup_s=20, extras={"may_wait": True, "wait_tag_s": 30})
    play.model_says("Take your time. [WAIT]")
    play.send(1_000)
    play.at(2_000).mark(1)

    assert play.at(41_999).spoken == ["Take your time."]
    assert play.at(42_000).spoken[1:] == ["Are you still there?"]


def test_the_longest_duration_ends_in_a_goodbye_that_cannot_be_interrupted():
    play = speaking(ms=4_000, max_duration_s=3)

    play.at(3_000)
    assert play.spoken[1:] == ["I'm sorry, our time for this call is up.", "Goodbye."]
    play.send(1_500, 400)
    play.at(3_500).caller_says("No wait, I have a question")
    play.at(5_000).mark(3)
    assert play.hung_up == "max_duration_reached"
    assert play.clears == 1


def test_the_longest_duration_ends_even_a_call_without_a_voice():
    play = speaking(ms=4_000, max_duration_s=3)

    play.at(14_000)
    assert play.hung_up in {"max_duration_reached", "failed"}


@pytest.mark.parametrize("keys", ["5869#", "5869"])
def test_keys_become_a_turn_at_the_hash_or_after_three_seconds(keys):
    play = Play(inbound=True, speaks_first=False, dtmf_enabled=True)
    play.open()
    for key in keys:
        play.feed(Digit(play.t, key))

    play.at(3_000)
    assert play.turns == [("caller", "[Caller pressed on keypad: 5869]")]
    assert len(play.all(AskModel)) == 1


def test_keys_mean_nothing_where_the_keypad_is_off():
    play = Play(inbound=True, speaks_first=False)
    play.open()

    play.feed(Digit(0, "5"))
    assert play.at(4_000).actions == []


def test_unintelligible_words_are_asked_for_once():
    play = Play(inbound=True, speaks_first=False)
    play.open()

    play.at(1_000).feed(TurnEnded(1_000, "snorfle", 800, confidence=0.2))
    assert play.spoken == ["I am sorry, could you say that again?"]
    assert play.all(AskModel) == []
    play.send(1_500)
    play.at(2_500).mark(1)
    play.at(4_000).feed(TurnEnded(4_000, "snorfle", 3_800, confidence=0.2))
    assert len(play.all(AskModel)) == 1


# --- machines -----------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["machine_start", "machine_end_beep", "fax"])
def test_a_machine_is_hung_up_on_at_once(verdict):
    play = Play()
    play.open()

    play.at(500).feed(MachineVerdict(500, verdict))
    assert play.hung_up == "voicemail_detected"
    assert play.spoken == []


@pytest.mark.parametrize("verdict", ["human", "unknown"])
def test_a_human_verdict_changes_nothing(verdict):
    play = Play(opening="Hello, this is Mia.")
    play.open()

    assert play.at(500).feed(MachineVerdict(500, verdict)) == [Note("amd", {"verdict": verdict})]
    assert play.at(800).spoken == ["Hello, this is Mia."]


def test_machines_are_ignored_where_the_call_says_so():
    play = Play(opening="Hello, this is Mia.", voicemail_action="ignore")
    play.open()

    play.at(500).feed(MachineVerdict(500, "machine_start"))
    assert play.at(800).spoken == ["Hello, this is Mia."]
    assert play.hung_up is None


def test_a_greeting_of_voicemail_is_known_by_its_words():
    play = Play()
    play.open()
    text = "You have reached the voicemail of John Smith. Please leave a message after the tone."

    play.at(5_000).caller_says(text)
    assert play.hung_up == "voicemail_detected"
    assert Note("voicemail_detected", {"method": "llm_transcript"}) in play.actions


def test_a_message_is_left_word_for_word_after_the_beep():
    play = Play(voicemail_action="leave_message", voicemail_message="This is Acme. Call us back.")
    play.open()
    play.at(400).feed(Voiced(400, True))
    play.at(3_000).feed(MachineVerdict(3_000, "machine_start"))

    play.at(6_000).feed(Voiced(6_000, False))
    play.at(6_400).feed(Beep(6_400))
    assert play.at(6_599).spoken == []
    assert play.at(6_600).spoken == ["This is Acme.", "Call us back."]
    play.send(1_000, 1_000)
    play.at(8_700).mark(2)
    assert play.hung_up == "voicemail_detected"
    assert play.turns == [("agent", "This is Acme. Call us back.")]


def test_a_greeting_is_not_answered_while_a_message_waits():
    play = Play(voicemail_action="leave_message", voicemail_message="This is Acme.")
    play.open()
    play.at(3_000).feed(MachineVerdict(3_000, "machine_start"))

    play.at(3_500).caller_says("after the tone")
    assert len(play.all(AskModel)) == 1  # the opening, cancelled
    assert play.hung_up is None


# --- failures -----------------------------------------------------------------------------------


def test_a_model_that_failed_before_a_word_is_asked_once_more():
    play = answering()

    actions = play.at(1_300).feed(ModelFailed(1_300, 1, "overloaded_error"))
    asked = play.all(AskModel)[0].messages
    assert actions[1:] == [CancelModel(), AskModel(2, asked, second=True)]


def test_a_model_that_fails_twice_leaves_the_fallback_line():
    play = answering()
    play.at(1_300).feed(ModelFailed(1_300, 1, "overloaded_error"))

    play.at(1_600).feed(ModelFailed(1_600, 2, "overloaded_error"))
    assert play.spoken == ["I am sorry, could you say that again?"]
    assert len(play.all(AskModel)) == 2


def test_a_model_that_broke_off_mid_reply_is_not_begun_again():
    play = answering()
    play.model_says("We open at nine. And on Sat", done=False)

    play.at(1_300).feed(ModelFailed(1_300, 1, "broken off"))
    play.model_says("")
    assert play.spoken == ["We open at nine."]
    play.send(1_200)
    play.at(2_600).mark(1)
    assert play.turns[-1] == ("agent", "We open at nine.")


def test_a_model_that_says_nothing_at_all_is_given_up():
    play = answering()

    play.at(1_000 + 24_000)
    assert play.spoken == ["I am sorry, could you say that again?"]
    assert play.notes.count("model_failed") == 2


def test_a_voice_that_is_gone_ends_the_call_politely_for_the_line():
    play = answering()
    play.model_says("We open at nine. We close at five.")

    play.feed(ClauseFailed(1_300, 1, "refused"))
    assert play.hung_up is None
    play.feed(ClauseFailed(1_400, 2, "refused"))
    assert play.hung_up == "failed"


def test_one_clause_that_failed_does_not_end_the_reply():
    play = answering()
    play.model_says("We open at nine. We close at five.")
    play.feed(ClauseFailed(1_300, 1, "refused"))

    play.send(1_000)
    play.at(2_500).mark(2)
    assert play.turns[-1] == ("agent", "We close at five.")
    assert play.hung_up is None


def test_half_a_clause_counts_as_the_half_that_was_said():
    play = answering()
    play.at(1_200).model_says(LONG)
    play.send(2_000, complete=False)

    play.at(2_500).feed(ClauseFailed(2_500, 1, "broken off"))
    play.at(3_300).mark(1)
    assert play.last_turn.text == "We are open from nine to five"
    assert play.last_turn.full_text == LONG


# --- the end ------------------------------------------------------------------------------------


def test_a_hang_up_by_the_caller_stores_what_was_heard_and_asks_for_nothing():
    play = speaking()

    actions = play.at(3_800).feed(CallerGone(3_800))
    assert play.last_turn.text == "We are open from nine to five on every"
    assert play.all(HangUp) == []
    assert Clear() in actions


def test_a_command_from_outside_ends_the_call_with_its_reason():
    play = speaking()

    play.at(2_000).feed(EndCommand(2_000, "canceled"))
    assert play.hung_up == "canceled"


def test_nothing_happens_after_the_end():
    play = speaking()
    play.at(2_000).feed(EndCommand(2_000, "completed"))

    assert play.caller_says("hello? anybody?") == []
    assert play.machine.wake_at is None
