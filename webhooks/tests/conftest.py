from collections.abc import Iterator

import pytest

from webhooks.tests.receiver import Receiver, running_receiver


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    """A customer's server that we may reach."""
    settings.OUTBOUND_ALLOW_PRIVATE = True
    with running_receiver() as running:
        yield running
