"""Phone menus: what the agent does while a machine reads out what to press."""

import numpy as np
import pytest

from calls.live import SpokenTurn
from media.audio import LINEAR
from media.events import (
    AskModel,
    CancelModel,
    Clear,
    ModelDone,
    ModelFailed,
    Note,
    Pause,
    Press,
    RefuseContact,
    TurnEnded,
    Voiced,
    VoiceRose,
)
from media.menus import LONGEST_ANNOUNCEMENT_MS, SETTLED_MS
from media.tags import keys_of, wait_ms
from media.tests.driving import Play
from media.tones import GAP_MS, TONE_MS, touch_tones

MENU = "Thank you for calling Northgate Clinic. For appointments, press 1. For hours, press 2."
HOLD = "Please hold while I connect you to the appointments team."


def asked(play: Play) -> str:
    """What the model was told last."""
    return str(play.all(AskModel)[-1].messages[-1]["content"])


def in_menu(**settings) -> Play:
    """An outbound call that was put into menu mode by what the menu said."""
    play = Play(**settings)
    play.open()
    play.at(4_000).hears(MENU)
    play.at(4_200).hears(MENU)
    play.at(5_000).feed(TurnEnded(5_000, MENU, 4_800))
    return play


def pressing(keys: str = "1", **settings) -> Play:
    """The same after the model has pressed keys and they were heard, at 8 s."""
    play = in_menu(**settings)
    play.at(6_200).model_says(f"[PRESS: {keys}]")
    play.send(280)
    play.at(8_000).mark(play.all(Press)[-1].clause_id)
    return play


# --- the mode ---------------------------------------------------------------------------------


def test_a_menu_is_known_by_its_words_and_what_was_begun_to_a_person_is_stopped():
    play = Play()
    play.open()
    play.at(300).model_says("Hello, this is Mia of Acme Dental, is this Sam?")
    play.at(2_500)
    play.send(3_000)

    play.at(4_000).hears(MENU)
    play.at(4_200).hears(MENU)
    assert play.clears == 1
    assert [n.data for n in play.all(Note) if n.kind == "menu_entered"] == [{"by": "transcript"}]


def test_the_model_is_asked_when_the_announcement_is_over_and_presses():
    play = in_menu()
    before = len(play.all(AskModel))

    play.at(5_000 + SETTLED_MS - 1)
    assert len(play.all(AskModel)) == before
    play.at(5_000 + SETTLED_MS)
    assert len(play.all(AskModel)) == before + 1
    assert asked(play).endswith(f"[Phone menu] {MENU}")

    play.model_says("[PRESS: 1]")
    assert [press.keys for press in play.all(Press)] == ["1"]
    assert play.spoken == []
    play.send(280)
    play.at(7_000).mark(1)
    assert play.turns == [("caller", f"[Phone menu] {MENU}"), ("agent", "[PRESS:1]")]
    assert play.last_turn.latency_ms is None


def test_an_announcement_in_pieces_is_answered_once():
    play = in_menu()
    before = len(play.all(AskModel))

    for t in (5_900, 7_000, 8_100):
        play.at(t).hears("To speak to the front desk,")
        play.at(t + 300).feed(TurnEnded(t + 300, "To speak to the front desk, press 0.", t))
    assert len(play.all(AskModel)) == before
    play.at(8_400 + SETTLED_MS)
    assert len(play.all(AskModel)) == before + 1


def test_an_announcement_without_an_end_is_answered_all_the_same():
    play = in_menu()
    before = len(play.all(AskModel))

    for t in range(5_500, 5_000 + LONGEST_ANNOUNCEMENT_MS, 500):
        play.at(t).hears("and on and on")
    assert len(play.all(AskModel)) == before + 1


def test_what_a_menu_said_while_the_model_failed_is_asked_about_in_the_same_moment():
    play = in_menu()
    play.at(6_200)
    play.at(7_000).caller_says("For all else, press 0.")
    before = len(play.all(AskModel))

    for _ in range(2):  # the model, and the second one
        generation = play.all(AskModel)[-1].generation
        play.at(play.t + 1_500).feed(ModelFailed(play.t, generation, "overloaded"))
    assert asked(play).endswith("[Phone menu] For all else, press 0.")
    assert len(play.all(AskModel)) == before + 2
    assert play.machine.wake_at > play.t


@pytest.mark.parametrize("tag", ["[IVR]", "[PRESS: 2]"])
def test_a_tag_of_the_model_enters_the_mode_too(tag):
    play = Play()
    play.open()
    play.at(300).model_says("Hello, this is Mia.")
    play.at(2_000).caller_says("You can go to billing or support.")
    play.model_says(tag)

    assert [n.data for n in play.all(Note) if n.kind == "menu_entered"] == [{"by": "model"}]


def test_nothing_interrupts_the_agent_in_a_menu():
    play = in_menu()
    play.at(6_200).model_says("Appointments, please.")
    play.send(2_000)

    play.at(6_500).feed(Voiced(6_500, True))
    play.feed(VoiceRose(6_500))
    play.hears("stop sorry that is not a valid option")
    assert (play.all(Pause), play.all(Clear)) == ([], [])
    assert play.all(CancelModel) == play.all(CancelModel)[:1]  # of the opening


def test_silence_is_the_menus_own_affair():
    play = in_menu(silence_hangup_s=5)
    play.at(6_200).model_says("[IVR]")

    play.at(120_000)
    assert (play.spoken, play.hung_up) == ([], None)


def test_a_reply_of_no_words_is_remembered_as_such():
    play = in_menu()
    play.at(6_200).model_says("[IVR]")
    play.at(9_000).caller_says(HOLD)
    play.at(10_500)

    roles = [(m["role"], m["content"]) for m in play.all(AskModel)[-1].messages]
    assert roles[-3:] == [
        ("user", f"[Phone menu] {MENU}"),
        ("assistant", "[IVR]"),
        ("user", f"[Phone menu] {HOLD}"),
    ]


def test_words_from_before_the_keys_are_the_menu_before():
    play = in_menu()
    play.at(6_200).model_says("[PRESS: 1]")
    play.send(280)
    play.at(6_300).hears("To speak to the")
    play.at(6_700).mark(play.all(Press)[-1].clause_id)
    before = len(play.all(AskModel))

    play.at(6_900).feed(TurnEnded(6_900, "To speak to the front desk, press 0.", 6_800))
    play.at(60_000)
    assert len(play.all(AskModel)) == before


def test_what_a_menu_says_is_nobodys_refusal():
    play = in_menu()

    play.at(7_000).caller_says("Please do not call this number again. Take me off your list.")
    assert play.all(RefuseContact) == []
    assert play.machine.history.caller_words() == ""


# --- the way out ------------------------------------------------------------------------------


def test_a_person_who_is_put_through_is_answered_at_once():
    play = pressing()
    play.at(9_000).caller_says(HOLD)
    play.at(10_200).model_says("[IVR]")

    play.at(14_000).caller_says("Hello?")
    assert play.turns[-1] == ("caller", "Hello?")
    assert play.all(AskModel)[-1].messages[-1]["content"] == "Hello?"
    assert [n.data for n in play.all(Note) if n.kind == "menu_left"] == [{"by": "transcript"}]


def test_ivr_end_brings_the_rules_for_persons_back():
    play = pressing(silence_hangup_s=5)
    play.at(9_000).caller_says("Northgate appointments team, Robert speaking, how can I help you?")
    play.at(10_200).model_says("[IVR_END] Hello Robert, this is Mia of Acme Dental.")
    play.send(2_000)

    play.at(11_000).feed(VoiceRose(11_000))
    assert play.all(Pause) == [Pause()]
    play.at(11_300).caller_says("Sorry, who is this?")
    assert play.turns[-1] == ("caller", "Sorry, who is this?")


def test_nobody_reached_in_time_ends_in_a_short_goodbye():
    play = in_menu(extras={"ivr_timeout_s": 60})
    play.at(6_200).model_says("[IVR]")

    play.at(64_199)
    assert play.spoken == []
    play.at(64_200)
    assert " ".join(play.spoken) == "I couldn't reach anyone, so I'll end the call here. Goodbye."
    play.send(1_500, 500)
    play.at(67_000).mark(play.machine._agent.playout.clauses[-1].clause_id)
    assert play.hung_up == "ivr_timeout"


def test_a_person_may_still_come_into_the_goodbye():
    play = in_menu(extras={"ivr_timeout_s": 60})
    play.at(6_200).model_says("[IVR]")
    play.at(64_300)
    play.send(1_500, 500)

    play.at(65_000).caller_says("Hello, sorry for the wait, who is this?")
    assert play.hung_up is None
    assert asked(play).endswith("Hello, sorry for the wait, who is this?")


def test_an_agent_that_hangs_up_on_menus_does_so():
    play = in_menu(extras={"hangup_on_ivr": True})

    assert play.hung_up == "ivr_timeout"
    assert play.spoken == []


def test_a_menu_that_ends_in_voicemail_is_one():
    play = pressing()

    play.at(10_000).caller_says("Nobody can take your call. Please leave a message after the tone.")
    assert play.hung_up == "voicemail_detected"


def test_the_carrier_takes_a_menu_for_a_voicemail_and_is_not_believed():
    from media.events import MachineVerdict

    play = in_menu()

    play.at(5_500).feed(MachineVerdict(5_500, "machine_start"))
    assert play.hung_up is None


def test_a_beep_in_a_queue_makes_no_voicemail_of_a_menu():
    from media.events import Beep

    play = pressing()

    play.at(12_000).feed(Beep(12_000))
    assert play.hung_up is None


def test_another_process_goes_on_in_the_menu_without_an_apology():
    turns = (SpokenTurn(1, "caller", f"[Phone menu] {MENU}", 0, 4_000),)
    play = Play(turns=turns, silence_hangup_s=5)
    play.open()

    play.at(100_000)
    assert (play.spoken, play.hung_up) == ([], None)


def test_a_model_that_fails_in_a_menu_makes_no_excuses_to_it():
    play = in_menu()
    play.at(6_200)
    generation = play.all(AskModel)[-1].generation

    play.feed(ModelDone(6_300, generation))
    assert play.spoken == []


@pytest.mark.parametrize("tag", ["[IVR]", "[PRESS: 1]", "[IVR_END]", "[VOICEMAIL]"])
def test_who_is_called_knows_no_menus(tag):
    play = Play(inbound=True, speaks_first=False)
    play.open()
    play.at(1_000).caller_says("When are you open?")

    play.model_says(f"From nine to five. {tag}")
    assert play.all(Press) == []
    assert [n.data["tag"] for n in play.all(Note) if n.kind == "tag_ignored"] == [
        tag[1:-1][:9].split(":")[0]
    ]
    assert play.hung_up is None


# --- keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "keys"),
    [
        ("2", "2"),
        ("4827#", "4827#"),
        ("1w2w3W4#", "1w2w3W4#"),
        ("4 8-2,7 #", "4827#"),
        ("*0", "*0"),
        ("", ""),
        ("w", ""),
        ("one", ""),
        ("1; DROP", ""),
        ("1" * 65, ""),
    ],
)
def test_what_can_be_pressed(argument, keys):
    assert keys_of(argument) == keys


def test_keys_that_are_none_are_not_pressed():
    play = in_menu()
    play.at(6_200).model_says("[PRESS: the second one]")

    assert play.all(Press) == []
    assert "tag_ignored" in play.notes


def tone_at(audio: bytes, ms: int) -> tuple[int, int]:
    """The two strongest frequencies in 50 ms of audio."""
    wave = LINEAR[np.frombuffer(audio[ms * 8 : (ms + 50) * 8], np.uint8)].astype(float)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 8_000))
    low = int(spectrum[600:1_000].argmax()) + 600
    return low, int(spectrum[1_100:1_700].argmax()) + 1_100


@pytest.mark.parametrize(
    ("key", "tones"),
    [("1", (697, 1209)), ("5", (770, 1336)), ("0", (941, 1336)), ("#", (941, 1477))],
)
def test_a_key_is_two_pure_tones(key, tones):
    low, high = tone_at(touch_tones(key), 50)

    assert abs(low - tones[0]) <= 4
    assert abs(high - tones[1]) <= 4


def test_keys_are_tone_and_pause_and_w_waits():
    one = TONE_MS + GAP_MS

    assert len(touch_tones("11")) == 2 * one * 8
    assert len(touch_tones("1w2W")) == (2 * one + 1_500) * 8
    assert set(touch_tones("w")) == {0xFF}


def test_the_loudest_moment_of_a_key_does_not_clip():
    wave = LINEAR[np.frombuffer(touch_tones("9"), np.uint8)]

    assert 15_000 < int(np.abs(wave).max()) < 32_000


# --- waiting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "ms"),
    [
        ("", 30_000),
        ("45", 45_000),
        ("1", 1_000),
        ("600", 120_000),
        ("a bit", 30_000),
        ("0", 30_000),
    ],
)
def test_how_long_a_wait_is(argument, ms):
    assert wait_ms(argument, 30) == ms


def waiting(reply: str, *, taught: bool = True) -> Play:
    """A call in which the agent's reply was heard at 2 s; 10 s of silence are usual."""
    play = Play(
        inbound=True,
        speaks_first=False,
        silence_hangup_s=20,
        extras={"wait_tag_s": 30, "may_wait": taught},
    )
    play.open()
    play.at(1_000).caller_says("Let me find my diary.")
    play.model_says(reply)
    play.send(800)
    play.at(2_000).mark(1)
    return play


@pytest.mark.parametrize(
    ("reply", "taught", "asks_at"),
    [
        ("Take your time. [WAIT]", True, 42_000),
        ("Take your time. [WAIT:60]", True, 72_000),
        ("Take your time.", True, 12_000),
        ("Take your time. [WAIT]", False, 12_000),
    ],
)
def test_who_is_waited_for_is_asked_later(reply, taught, asks_at):
    play = waiting(reply, taught=taught)

    assert play.at(asks_at - 1).spoken == ["Take your time."]
    assert play.at(asks_at).spoken[1:] == ["Are you still there?"]


def test_after_the_wait_come_the_question_and_the_goodbye():
    play = waiting("Take your time. [WAIT]")
    play.at(42_000).send(1_000)
    play.at(43_000).mark(2)
    play.at(53_000).send(1_000, 500)
    play.at(55_000).mark(play.machine._agent.playout.clauses[-1].clause_id)

    assert play.hung_up == "silence_timeout"


def test_any_sound_of_the_caller_ends_the_wait():
    play = waiting("Take your time. [WAIT]")
    play.at(5_000).feed(Voiced(5_000, True))
    play.at(5_400).feed(Voiced(5_400, False))

    assert play.at(14_999).spoken == ["Take your time."]
    assert play.at(15_000).spoken[1:] == ["Are you still there?"]


def test_a_wait_without_words_is_silent():
    play = waiting("[WAIT]")

    assert play.at(30_000).spoken == []
