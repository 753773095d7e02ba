"""Who the product talks to in tests of several packages; a conftest imports what its tests need."""

from collections.abc import Iterator
from typing import Any

import pytest
import responses

from agents.tests.model_side import ModelServer, running_model
from agents.tests.outside import Sandbox, running_sandbox


@pytest.fixture(scope="session")
def carrier_process() -> Iterator[Sandbox]:
    """The sandbox's telephone company, once for a whole run."""
    with running_sandbox("carrier") as sandbox:
        yield sandbox


@pytest.fixture
def carrier(carrier_process: Sandbox, settings: Any) -> Sandbox:
    """The sandbox's telephone company, which the product now talks to."""
    settings.TWILIO_API_URL = carrier_process.url
    return carrier_process


@pytest.fixture
def telco() -> Iterator[responses.RequestsMock]:
    """The carrier's REST answers, which ``twilio_side`` adds to. Any other request fails."""
    with responses.mock as mock:
        yield mock


@pytest.fixture
def model(settings: Any) -> Iterator[ModelServer]:
    """The model, which answers what the test sets it to."""
    with running_model() as running:
        settings.ANTHROPIC_API_URL = running.url
        yield running
