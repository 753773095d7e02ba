import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms.segments import Size, fold, size_of, split


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("", Size("GSM-7", 1)),
        ("a" * 160, Size("GSM-7", 1)),
        ("a" * 161, Size("GSM-7", 2)),
        ("a" * 306, Size("GSM-7", 2)),
        ("a" * 307, Size("GSM-7", 3)),
        ("€" * 80, Size("GSM-7", 1)),
        ("€" * 81, Size("GSM-7", 2)),
        ("a" * 152 + "€" + "a" * 20, Size("GSM-7", 2)),  # a pair is not parted at 153
        ("€" * 152, Size("GSM-7", 2)),  # 76 in each
        ("€" * 153, Size("GSM-7", 3)),
        ("’" + "a" * 69, Size("UCS-2", 1)),
        ("’" + "a" * 70, Size("UCS-2", 2)),
        ("😀" * 35, Size("UCS-2", 1)),
        ("😀" * 36, Size("UCS-2", 2)),
        ("😀" * 67, Size("UCS-2", 3)),  # 33 in each: 67 units hold no half pair
        ("ñ" * 160, Size("GSM-7", 1)),
        ("í" * 71, Size("UCS-2", 2)),
    ],
)
def test_segments_are_counted_as_the_network_carries_them(body: str, size: Size):
    assert size_of(body) == size


def test_look_alikes_bring_a_text_back_to_gsm7():
    body = "Don’t worry – it’s “fine”…"

    assert size_of(body).encoding == "UCS-2"
    assert fold(body) == "Don't worry - it's \"fine\"..."
    assert size_of(fold(body)).encoding == "GSM-7"


def test_a_long_text_is_cut_at_the_ends_of_words():
    words = "appointment " * 300

    parts = split(words)

    assert [len(part) for part in parts] == [1595, 1595, 407]
    assert " ".join(parts) == words.strip()


def test_a_word_without_an_end_is_cut_where_it_must_be():
    assert [len(part) for part in split("x" * 3300)] == [1600, 1600, 100]


@given(st.text(st.sampled_from("ab€ \n😀"), max_size=400), st.integers(5, 60))
def test_no_part_is_too_long_and_no_word_is_lost(body: str, longest: int):
    parts = split(body, longest)

    assert all(0 < len(part) <= longest for part in parts)
    assert "".join("".join(parts).split()) == "".join(body.split())


@given(st.text(max_size=700))
def test_a_longer_text_never_takes_fewer_segments(body: str):
    for cut in range(0, len(body), 97):
        assert size_of(body[:cut]).segments <= size_of(body).segments
