"""What the caller is told while, and after, nobody could hear them."""

from media.events import (
    ClauseFailed,
    FarewellByCarrier,
    HearingBack,
    HearingLost,
    Note,
    Voiced,
)
from media.tests.driving import Play

SORRY = "I'm sorry, I couldn't hear you for a moment. Could you say that again?"
GOODBYE = "I'm sorry, I can't hear you because of a technical problem. Goodbye."


def listening(**settings: object) -> Play:
    play = Play(inbound=True, opening="", speaks_first=False, **settings)
    play.open()
    return play


def deaf(play: Play, t: int, tries: int = 1) -> None:
    play.at(t).feed(HearingLost(t, tries))


def speaks(play: Play, t: int) -> None:
    play.at(t).feed(Voiced(t, True))
    play.at(t + 500).feed(Voiced(t + 500, False))


def test_a_short_spell_is_noted_and_nobody_hears_of_it():
    play = listening()
    deaf(play, 1_000)
    speaks(play, 2_000)

    play.at(5_000).feed(HearingBack(5_000))

    assert play.spoken == []
    assert Note("hears_again", {"deaf_ms": 4_000}) in play.actions


def test_after_a_long_spell_the_caller_is_asked_to_say_it_again():
    play = listening()
    deaf(play, 1_000)
    speaks(play, 2_000)

    play.at(11_000).feed(HearingBack(11_000))

    assert " ".join(play.spoken) == SORRY


def test_who_said_nothing_meanwhile_is_not_asked():
    play = listening()
    deaf(play, 1_000)

    play.at(11_000).feed(HearingBack(11_000))

    assert play.spoken == []


def test_a_spell_is_counted_from_its_first_lost_connection():
    play = listening()
    for tries in range(1, 8):
        deaf(play, 1_000 + 1_500 * tries, tries)
    speaks(play, 12_000)

    play.at(12_600).feed(HearingBack(12_600))

    assert " ".join(play.spoken) == SORRY


def test_a_spell_without_an_end_ends_the_call_with_a_word():
    play = listening()
    for tries in range(1, 5):
        deaf(play, 1_000 * tries, tries)

    play.at(20_900)
    assert play.spoken == []
    play.at(21_000)
    assert " ".join(play.spoken) == GOODBYE
    for _ in range(2):
        play.send(1_500)
    play.at(30_000)

    assert play.hung_up == "failed"
    assert "deaf_too_long" in play.notes


def test_nobody_is_hung_up_on_for_one_socket_that_had_nothing_to_say():
    play = listening(silence_hangup_s=30)
    deaf(play, 1_000)

    play.at(20_900)
    assert play.spoken == []  # they may have spoken: it would be rude to ask whether they are there
    play.at(25_000)

    assert play.spoken == ["Are you still there?"]


def test_a_voice_that_is_gone_takes_leave_by_the_carrier():
    play = listening()
    play.caller_says("When are you open?")
    play.model_says("We open at nine.")

    play.at(500).feed(ClauseFailed(500, 1, "refused 429"))
    assert play.spoken[1:] == ["I'm sorry, something went wrong on my side.",
                               "Could you say that again?"]  # fmt: skip
    play.at(900).feed(ClauseFailed(900, 2, "refused 429"))

    [leave] = play.all(FarewellByCarrier)
    assert play.machine.over
    assert leave.reason == "failed"
    assert leave.words == (
        "I'm sorry, because of a technical problem we have to end this call. Goodbye."
    )


def test_a_french_call_takes_leave_in_french():
    play = listening(language="fr")
    play.caller_says("Bonjour ?")
    play.model_says("Bonjour. Bienvenue.")

    for clause_id in (1, 2):
        play.feed(ClauseFailed(0, clause_id, "refused 429"))

    assert play.all(FarewellByCarrier)[0].words.endswith("Au revoir.")


def test_who_was_cut_off_in_the_middle_of_a_word_is_asked_to_say_it_again():
    play = listening()
    play.at(900).feed(Voiced(900, True))
    deaf(play, 1_000)
    play.at(1_500).feed(Voiced(1_500, False))

    play.at(12_000).feed(HearingBack(12_000))

    assert " ".join(play.spoken) == SORRY
