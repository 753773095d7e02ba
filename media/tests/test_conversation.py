"""The rules of a conversation, one claim each, without sockets or time."""

from typing import Any

import pytest

from calls.live import SpokenTurn
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
    ModelText,
    Note,
    Speak,
    TurnEnded,
    Voiced,
)
from media.tests.driving import Play

OPENING = "Hello, how can I help you today?"
LONG = "We are open from nine to five on every weekday and from ten to two on Saturdays."


def answering(**settings: Any) -> Play:
    """A call in which the caller has asked something and the model is about to write."""
    play = Play(inbound=True, speaks_first=False, **settings)
    play.open()
    play.at(1_000).caller_says("When are you open?", speech_ended=700)
    return play


def speaking(text: str = LONG, ms: int = 5_000, **settings: Any) -> Play:
    """The same, with the answer playing since t=1200."""
    play = answering(**settings)
    play.at(1_200).model_says(text)
    play.send(ms)
    return play


# --- the opening ------------------------------------------------------------------------------


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
