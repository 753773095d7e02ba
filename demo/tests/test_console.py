import io

from demo.console import Console


def told(console: Console) -> list[str]:
    assert isinstance(console.out, io.StringIO)
    return console.out.getvalue().splitlines()


def test_a_promise_that_is_kept_is_ticked_off():
    console = Console(io.StringIO())

    console.promise("The slot is booked", True, otherwise="Look into the calendar.")

    assert told(console) == ["  ✓ The slot is booked"]
    assert console.broken == []


def test_a_broken_promise_says_what_to_do_and_is_remembered():
    console = Console(io.StringIO())

    console.promise("The slot is booked", False, otherwise="Look into the calendar.")

    assert told(console) == ["  ✗ The slot is booked", "    Look into the calendar."]
    assert console.broken == ["The slot is booked: Look into the calendar."]


def test_scenes_are_numbered_and_their_clock_starts_anew():
    console = Console(io.StringIO())

    for title in ("The first call", "The second call"):
        console.scene(title)
        console.says("Mia", "Hello.", "answered in 500 ms")

    assert told(console) == [
        "",
        "1  The first call",
        "  0:00.0  Mia      Hello.",
        "                  answered in 500 ms",
        "",
        "2  The second call",
        "  0:00.0  Mia      Hello.",
        "                  answered in 500 ms",
    ]


def test_what_is_said_goes_on_under_itself_where_the_line_is_full(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    console = Console(io.StringIO())

    console.says("Mia", "The clinic is open Monday to Friday from nine to five o'clock.")

    assert told(console) == [
        "  0:00.0  Mia      The clinic is open Monday to Friday from",
        "                  nine to five o'clock.",
    ]
