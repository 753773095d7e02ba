"""Streaming text becomes clauses and tags, however it is cut into deltas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clauses import Clause, ClauseSplitter, Tag


def split(*deltas: str) -> list[str | Tag]:
    splitter = ClauseSplitter()
    pieces = [piece for delta in deltas for piece in splitter.feed(delta)]
    pieces += splitter.finish()
    return [piece.text if isinstance(piece, Clause) else piece for piece in pieces]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("We open at nine. We close at five.", ["We open at nine.", "We close at five."]),
        ("Dr. Smith is in. Mrs. Jones is not.", ["Dr. Smith is in.", "Mrs. Jones is not."]),
        ("It is 9 a.m. on Monday. OK?", ["It is 9 a.m. on Monday.", "OK?"]),
        ("That is $3.50 a day! Good?", ["That is $3.50 a day!", "Good?"]),
        ("**Sure**, _that_ works!", ["Sure, that works!"]),
        ("- one thing\n- another thing", ["one thing", "another thing"]),
        ("Great 🎉 see you", ["Great see you"]),
        ("...", []),
        ("Is that so?!", ["Is that so?!"]),
        (
            "If tomorrow does not suit you, we can look for another day.",
            ["If tomorrow does not suit you,", "we can look for another day."],
        ),
    ],
)
def test_text_is_cut_where_a_voice_would_breathe(text, pieces):
    assert split(text) == pieces


def test_a_sentence_goes_out_at_its_full_stop_without_waiting_for_more():
    splitter = ClauseSplitter()

    assert splitter.feed("We open at nine.") == [Clause("We open at nine.")]


def test_a_decimal_waits_for_its_second_half():
    splitter = ClauseSplitter()

    assert splitter.feed("It costs 3.") == []
    assert splitter.feed("50 pounds.") == [Clause("It costs 3.50 pounds.")]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("[END_CALL]", Tag("END_CALL")),
        ("[end_call]", Tag("END_CALL")),
        ("[TRANSFER: +442087601234]", Tag("TRANSFER", "+442087601234")),
        ("[SEND_SMS: See you at 9, dear.]", Tag("SEND_SMS", "See you at 9, dear.")),
        ("[PRESS: 1w2#]", Tag("PRESS", "1w2#")),
        ("[END_CALL", Tag("END_CALL")),
    ],
)
def test_tags_are_actions_and_not_words(text, tag):
    assert split("Bye now. " + text) == ["Bye now.", tag]


def test_what_stands_in_brackets_and_is_no_tag_is_not_spoken_either():
    assert split("Well [laughs] yes.") == ["Well yes."]


def test_a_tag_split_over_deltas_is_the_same_tag():
    assert split("Bye now. [EN", "D_C", "ALL] ") == ["Bye now.", Tag("END_CALL")]


words = st.lists(
    st.sampled_from(["Yes.", "no", "Dr.", "3.5", "[END_CALL]", "[WAIT]", "why?", "\n", "a,", "é"]),
    max_size=30,
)


@given(words, st.lists(st.integers(1, 7), min_size=1, max_size=20))
def test_no_letter_of_a_tag_is_ever_spoken_and_none_of_the_text_is_lost(parts, sizes):
    text = " ".join(parts)
    deltas, rest, turn = [], text, 0
    while rest:
        size = sizes[turn % len(sizes)]
        deltas.append(rest[:size])
        rest, turn = rest[size:], turn + 1

    pieces = split(*deltas)
    spoken = " ".join(piece for piece in pieces if isinstance(piece, str))
    expected = text.replace("[END_CALL]", " ").replace("[WAIT]", " ")
    assert "".join(spoken.split()) == "".join(expected.split())
    tags = [piece.name for piece in pieces if isinstance(piece, Tag)]
    assert tags == [part.strip("[]") for part in parts if part.startswith("[")]
