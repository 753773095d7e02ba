"""How the simulator hears that somebody does not want what is offered, or not again."""

import pytest

from sandbox.tests.talking import talk


def test_a_refusal_follows_the_prompts_own_condition():
    prompt = (
        "You are Mia of Acme Dental. Purpose of this call: Remind the patient about their "
        "cleaning. "
        "If they cannot come, offer another day."
    )

    assert talk(prompt, "No, I can't make it.").replies[-1] == (
        "I can offer you another day. Would you like that?"
    )


# As every agent of the product is told, after its own instructions.
TRANSCRIPT = (
    " What the other person said reaches you as a transcript that can be wrong. If it makes no "
    "sense, say you did not catch it and ask again. Say goodbye with [END_CALL]."
)


@pytest.mark.parametrize(
    "said",
    [
        "I'm not interested.",
        "No, thank you. I'm not interested.",
        "Sorry, that's not for me.",
        "I don't need that.",
    ],
)
def test_who_is_not_interested_is_understood_and_let_go(said):
    prompt = (
        "You are Max of Acme Roofing. Ask whether they would like a free inspection." + TRANSCRIPT
    )

    last = talk(prompt, "Hello?", said).replies[-1]

    assert last == "I understand. Thank you for your time. Goodbye! [END_CALL]"


def test_who_is_not_interested_is_not_told_that_they_will_never_be_called():
    prompt = "You are Max of Acme Roofing. Ask whether they would like a visit." + TRANSCRIPT

    not_now = talk(prompt, "I'm not interested.").replies[-1]
    never = talk(prompt, "I'm not interested. Don't call me again.").replies[-1]

    assert "call you again" not in not_now
    assert "We won't call you again." in never


def test_what_the_prompt_does_with_a_refusal_goes_before_letting_go():
    prompt = (
        "You are Max of Acme Roofing. Ask whether they would like a visit. "
        "If they are not interested, offer a leaflet by post." + TRANSCRIPT
    )

    assert talk(prompt, "I'm not interested.").replies[-1] == (
        "I can offer you a leaflet by post. Would you like that?"
    )


@pytest.mark.parametrize(
    "said",
    [
        "I'm not interested in the visit, but a leaflet is fine.",
        "It's not for me, it's for my daughter.",
        "I don't need any more time.",
    ],
)
def test_not_interested_in_one_thing_is_no_goodbye(said):
    prompt = "You are Max of Acme Roofing. Ask which day suits them for a visit." + TRANSCRIPT

    assert "Goodbye" not in talk(prompt, said).replies[-1]
