"""Faults of the speech service and the model: what is refused as no fault, and whom one strikes."""

from typing import Any

import pytest

from sandbox import fault_settings, faults, journal


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"gravity": {}}, "unknown: gravity; known: calendar, callbacks, "),
        ({"socket_loss": "never"}, "socket_loss must be one of next_verb, end_call, half_open"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"model": 3}, "model must be an object, or a list of objects"),
        ({"model": {"count": 1}}, "model has no kind; known: drop, error_mid_stream, "),
        ({"model": {"kind": "tired"}}, "model has no kind 'tired'; known: drop, "),
        ({"model": {"kind": ["drop"]}}, "model has no kind ['drop']; known: drop, "),
        ({"voice": {"kind": "refuse", "kindly": 1}}, "voice, refuse: unknown: kindly; known: "),
        (
            {"voice": [{"kind": "silent"}, {"kind": "refuse", "status": 200}]},
            "voice, refuse: status must be a whole number from 400 to 599, not 200",
        ),
        (
            {"transcriber": {"kind": "gone", "seconds": "11"}},
            "transcriber, gone: seconds must be a number from 0 to 3600, not '11'",
        ),
        (
            {"model": {"kind": "drop", "only": [""]}},
            "model, drop: only must be a text or a list of texts, not ['']",
        ),
        (
            {"callbacks": {"delay_s": [2, 1]}},
            "callbacks: delay_s must be two numbers of seconds, [least, most], not [2, 1]",
        ),
        ({"callbacks": {"drop": True}}, "callbacks: drop must be a number from 0 to 1, not True"),
        ({"create_call": [{}, {}]}, "create_call must be one object"),
    ],
)
def test_what_is_no_fault_is_refused_with_a_sentence_and_the_old_ones_stay(
    asked: dict[str, Any], wrong: str
) -> None:
    faults.put({"model": {"kind": "overloaded"}})

    with pytest.raises(ValueError, match=r".") as refused:
        faults.put(asked)

    assert str(refused.value).startswith(wrong)
    assert faults.strike("model", "overloaded", about="")


def test_a_fault_strikes_those_it_is_meant_for_and_as_often_as_it_may() -> None:
    before = journal.last()
    faults.put({"voice": [{"kind": "refuse", "only": ["orion", "Nine"], "count": 1}]})

    assert not faults.strike("voice", "refuse", about="model=aura-2-orion-en")
    assert not faults.strike("voice", "silent", about="model=aura-2-orion-en we open at nine")
    assert faults.strike("voice", "refuse", about="model=aura-2-orion-en We open at NINE")
    assert not faults.strike("voice", "refuse", about="model=aura-2-orion-en we open at nine")
    noted = journal.events(before, kind="fault")
    assert [(one["part"], one["fault"]) for one in noted] == [("voice", "refuse")]


def test_of_several_faults_the_first_that_is_left_strikes() -> None:
    faults.put({"model": [{"kind": "drop", "count": 1}, {"kind": "stall"}]})
    kinds = fault_settings.KINDS["model"]

    struck = [faults.strike("model", *kinds, about="")["kind"] for _ in range(3)]

    assert struck == ["drop", "stall", "stall"]


def test_a_service_that_is_gone_comes_back_when_it_may() -> None:
    faults.put({"transcriber": {"kind": "gone", "seconds": 0, "only": "keyterm=Ann"}})
    [gone] = faults.standing("transcriber", "gone", about="keyterm=Ann")
    faults.begin_absence(gone)
    assert not faults.absence("transcriber", "keyterm=Ann")

    gone["seconds"] = 60
    faults.begin_absence(gone)

    assert faults.absence("transcriber", "keyterm=Ann") is gone
    assert not faults.absence("transcriber", "keyterm=Bob")
    faults.clear()
    assert not faults.absence("transcriber", "keyterm=Ann")
