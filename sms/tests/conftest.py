"""What the tests of texting talk to instead of the providers."""

import pytest

from agents.tests.fixtures import model as model
from agents.tests.fixtures import telco as telco
from sms import intake


@pytest.fixture(autouse=True)
def _nudges_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "NUDGE_EVERY_S", 0.0)
