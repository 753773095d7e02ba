"""Both sides at once: what synthesised sounds on the caller's line do to an agent that speaks."""

import pytest

from media.audio import VoiceActivity, VoiceRise
from media.events import Clear, Pause, Resume, TurnEnded, Voiced, VoiceFell, VoiceRose
from media.tests.driving import Play
from media.tests.sounds import (
    Sound,
    after,
    cough,
    echo,
    frames,
    hiss,
    mixed,
    voice,
)

ANSWER = "We are open from nine to five on every weekday and from ten to two on Saturdays."
BEGAN, LENGTH = 1_200, 6_000
OURS = voice(LENGTH, db=-18, hz=200, seed=7)


class Overlap(Play):
    """Remembers when the agent fell silent."""

    paused_at: int = 0


def hearing(line: Sound, words: dict[int, str] | None = None, **settings: object) -> Overlap:
    """The agent speaks for 6 s; ``line`` is the caller's side from then on, ``words`` what the
    transcriber makes of it, by ms from the beginning of the agent's speech.
    """
    play = Overlap(inbound=True, speaks_first=False, **settings)
    play.open()
    play.at(1_000).caller_says("When are you open?", speech_ended=700)
    play.at(BEGAN).model_says(ANSWER)
    play.send(LENGTH)
    rise, activity, due = VoiceRise(), VoiceActivity(), dict(words or {})
    for number, frame in enumerate(frames(mixed(hiss(LENGTH), line))):
        t = BEGAN + (number + 1) * 20
        if (changed := activity.hear(frame)) is not None:
            play.at(t).feed(Voiced(t, changed))
        rose = rise.hear(frame)
        heard = [] if rose is None else play.at(t).feed((VoiceRose if rose else VoiceFell)(t))
        play.paused_at = t if Pause() in heard else play.paused_at
        for at in [at for at in due if BEGAN + at <= t]:
            play.at(t).hears(due.pop(at))
    return play


def stops(play: Play) -> tuple[int, int, int]:
    """How often the agent fell silent, went on, and gave up what it was saying."""
    return len(play.all(Pause)), len(play.all(Resume)), len(play.all(Clear))


def silences(play: Play) -> list[int]:
    return [note.data["silent_ms"] for note in play.notes_of("false_stop")]


@pytest.mark.parametrize("db", [-20, -26, -40])
def test_an_echo_of_our_own_voice_is_no_voice(db):
    assert stops(hearing(echo(OURS, db=db))) == (0, 0, 0)


def test_words_that_come_back_with_the_echo_interrupt_nobody():
    play = hearing(
        echo(OURS), {900: "we are open", 1_500: "we are open from nine to five", 2_500: "on every"}
    )
    assert stops(play) == (0, 0, 0)

    play.at(4_000).feed(TurnEnded(4_000, "We are open from nine to five on every week day.", 3_900))
    assert stops(play) == (0, 0, 0)
    assert play.turns == [("caller", "When are you open?")]
    assert play.notes[-1] == "echo"


def test_our_last_words_that_come_back_after_we_have_finished_are_not_answered():
    play = hearing(echo(OURS))
    play.at(BEGAN + LENGTH + 100).mark(1)

    play.at(8_000).caller_says("From ten to two on Saturdays.", speech_ended=7_600)
    assert play.turns[-1] == ("agent", ANSWER)


def test_a_caller_too_soft_for_our_ear_may_answer_in_our_words():
    play = hearing(hiss(LENGTH))
    play.at(BEGAN + LENGTH + 100).mark(1)

    play.at(8_300).caller_says("From ten to two on Saturdays.", speech_ended=8_000)
    assert play.turns[-1] == ("caller", "From ten to two on Saturdays.")


def test_a_caller_who_repeats_our_words_is_heard():
    play = hearing(after(2_000, voice(1_500)), {2_900: "from nine to five"})

    assert stops(play)[2] == 1


def test_a_caller_who_talks_over_the_echo_is_heard_in_some_tenth_of_a_second():
    line = mixed(echo(OURS), after(2_000, voice(1_500)))
    play = hearing(line, {2_400: "sorry what about Sundays"})

    assert stops(play) == (1, 0, 1)
    assert 0 < play.paused_at - (BEGAN + 2_000) <= 120
    assert play.last_turn.text == "We are open from nine to"


def test_a_cough_costs_a_third_of_a_second():
    play = hearing(after(2_000, cough()))

    assert stops(play) == (1, 1, 0)
    assert silences(play) == [260]


def test_a_sound_of_listening_costs_the_time_to_its_first_word():
    play = hearing(after(2_000, voice(400)), {2_300: "mm hmm"})

    assert stops(play) == (1, 1, 0)
    assert silences(play) == [220]


def test_a_short_stop_is_an_interruption_when_its_word_comes():
    play = hearing(after(2_000, voice(280)), {2_450: "stop"})

    assert stops(play)[2] == 1


@pytest.mark.parametrize("db", [-45, -40])
def test_a_noisy_line_is_no_voice(db):
    assert stops(hearing(hiss(LENGTH, db=db))) == (0, 0, 0)


def test_a_noise_that_sets_in_stops_the_agent_for_two_seconds_at_most_and_once():
    play = hearing(after(2_000, hiss(4_000, db=-28)))

    assert stops(play) == (1, 1, 0)
    assert silences(play)[0] <= 2_000


def test_both_begin_at_once_and_the_agent_gives_way():
    play = hearing(voice(2_000), {350: "hello are you there"})

    assert stops(play)[2] == 1
