"""What the tests of texting talk to instead of the providers."""

from collections.abc import Iterator
from typing import Any

import pytest
import responses

from agents.tests.model_side import ModelServer, running_model
from sms import intake


@pytest.fixture
def telco():
    """The carrier's REST answers, which ``twilio_side`` adds to. Any other request fails."""
    with responses.mock as mock:
        yield mock


@pytest.fixture
def model(settings: Any) -> Iterator[ModelServer]:
    """The model, which answers what the test sets it to."""
    with running_model() as running:
        settings.ANTHROPIC_API_URL = running.url
        yield running


@pytest.fixture(autouse=True)
def _nudges_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "NUDGE_EVERY_S", 0.0)
