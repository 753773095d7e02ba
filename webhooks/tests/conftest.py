from collections.abc import Iterator

import pytest

from agents.tests.conftest import _carrier_process, carrier
from webhooks.tests.receiver import Receiver, running_receiver

__all__ = ["_carrier_process", "carrier"]


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    """A customer's server that we may reach."""
    settings.OUTBOUND_ALLOW_PRIVATE = True
    with running_receiver() as running:
        yield running
