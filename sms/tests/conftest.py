import pytest
import responses

from sms import intake


@pytest.fixture
def telco():
    """The carrier's REST answers, which ``twilio_side`` adds to. Any other request fails."""
    with responses.mock as mock:
        yield mock


@pytest.fixture(autouse=True)
def _nudges_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "NUDGE_EVERY_S", 0.0)
