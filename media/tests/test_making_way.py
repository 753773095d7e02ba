"""A voice silences the agent before its words are known; what was no interruption is talked through
to its end.
"""

import asyncio
import random
from base64 import b64decode

import orjson
import pytest

from media.audio import LINEAR, VoiceRise
from media.events import (
    AskModel,
    Clear,
    Note,
    Pause,
    Resume,
    StoreTurn,
    TurnEnded,
    Voiced,
    VoiceFell,
    VoiceRose,
)
from media.tests.driving import Play
from media.transport import TwilioStream
from media.writer import Writer

LONG = "We are open from nine to five on every weekday and from ten to two on Saturdays."


def speaking(ms: int = 5_000, **settings) -> Play:
    """A call whose long answer plays since t=1200, with all its audio sent."""
    play = Play(inbound=True, speaks_first=False, **settings)
    play.open()
    play.at(1_000).caller_says("When are you open?", speech_ended=700)
    play.at(1_200).model_says(LONG)
    play.send(ms)
    return play


def voice(play: Play, t: int) -> list:
    play.at(t).feed(Voiced(t, True))
    return play.at(t + 20).feed(VoiceRose(t + 20))


# --- the rules --------------------------------------------------------------------------------


def test_a_voice_silences_the_agent_before_any_word():
    play = speaking()

    assert voice(play, 3_000) == [Pause()]


def test_words_make_the_silence_an_interruption_and_the_history_ends_where_it_began():
    play = speaking()
    voice(play, 3_000)

    actions = play.at(3_400).hears("what about Sundays")

    assert [type(action) for action in actions] == [Note, Clear, StoreTurn]
    assert play.notes[-1] == "interrupted"
    turn = play.last_turn
    assert (turn.role, turn.interrupted) == ("agent", True)
    # 1.7 s of 5 were heard: what was on its way during the silence does not count.
    assert turn.text == "We are open from nine to"


def test_a_sound_of_listening_lets_the_agent_go_on_with_its_first_word():
    play = speaking()
    voice(play, 3_000)

    play.at(3_300).hears("mm hmm")
    assert play.all(Resume) == [Resume()]
    play.at(3_480).feed(TurnEnded(3_480, "Mm hmm.", 3_380))
    assert play.all(Clear) == []
    assert len(play.all(AskModel)) == 1


def test_a_sound_of_listening_that_becomes_more_interrupts_all_the_same():
    play = speaking()
    voice(play, 3_000)
    play.at(3_300).hears("yeah")

    play.at(3_600).hears("yeah but what about Sundays")
    assert play.clears == 1
    assert play.notes[-1] == "interrupted"


@pytest.mark.parametrize(("ends", "goes_on"), [(3_300, True), (3_460, True), (3_480, False)])
def test_a_short_voice_is_not_waited_for_when_it_is_gone(ends, goes_on):
    play = speaking()
    voice(play, 3_000)

    play.at(ends).feed(VoiceFell(ends))
    assert play.all(Resume) == [Resume()] * goes_on


def test_a_short_word_that_came_in_time_is_not_talked_over():
    play = speaking(interruption_sensitivity=50)
    voice(play, 3_000)
    play.at(3_250).hears("Sundays")

    play.at(3_300).feed(VoiceFell(3_300))
    assert play.all(Resume) == []


def test_a_short_interruption_whose_word_comes_late_interrupts_the_rest():
    play = speaking()
    voice(play, 3_000)
    play.at(3_300).feed(VoiceFell(3_300))

    play.at(3_500).hears("stop")
    assert play.clears == 1


def test_a_cough_without_words_lets_the_agent_go_on():
    play = speaking()
    voice(play, 3_000)

    play.at(3_400).feed(Voiced(3_400, False))
    play.at(3_799)
    assert play.all(Resume) == []
    play.at(3_800)
    assert play.all(Resume) == [Resume()]
    assert "false_stop" in play.notes


def test_a_noise_that_never_becomes_words_is_waited_out_for_two_seconds():
    play = speaking()
    voice(play, 3_000)

    play.at(5_019)
    assert play.all(Resume) == []
    play.at(5_020)
    assert play.all(Resume) == [Resume()]


def test_after_a_silence_the_answer_is_heard_to_its_end_and_stored_whole():
    play = speaking()
    voice(play, 3_000)
    play.at(3_400).feed(Voiced(3_400, False))
    play.at(3_800)

    # 5 s of audio, 0.78 s of silence, 0.1 s said twice, and the grace for a lost mark
    play.at(1_200 + 5_000 + 880)
    assert play.turns[-1] == ("caller", "When are you open?")
    play.mark(1)
    assert play.turns[-1] == ("agent", LONG)
    assert play.last_turn.interrupted is False


def test_an_interruption_after_a_resumed_answer_counts_only_what_was_played():
    play = speaking()
    voice(play, 3_000)
    play.at(3_400).feed(Voiced(3_400, False))
    play.at(3_800)

    play.at(4_500).hears("wait a moment")
    # 1.7 s before the silence, and of the 0.7 s after it what had reached the ear
    assert play.last_turn.text == "We are open from nine to five on"


@pytest.mark.parametrize("sensitivity", [0, 24])
def test_an_agent_that_is_hard_to_interrupt_waits_for_words(sensitivity):
    play = speaking(interruption_sensitivity=sensitivity)

    assert voice(play, 3_000) == []


def test_the_last_words_are_not_cut_for_a_voice():
    play = speaking()

    assert voice(play, 5_900) == []


def test_a_line_on_which_silences_lead_to_nothing_needs_words():
    play = speaking(ms=20_000)
    for t in (3_000, 5_000, 7_000):
        assert voice(play, t) == [Pause()]
        play.at(t + 300).feed(Voiced(t + 300, False))
        play.at(t + 1_500)

    assert voice(play, 9_000) == []
    assert len(play.all(Resume)) == 3


def test_yes_into_the_end_of_a_question_is_answered_without_hearing_the_rest():
    play = Play(inbound=True, speaks_first=False)
    play.open()
    play.at(1_000).caller_says("I need an appointment.", speech_ended=700)
    play.at(1_200).model_says("Shall I book you in for nine o'clock tomorrow?")
    play.send(2_000)
    voice(play, 2_500)

    play.at(2_900).feed(TurnEnded(2_900, "Yes.", 2_800))
    assert play.turns[-1] == ("caller", "Yes.")
    assert len(play.all(AskModel)) == 2


# --- the ear ----------------------------------------------------------------------------------

CODES = sorted(range(256), key=lambda code: abs(int(LINEAR[code])))


def frame(level: int, chance: random.Random) -> bytes:
    """20 ms of noise whose samples lie below ``level``."""
    return bytes(chance.choices([c for c in CODES if abs(int(LINEAR[c])) <= level], k=160))


def test_a_voice_is_heard_with_its_fourth_frame_and_once():
    ear, chance = VoiceRise(), random.Random(1)
    for _ in range(50):
        assert not ear.hear(frame(30, chance))

    assert [ear.hear(frame(6_000, chance)) for _ in range(8)] == [None] * 3 + [True] + [None] * 4


def test_a_voice_is_gone_with_the_sixth_quiet_frame_and_once():
    ear, chance = VoiceRise(), random.Random(1)
    for _ in range(8):
        ear.hear(frame(6_000, chance))

    assert [ear.hear(frame(30, chance)) for _ in range(8)] == [None] * 5 + [False] + [None] * 2


def test_words_of_one_sentence_are_one_voice():
    ear, chance = VoiceRise(), random.Random(1)
    pattern = "." * 30 + "#####..########.....######"

    heard = [ear.hear(frame(6_000 if mark == "#" else 30, chance)) for mark in pattern]
    assert heard.count(True) == 1


def test_a_click_and_a_loud_line_are_no_voice():
    ear, chance = VoiceRise(), random.Random(1)
    for mark in "." * 30 + "###....##....###":
        assert not ear.hear(frame(8_000 if mark == "#" else 30, chance))

    # a fan that began long ago, and a little more of it
    for _ in range(500):
        ear.hear(frame(2_000, chance))
    for _ in range(10):
        ear.hear(frame(1_500, chance))
    assert not any(ear.hear(frame(3_000, chance)) for _ in range(20))


# --- the line ---------------------------------------------------------------------------------


class Line:
    """A writer with a clock of our own, and what it put on the line."""

    def __init__(self) -> None:
        self.t = 0
        self.sent: list[tuple[str, bytes | str]] = []
        self.writer = Writer(
            TwilioStream("MZ1"),
            self._send,
            lambda: self.t,
            on_audio=lambda clause_id, ms: None,
            on_sent=lambda clause_id: None,
            recorder=None,
        )

    async def _send(self, text: str | bytes) -> None:
        message = orjson.loads(text)
        kind = message["event"]
        content = {"media": "payload", "mark": "name"}.get(kind)
        value = message[kind][content] if content else ""
        self.sent.append((kind, b64decode(value) if kind == "media" else value))

    async def work(self) -> list[tuple[str, bytes | str]]:
        """What goes out when the writer is given a moment."""
        before = len(self.sent)
        task = asyncio.create_task(self.writer.run())
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return self.sent[before:]


def ms(value: int, length: int) -> bytes:
    return bytes([value]) * (length * 8)


async def test_a_pause_clears_the_line_and_a_resume_says_what_was_not_heard():
    line = Line()
    line.writer.audio(1, ms(1, 200))
    line.writer.audio(1, ms(2, 200))
    line.writer.end(1)
    await line.work()

    line.t = 250
    line.writer.pause()
    assert await line.work() == [("clear", "")]
    line.t = 700
    line.writer.resume()

    # from 100 ms before the cut on: that much was on its way to the ear
    assert await line.work() == [("media", ms(1, 50)), ("media", ms(2, 200)), ("mark", "1.1")]


async def test_what_is_made_during_a_pause_waits_behind_it():
    line = Line()
    line.writer.audio(1, ms(1, 200))
    await line.work()
    line.t = 150
    line.writer.pause()
    await line.work()

    line.writer.audio(1, ms(2, 100))
    assert await line.work() == []
    line.writer.resume()
    assert await line.work() == [("media", ms(1, 150)), ("media", ms(2, 100))]


async def test_a_mark_that_a_pause_sent_back_says_nothing_and_its_successor_does():
    line = Line()
    line.writer.audio(7, ms(1, 200))
    line.writer.end(7)
    await line.work()
    line.t = 100
    line.writer.pause()
    await line.work()

    assert line.writer.clause_of("7") is None
    line.writer.resume()
    await line.work()
    assert line.writer.clause_of("7.1") == 7


async def test_a_mark_of_audio_that_was_played_before_the_pause_counts():
    line = Line()
    line.writer.audio(7, ms(1, 200))
    line.writer.end(7)
    line.writer.audio(8, ms(1, 400))
    await line.work()
    line.t = 350

    line.writer.pause()
    assert line.writer.clause_of("7") == 7


async def test_a_clear_during_a_pause_forgets_all_of_it():
    line = Line()
    line.writer.audio(1, ms(1, 400))
    await line.work()
    line.t = 100
    line.writer.pause()
    await line.work()

    line.writer.clear()
    line.writer.audio(2, ms(2, 100))
    assert await line.work() == [("media", ms(2, 100))]
