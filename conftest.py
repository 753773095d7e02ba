"""What every test of every app may rely on."""

import pytest
from django.conf import settings
from django.core.cache import cache


@pytest.fixture(autouse=True)
def _empty_valkey() -> None:
    """Give each test an empty Valkey database: no cached answer, queued task or limit is left."""
    if settings.EMBEDDED_VALKEY:
        cache.clear()
