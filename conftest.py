"""What every test of every app may rely on."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.cache import cache

# How long a test waits for what must come, on whatever machine: a test that fails because of it has
# found a hanging process, not a slow one. Nothing is claimed by it, and nothing that works waits so
# long.
PATIENCE_S = 90.0

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Return the path of a Chromium: ``CHROMIUM``, else the first of its names on PATH."""
    for name in (os.environ.get("CHROMIUM", ""), *CHROMIUMS):
        if name and (path := shutil.which(name)):
            return path
    return None


@contextlib.contextmanager
def reserved_ports() -> Iterator[int]:
    """Yield the first of three neighbouring ports of 127.0.0.1 that are this block's until its end.

    A port that was free a moment ago is not reserved: another worker, another run or somebody's
    connection may have it before the process it was meant for. So a fourth is held open meanwhile,
    and who holds it owns the three before it; they lie below those that Linux gives to connections.
    """
    for step in range(3000):
        first = 20_000 + 4 * ((os.getpid() + step) % 3000)
        with contextlib.ExitStack() as held, contextlib.ExitStack() as tried:
            try:
                held.enter_context(socket.socket()).bind(("127.0.0.1", first + 3))
                for port in range(first, first + 3):
                    tried.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            tried.close()
            yield first
            return
    raise RuntimeError("no three neighbouring ports are free")


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


@pytest.fixture(autouse=True)
def _texts_come_in_within_a_tests_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    from sms import intake
    from sms.tests.djangos_connection import DjangosConnection

    for writer in (intake._texts, intake._reports):
        monkeypatch.setattr(writer, "database", DjangosConnection())
