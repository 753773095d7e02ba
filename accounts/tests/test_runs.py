import pytest

from accounts.runs import Runs


def test_who_comes_on_top_is_sent_away_and_one_that_runs_looks_again():
    runs = Runs(2)
    seen: list[str] = []

    def inner() -> int:
        seen.append("inner")
        if len(seen) == 2:
            assert runs.do(lambda: pytest.fail("both are taken")) == 0
        return 1

    def outer() -> int:
        seen.append("outer")
        return 10 + runs.do(inner)

    assert runs.do(outer) == 12
    assert seen == ["outer", "inner", "inner"]


def test_a_run_that_fails_leaves_its_place():
    runs = Runs(1)

    def fails() -> int:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            runs.do(fails)

    assert runs.do(lambda: 3) == 3
