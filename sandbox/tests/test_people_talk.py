"""People on the telephone: real speech both ways, only faster than real time."""

import numpy as np
import pytest

from sandbox.carrier.audio import key_tones
from sandbox.people import directory
from sandbox.people.person import Person
from sandbox.people.tones import Keypad, beep
from sandbox.speech import synthesiser
from sandbox.speech.audio import decode
from sandbox.speech.wer import wer
from sandbox.tests.people_line import Call

HELLO = "Hello?"


@pytest.fixture(autouse=True)
def _as_in_the_table():
    yield
    directory.restore()


def person(number: str) -> Person:
    found = directory.person_at(number)
    assert found is not None
    return found


async def test_a_friendly_human_answers_questions_about_their_own_life_and_says_goodbye() -> None:
    anna = person("+12025550110")
    call = await Call(
        [
            "Hi, this is Mia calling from the dentist. May I ask for your full name, please?",
            "Thank you. What day works best for you?",
            "Great. Is there anything else I can help you with?",
            "Have a nice day. Goodbye.",
        ]
    ).with_(anna)

    assert call.sentences == [
        HELLO,
        f"My name is {anna.life.name}.",
        f"{anna.life.day} at {anna.life.time} would be best for me.",
        "No, that's all, thank you.",
        "Thank you. Goodbye.",
    ]
    assert "what day works best for you" in call.understood
    heard = await synthesiser.synthesise(HELLO, voice=anna.voice)
    assert heard in bytes(call.from_person)  # what was noted as said is what was on the line


async def test_who_calls_us_waits_to_be_greeted() -> None:
    lines = ["Acme Dental, good morning. How can I help you?", "Of course. Goodbye."]
    call = await Call(lines, first=True, inbound=True).with_(person("+12025550110"))

    assert call.sentences == ["I'd like to make an appointment, please.", "Thank you. Goodbye."]


async def test_what_a_demo_tells_a_person_to_say_comes_first_and_word_for_word() -> None:
    say = ("Do you also repair bicycles on Sundays?", "And how much would that be?")
    directory.override("+447386172392", say=say)

    lines = ["Good morning, this is Mia.", "Yes, we do.", "Ten pounds. Goodbye."]
    call = await Call(lines, first=True).with_(person("+447386172392"))

    assert call.sentences == [*say, "Thank you. Goodbye."]


async def test_who_is_told_to_interrupt_breaks_in_once_after_the_last_of_their_lines() -> None:
    break_in = "Sorry, where can I park?"
    directory.override("+447386172392", say=("How much is a check-up?",), interrupts=break_in)

    lines = [
        "Good morning, this is Mia.",
        "A check-up takes half an hour, costs forty pounds, and includes a polish.",
        "Parking is behind the building.",
        "Have a nice day. Goodbye.",
    ]
    call = await Call(lines, first=True).with_(person("+447386172392"))

    assert call.sentences[:2] == ["How much is a check-up?", break_in]
    assert call.sentences.count(break_in) == 1
    assert call.sentences[-1] == "Thank you. Goodbye."
    assert call.interrupted_after_s is not None
    assert 2.4 < call.interrupted_after_s < 3.2


async def test_a_read_back_is_answered_with_a_plain_yes() -> None:
    anna = person("+12025550110")
    line = "Just to confirm: shall I book an appointment for Friday? Please say yes to confirm."
    call = await Call([line, "Thank you. Goodbye."], first=True, inbound=True).with_(anna)

    assert call.sentences == ["Yes, please.", "Thank you. Goodbye."]


async def test_a_muted_person_is_only_silence_on_the_line() -> None:
    directory.override("+12025550110", muted=True, say=("You cannot hear this.",))

    call = await Call(["Good morning.", "Are you there?"], stays_s=3, first=True).with_(
        person("+12025550110")
    )

    assert call.sentences == []
    assert set(call.from_person) == {0xFF}


async def test_a_caller_who_says_nothing_is_asked_for_and_left() -> None:
    call = await Call([], stays_s=60).with_(person("+12025550110"))

    assert call.sentences == [
        HELLO,
        "Hello? Is anybody there?",
        "Hello?",
        "I can't hear anybody. Goodbye.",
    ]
    assert call.time < 40


async def test_who_was_told_to_be_patient_waits_in_silence() -> None:
    directory.override("+12025550110", patience_s=60)

    call = await Call([], stays_s=40).with_(person("+12025550110"))

    assert call.sentences == [HELLO]


async def test_the_one_who_talks_over_breaks_in_one_second_into_the_agents_speech() -> None:
    agent = "Good morning, I am calling to tell you all about our new opening hours this summer."
    call = await Call([agent, "Sorry. Goodbye."]).with_(person("+12025550111"))

    assert call.sentences[1] == "Sorry, can I stop you there? I only have a minute."
    assert call.interrupted_after_s == pytest.approx(1.2, abs=0.6)


async def test_backchannels_are_said_while_the_agent_speaks_and_end_no_turn() -> None:
    agent = (
        "I am calling about your appointment next week, because the doctor is away on Monday "
        "and Tuesday, so we would like to move it to Thursday or to Friday. Does that work?"
    )
    call = await Call([agent, "Wonderful. Goodbye."], waits_s=2.5).with_(person("+12025550121"))

    sounds = {"Mm-hmm.", "Right.", "Uh-huh."}
    assert len([s for s in call.sentences if s in sounds]) >= 2
    assert call.interrupted_after_s is not None
    replies = [s for s in call.sentences if s not in sounds]
    assert replies == [HELLO, "Yes, that's fine.", "Thank you. Goodbye."]


async def test_voicemail_greets_beeps_and_keeps_the_message() -> None:
    message = "Hello, this is Mia from the library. Your book is ready. Goodbye."
    waits_for_the_beep = 1.3

    call = await Call([message], stays_s=60, waits_s=waits_for_the_beep).with_(
        person("+12025550112")
    )

    [left] = call.noted("voicemail_left")
    sound = decode(bytes(call.from_person))
    loudest = np.abs(np.fft.rfft(sound[-8000 * 60 :], 8000 * 60)).argmax() / 60
    assert loudest == pytest.approx(1000, abs=2)
    assert call.sentences[0].endswith("Please leave a message after the tone.")
    assert wer(message, str(left["text"])) <= 0.1
    assert 3 < float(str(left["seconds"])) < 8


async def test_a_menu_obeys_touch_tones_and_puts_a_human_on_the_line() -> None:
    call = await Call(
        [key_tones("1"), "Hello, I would like to know when I can come.", "Goodbye."],
        waits_s=3,
    ).with_(person("+12025550116"))

    assert [note["key"] for note in call.noted("menu_key")] == ["1"]
    assert call.sentences[0].startswith("Thank you for calling Northgate Clinic.")
    assert "Please hold while I connect you to the appointments team." in call.sentences
    assert call.sentences[-1] == "Thank you. Goodbye."


async def test_a_screening_assistant_asks_who_is_calling_before_the_human_comes() -> None:
    call = await Call(
        ["This is Mia from the garage, about your car.", "Your car is ready. Goodbye."],
        waits_s=3,
    ).with_(person("+12025550122"))

    assert call.sentences[0].endswith("Please state your name and why you're calling.")
    assert call.sentences[1:] == [
        "Thank you. Please stay on the line.",
        HELLO,
        "Thank you. Goodbye.",
    ]


async def test_who_wants_no_more_calls_says_so_and_hangs_up() -> None:
    call = await Call(["Hi, this is Mia.", "I'm sorry. I will remove your number."]).with_(
        person("+12025550118")
    )

    assert call.sentences == [HELLO, "Please don't call me again.", "Goodbye."]


async def test_who_wants_a_human_asks_twice() -> None:
    call = await Call(["Hi, how can I help you?", "Are you sure?", "One moment."]).with_(
        person("+12025550123")
    )

    assert call.sentences[1:3] == [
        "Can I speak to a real person, please?",
        "I'd rather talk to a human, please.",
    ]


async def test_a_slow_talker_pauses_in_the_middle_of_a_sentence() -> None:
    call = await Call(["What day works best for you?", "Thanks. Goodbye."], waits_s=3).with_(
        person("+12025550120")
    )

    life = person("+12025550120").life
    assert call.sentences[1] == "Well,"
    assert " ".join(call.sentences[2:-1]).startswith(f"{life.day} at {life.time} would be best")


async def test_silent_and_short_people_say_nothing() -> None:
    silent = await Call(["Hello there."], stays_s=2, first=True).with_(person("+12025550119"))
    short = await Call(["Hello there."]).with_(person("+12025550117"))

    assert (silent.sentences, short.sentences) == ([], [])
    assert short.time < 1


async def test_nobody_talks_for_longer_than_three_minutes() -> None:
    call = await Call([], stays_s=1000).with_(person("+12025550119"))

    assert call.time == pytest.approx(180, abs=0.1)


def test_the_keypad_hears_every_key_once_and_no_key_in_speech_or_a_beep() -> None:
    digits = "0123456789*#"
    keypad = Keypad()
    sound = key_tones(digits)

    heard = "".join(keypad.hear(sound[i : i + 160]) for i in range(0, len(sound), 160))

    assert heard == digits
    assert Keypad().hear(beep(2000)) == ""


async def test_the_keypad_hears_no_key_in_speech() -> None:
    speech = await synthesiser.synthesise(
        "For appointments press one. She sells sea shells by the sea shore.", voice="aura-2-luna-en"
    )

    assert Keypad().hear(speech) == ""
