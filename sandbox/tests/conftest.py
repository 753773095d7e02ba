"""What every test of the sandbox may rely on."""

from collections.abc import Iterator

import pytest

from sandbox import faults


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    """Nothing goes wrong that the test did not ask for."""
    faults.clear()
    yield
    faults.clear()
