"""The second model goes on with a reply that broke off, and nothing is said twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.tools.base import Outcome, ToolCall, ToolResult
from media.clauses import Clause, ClauseSplitter, Tag
from media.continuing import Continuation
from media.events import (
    AskModel,
    Forget,
    ModelDone,
    ModelFailed,
    ModelText,
    Prepare,
    ToolsDone,
    ToolsWanted,
    TurnEnded,
    TurnMayEnd,
    UseTools,
)
from media.tests.driving import Play

HALF = "We open at nine in the morning,"
QUESTION = "When are you open?"


def continued(said: list[str], text: str, *, size: int = 4, done: set[str] | None = None) -> list:
    second = Continuation(said, done or set())
    pieces = []
    for start in range(0, len(text), size):
        pieces += second.feed(text[start : start + size])
    pieces += second.finish()
    return [piece.text if isinstance(piece, Clause) else piece for piece in pieces]


@pytest.mark.parametrize(
    ("said", "written", "spoken"),
    [
        # It obeys.
        ([HALF], "and close at five.", ["and close at five."]),
        ([HALF], "And close at five. Come by!", ["And close at five.", "Come by!"]),
        ([HALF], ", and close at five.", ["and close at five."]),
        # It says everything again, or the last words.
        ([HALF], f"{HALF} and close at five.", ["and close at five."]),
        ([HALF], f"Sure! {HALF} and close at five.", ["and close at five."]),
        ([HALF], "Sure! We open at nine every day. Come by!", ["Come by!"]),
        ([HALF], "of course. Come by!", ["of course.", "Come by!"]),
        ([HALF], "…in the morning, and close at five.", ["and close at five."]),
        ([HALF], "Morning — and close at five.", ["and close at five."]),
        (["Of course.", HALF], f"Of course. {HALF} and we close.", ["and we close."]),
        # It begins anew, in other words: what is new is said, from the beginning of a sentence.
        ([HALF], "Our hours are nine to five.", ["Our hours are nine to five."]),
        ([HALF], "We open at nine every day. Come by!", ["Come by!"]),
        (["Of course.", HALF], "Of course. Nine to five.", ["Nine to five."]),
        (["Of course.", HALF], "Of course. We open at nine every day. Come by!", ["Come by!"]),
        # It has nothing to add.
        ([HALF], "", []),
        ([HALF], HALF, []),
        ([HALF], "We open at", []),
        ([HALF], "We open at nine every day.", []),
        # Whole sentences stand.
        (["We open at nine."], "We open at nine. We close at five.", ["We close at five."]),
        (["We open at nine."], "We close at five.", ["We close at five."]),
    ],
)
def test_of_the_second_models_text_only_what_is_new_is_said(said, written, spoken):
    for size in (1, 5, 1_000):
        assert continued(said, written, size=size) == spoken


def test_an_action_that_was_taken_is_not_taken_again():
    done = {"SEND_SMS"}

    pieces = continued([HALF], "[SEND_SMS: Nine!] and close at five. [END_CALL]", done=done)

    assert pieces == ["and close at five.", Tag("END_CALL")]


def test_keys_among_the_words_are_no_words():
    assert continued(["One moment,", "[PRESS:1]"], "one moment, please.") == ["please."]


words = st.lists(
    st.sampled_from(["we", "open", "at", "nine", "in", "the", "morning", "and", "close", "five"]),
    min_size=2,
    max_size=10,
    unique=True,
)


@given(words, st.data())
def test_whatever_it_repeats_of_a_broken_reply_every_word_is_said_once(words, data):
    stops = data.draw(
        st.lists(st.sampled_from(["", "", ",", ".", "!"]), min_size=len(words), max_size=len(words))
    )
    tokens = [word + stop for word, stop in zip(words, stops, strict=True)]
    whole = " ".join(tokens)
    first = ClauseSplitter()
    heard = first.feed(whole[: data.draw(st.integers(0, len(whole)))])
    said = [piece.text for piece in heard if isinstance(piece, Clause)]
    reached = len(" ".join(said).split())
    repeats_from = data.draw(st.integers(0, reached))
    again = " ".join(tokens[repeats_from:])
    if data.draw(st.booleans()):
        again = again.capitalize()

    new = continued(said, again, size=data.draw(st.integers(1, 20)))

    spoken = " ".join([*said, *new]).casefold().split()
    assert [token.strip(",.!") for token in spoken] == words


@given(words, st.data())
def test_half_a_sentence_that_is_begun_anew_in_other_words_is_not_said_twice(words, data):
    half = words[: max(1, len(words) - 1)]
    run_up = half[: data.draw(st.integers(min(3, len(half)), len(half)))]
    other = " ".join([*run_up, "perhaps", "tomorrow"])

    new = continued([" ".join(half)], f"{other}. Come by!", size=data.draw(st.integers(1, 20)))

    if run_up == half:
        assert new == ["perhaps tomorrow.", "Come by!"]
    elif len(half) >= 3:
        assert new == ["Come by!"]


# --- in a conversation ----------------------------------------------------------------------------


def asked(**settings: object) -> Play:
    play = Play(inbound=True, opening="", speaks_first=False, **settings)
    play.open()
    play.at(1_000).caller_says(QUESTION)
    return play


def fails(play: Play, error: str = "stalled") -> None:
    play.feed(ModelFailed(play.t, play.all(AskModel)[-1].generation, error))


def generation(play: Play) -> int:
    return play.all(AskModel)[-1].generation


def test_half_a_sentence_is_gone_on_with_by_the_second_model():
    play = asked()
    play.model_says(f"{HALF} and we clo", done=False)

    fails(play)
    ask = play.all(AskModel)[-1]
    assert ask.second
    assert ask.messages[:-1] == (
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": HALF},
    )
    assert ask.messages[-1]["role"] == "user"
    assert "ends in “We open at nine in the morning,”" in ask.messages[-1]["content"]
    play.model_says("and close at five.")
    play.send(1_500, 800)
    play.at(4_000).mark(2)

    assert play.spoken == [HALF, "and close at five."]
    assert play.turns[-1] == ("agent", f"{HALF} and close at five.")
    assert play.clears == 0
    [note] = play.notes_of("model_continued")
    assert note.data == {"went_on": True, "words_left_out": 0}


def test_the_next_question_shows_the_model_one_sentence_and_no_word_of_the_break():
    play = asked()
    play.model_says(HALF + " ", done=False)
    fails(play)
    play.model_says(f"{HALF} and close at five.")
    play.send(1_500, 800)
    play.at(4_000).mark(2)

    play.at(5_000).caller_says("And on Sundays?")

    assert play.notes_of("model_continued")[0].data == {"went_on": True, "words_left_out": 7}
    assert play.all(AskModel)[-1].messages == (
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": f"{HALF} and close at five."},
        {"role": "user", "content": "And on Sundays?"},
    )


@pytest.mark.parametrize("how", ["fails as well", "says nothing", "says the same"])
def test_where_nobody_goes_on_the_fallback_line_follows_the_half_sentence(how):
    play = asked()
    play.model_says(HALF + " ", done=False)
    fails(play)

    if how == "fails as well":
        fails(play, "overloaded_error")
    else:
        play.model_says("" if how == "says nothing" else HALF)

    assert play.spoken == [HALF, play.machine.call.fallback_message]
    assert len(play.all(AskModel)) == 2
    assert play.machine._agent.reply.done


def test_whole_sentences_are_gone_on_with_or_stand():
    play = asked()
    play.model_says("We open at nine. ", done=False)
    fails(play)
    play.model_says("")
    assert play.spoken == ["We open at nine."]
    assert play.notes_of("model_continued")[0].data["went_on"] is False

    play = asked()
    play.model_says("We open at nine. ", done=False)
    fails(play)
    play.model_says("We close at five.")
    assert play.spoken == ["We open at nine.", "We close at five."]


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("Shall I book nine o'clock? Or wou", "stalled"),  # it is the caller's turn
        ("Goodbye! [END_CALL] And", "stalled"),
        ("We open at nine. And on Sun", "refusal"),
    ],
)
def test_what_stands_is_not_gone_on_with(written, error):
    play = asked()
    play.model_says(written, done=False)

    fails(play, error)

    assert len(play.all(AskModel)) == 1
    assert len(play.spoken) == 1
    assert play.machine._agent.reply.done


def test_a_refusal_in_mid_sentence_is_not_overruled():
    play = asked()
    play.model_says(HALF + " ", done=False)

    fails(play, "refusal")

    assert play.spoken == [HALF, play.machine.call.fallback_message]
    assert len(play.all(AskModel)) == 1


def test_silence_in_the_middle_of_a_sentence_is_not_waited_out():
    play = asked()
    play.model_says(HALF + " ", done=False)
    play.send(2_000)

    play.at(5_400)
    assert len(play.all(AskModel)) == 1
    play.at(5_500)
    assert play.all(AskModel)[-1].second


def test_a_tool_that_was_used_is_not_asked_for_again_after_a_break():
    play = asked()
    used = ToolCall("toolu_1", "book", {"at": "nine"})
    play.feed(ModelText(play.t, generation(play), "Let me book that. "))
    play.feed(ToolsWanted(play.t, generation(play), (used,)))
    play.feed(ToolsDone(play.t, generation(play), (ToolResult(used, Outcome("Booked.")),)))
    play.feed(ModelText(play.t, generation(play), "It is booked for nine in the morning, and"))

    fails(play)
    messages = play.all(AskModel)[-1].messages
    assert [message["role"] for message in messages] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert [block["type"] for block in messages[1]["content"]] == ["text", "tool_use"]
    assert messages[2]["content"][0]["content"] == "Booked."
    assert messages[3]["content"] == "It is booked for nine in the morning,"
    assert "do not use a tool again whose result you have" in messages[4]["content"]
    play.model_says("and it takes an hour.")

    assert len(play.all(UseTools)) == 1
    assert play.spoken[1:] == ["It is booked for nine in the morning,", "and it takes an hour."]


def test_a_model_that_fails_behind_a_tool_is_followed_by_the_second_one():
    play = asked()
    used = ToolCall("toolu_1", "book", {})
    play.feed(ModelText(play.t, generation(play), "Let me book that. "))
    play.feed(ToolsWanted(play.t, generation(play), (used,)))
    play.feed(ToolsDone(play.t, generation(play), (ToolResult(used, Outcome("Booked.")),)))
    before = play.all(AskModel)[-1]

    fails(play)
    ask = play.all(AskModel)[-1]
    assert (ask.second, ask.messages) == (True, before.messages)
    play.model_says("Let me book that. It is booked.")

    assert play.spoken == ["Let me book that.", "It is booked."]
    assert len(play.all(UseTools)) == 1


def test_a_text_that_a_tag_sent_is_not_sent_again():
    play = asked()
    play.model_says("[SEND_SMS: Nine!] We open at nine in the morning, and", done=False)
    assert len(play.all(UseTools)) == 1

    fails(play)
    play.model_says("[SEND_SMS: At nine!] We open at nine in the morning, and close at five.")

    assert len(play.all(UseTools)) == 1
    assert play.spoken == [HALF, "and close at five."]


def test_a_caller_who_speaks_into_the_break_is_listened_to():
    play = asked()
    play.model_says(HALF + " ", done=False)
    play.send(2_000)
    fails(play)
    last = generation(play)

    play.at(3_000).caller_says("Stop, I meant on Sundays.")
    play.feed(ModelText(play.t, last, "and close at five."))
    play.feed(ModelDone(play.t, last))

    assert play.spoken == [HALF]
    assert play.all(AskModel)[-1].messages[-1]["content"] == "Stop, I meant on Sundays."


@settings(max_examples=60, deadline=None)
@given(words, st.data())
def test_wherever_a_reply_breaks_it_is_heard_and_kept_once_and_whole(words, data):
    joints = st.sampled_from([" ", " ", ", ", ". "])
    whole = "".join(word + data.draw(joints) for word in words[:-1]) + words[-1] + "."
    play = asked()

    play.model_says(whole[: data.draw(st.integers(0, len(whole)))], done=False)
    said = len(" ".join(play.spoken).split())
    fails(play)
    if len(play.all(AskModel)) == 2:
        play.model_says(" ".join(whole.split()[data.draw(st.integers(0, said)) :]))
    play.send(*[500] * len(play.spoken))
    play.at(play.t + 60_000)

    heard = next(text for role, text in play.turns if role == "agent")
    assert heard == whole
    assert play.machine.call.fallback_message not in play.spoken


def test_a_reply_that_was_written_ahead_and_broke_off_is_gone_on_with_when_its_turn_comes():
    play = Play(inbound=True, opening="", speaks_first=False)
    play.open()
    play.at(1_000).feed(TurnMayEnd(1_000, QUESTION))
    play.feed(ModelText(1_050, generation(play), HALF + " "))
    play.feed(ModelFailed(1_100, generation(play), "stalled"))
    assert (play.spoken, len(play.all(AskModel))) == ([], 1)

    play.at(1_200).feed(TurnEnded(1_200, QUESTION, 900))
    assert play.all(AskModel)[-1].second
    play.model_says("and close at five.")

    assert play.all(Prepare) == [Prepare(HALF)]
    assert play.all(Forget) == []
    assert play.spoken == [HALF, "and close at five."]
