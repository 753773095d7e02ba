"""What every test of every app may rely on."""

import os
import shutil

import pytest
from django.conf import settings
from django.core.cache import cache

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Return the path of a Chromium: ``CHROMIUM``, else the first of its names on PATH."""
    for name in (os.environ.get("CHROMIUM", ""), *CHROMIUMS):
        if name and (path := shutil.which(name)):
            return path
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of pages where there is no browser."""
    if find_chromium():
        return
    left_out = [item for item in items if item.get_closest_marker("browser")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so: under xdist nobody else does."""
    if not find_chromium():
        terminalreporter.write_line(
            "LEFT OUT: the tests of pages (marker browser), because no Chromium was found. "
            "Install chromium, or name one in CHROMIUM.",
            yellow=True,
        )


@pytest.fixture(autouse=True)
def _empty_valkey() -> None:
    """Give each test an empty Valkey database: no cached answer, queued task or limit is left."""
    if settings.EMBEDDED_VALKEY:
        cache.clear()
