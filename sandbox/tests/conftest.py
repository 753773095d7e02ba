"""What every test of the sandbox may rely on."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from sandbox import faults
from sandbox.tests.carrier_world import World, open_world


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    """Nothing goes wrong that the test did not ask for."""
    faults.clear()
    yield
    faults.clear()


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    """The telephone company, a product that calls through it, and people who may be called."""
    async with open_world() as opened:
        yield opened
