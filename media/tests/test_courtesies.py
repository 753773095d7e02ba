"""What turn-taking knows of each language an agent may be set to."""

import pytest

from agents.languages import NAMES
from media.courtesies import (
    begins_with,
    contains,
    length_of,
    made_of,
    phrases_for,
    words_of,
)

LISTENING = {
    "en": "Yeah, mm-hmm, I see.", "ar": "نعم، طيب.", "es": "Sí, claro.", "fr": "Oui, d'accord.",
    "de": "Ja, genau.", "it": "Sì, certo.", "pt": "Sim, está bem.", "nl": "Ja, precies.",
    "pl": "Tak, jasne.", "ru": "Да, понятно.", "hi": "हाँ, ठीक है।", "ko": "네, 알겠습니다.",
    "ja": "はい、そうですね。", "zh": "嗯，好的。", "tr": "Evet, anladım.", "he": "כן, בסדר.",
}  # fmt: skip
STOPPING = {
    "en": "Hold on.", "ar": "لحظة من فضلك", "es": "Espere, por favor.", "fr": "Attendez !",
    "de": "Moment mal.", "it": "Aspetti un attimo.", "pt": "Espera aí.", "nl": "Wacht even.",
    "pl": "Chwileczkę!", "ru": "Подождите.", "hi": "रुकिए, एक मिनट।", "ko": "잠깐만요.",
    "ja": "ちょっと待ってください。", "zh": "等一下！", "tr": "Bir dakika.", "he": "רגע אחד.",
}  # fmt: skip


@pytest.mark.parametrize("language", NAMES)
def test_every_language_has_words_of_its_own(language):
    phrases = phrases_for(language)

    assert language == "en" or phrases is not phrases_for("en")
    assert len(phrases.backchannels) >= 15
    assert len(phrases.interruptions) >= 10
    assert len(phrases.farewells) >= 8
    assert phrases.holds
    whole = "still_there", "silent_goodbye", "time_goodbye", "lost_you", "where_were_we", "trouble"
    for said in whole:
        assert getattr(phrases, said)[-1] in ".?？。।؟"
    assert phrases.nobody_there


@pytest.mark.parametrize("language", NAMES)
def test_sounds_of_listening_do_not_interrupt_and_short_words_do(language):
    phrases = phrases_for(language)

    assert made_of(LISTENING[language], phrases.backchannels)
    assert begins_with(STOPPING[language], phrases.interruptions)
    assert not made_of(STOPPING[language], phrases.backchannels)
    assert not begins_with(LISTENING[language], phrases.interruptions)


@pytest.mark.parametrize("language", NAMES)
def test_no_word_is_both(language):
    phrases = phrases_for(language)

    assert phrases.backchannels & phrases.interruptions == frozenset()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mm-hmm, that's it!", ["mm-hmm", "that's", "it"]),
        ("हाँ, ठीक है।", ["हाँ", "ठीक", "है"]),
        ("İyi, tamam", ["iyi", "tamam"]),
        ("好的, OK", ["好", "的", "ok"]),
        ("はい、ええ", ["は", "い", "え", "え"]),
        ("네, 네.", ["네", "네"]),
    ],
)
def test_words_in_any_script(text, words):
    assert words_of(text) == words


def test_two_characters_of_a_script_without_spaces_are_one_word():
    assert length_of("现在几点了") == 2.5
    assert length_of("What time is it?") == 4


def test_a_phrase_is_found_in_whole_words():
    holds = phrases_for("en").holds

    assert contains("Please stay on the line, thank you.", holds)
    assert not contains("The household is well.", holds)
