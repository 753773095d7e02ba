"""An agent whose voice is gone, in a real call: the caller hears the carrier take leave."""

from pathlib import Path

import pytest

from benchmarks.faults.calling import SETTINGS, failures, play, uncounted
from benchmarks.faults.kinds import KINDS
from benchmarks.house import House

pytestmark = pytest.mark.timeout(420)


def test_a_caller_of_an_agent_without_a_voice_hears_the_carriers_own(tmp_path: Path):
    gone = [kind for kind in KINDS if kind.name == "voice gone"]

    with House(tmp_path, **SETTINGS) as house:
        [outcome] = play(house, gone, at_once=1, asks_again=False)
        missing = uncounted(gone, failures(house))

    assert "problem" in outcome.heard, outcome
    assert outcome.ended
    assert [name for name, _ in outcome.events].count("voice_failed") == 2
    assert missing == []
