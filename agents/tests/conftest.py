from collections.abc import Iterator

import pytest

from agents.tests.outside import Sandbox, running_sandbox


@pytest.fixture(scope="session")
def _carrier_process() -> Iterator[Sandbox]:
    with running_sandbox("carrier") as sandbox:
        yield sandbox


@pytest.fixture
def carrier(_carrier_process: Sandbox, settings) -> Sandbox:
    """The sandbox's telephone company, which the product now talks to."""
    settings.TWILIO_API_URL = _carrier_process.url
    return _carrier_process
