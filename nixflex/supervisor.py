"""Starts the processes of one installation, keeps them running, and stops every one of them.

For development and the demo (``make run``, ``make demo``); servers use the ``Procfile`` and a
supervisor of their own. Needs Linux or macOS.
"""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.core.cache import cache

from nixflex.tasks import HEARTBEAT_KEY

# The first start compiles every module, in five processes at once, perhaps on a busy machine.
READY_TIMEOUT_SECONDS = 180.0
GRACE_SECONDS = 10.0
BACK_OFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
# Whoever ran this long was well; its next crash starts the back-off anew.
WELL_AFTER_SECONDS = 30.0
# Dying this often before everything was ready is a mistake to show, not to repeat.
DEATHS_BEFORE_READY = 3

# A child stops when we die, however: the kernel sends it SIGTERM (Linux). Set in a program of its
# own because code between fork and exec may hang in a process that has threads.
TETHER = (
    "import ctypes,os,sys\n"
    "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, 15)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


class StartError(Exception):
    """The processes cannot start; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Process:
    """One program to keep running. ``port`` is where it listens, if it does."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    port: int | None = None
    port_variable: str = "PORT"
    # Nobody needs it before every port answers: the others start sooner without it.
    comes_last: bool = False


def processes() -> list[Process]:
    """What these settings need on one machine; what others need comes first."""
    python = sys.executable
    needed = []
    if parts := _sandbox_parts():
        needed.append(
            Process(
                "sandbox",
                (
                    *(python, "-m", "sandbox", f"--port={settings.SANDBOX_PORT}"),
                    *(f"--only={parts}", f"--keep={settings.DATA_DIR / 'sandbox-numbers.json'}"),
                ),
                port=settings.SANDBOX_PORT,
                port_variable="SANDBOX_PORT",
            )
        )
    celery = (python, "-m", "celery", "--app=nixflex", "--skip-checks", "--quiet")
    needed += [
        Process(
            "web",
            (*_uvicorn(settings.PORT, "websockets-sansio"), "--lifespan=off"),
            {
                "NIXFLEX_ROLE": "web",
                # whitenoise's files are small and in the page cache
                "PYTHONWARNINGS": "ignore:StreamingHttpResponse must consume synchronous",
            },
            settings.PORT,
        ),
        Process(
            "media",
            (
                *_uvicorn(settings.MEDIA_PORT, "media.server_socket:AudioProtocol"),
                *("--lifespan=on", f"--workers={settings.MEDIA_PROCESSES}"),
            ),
            # All stop together here: no other process could take a call.
            {"NIXFLEX_ROLE": "media", "MEDIA_DRAIN_SECONDS": "0"},
            settings.MEDIA_PORT,
            "MEDIA_PORT",
        ),
        Process(
            "worker",
            (
                *(*celery, "worker", "--loglevel=WARNING", "--pool=threads", "--concurrency=12"),
                *("--without-mingle", "--without-gossip"),
            ),
            # On a developer's machine or in a container we may well be root.
            {"PYTHONWARNINGS": "ignore:You're running the worker with superuser"},
        ),
        Process(
            "beat",
            (
                *(*celery, "beat", "--loglevel=WARNING", "--pidfile="),
                f"--schedule={settings.DATA_DIR / 'beat-schedule'}",
            ),
            comes_last=True,
        ),
    ]
    return needed


def _sandbox_parts() -> str:
    """The simulated services that the settings point at."""
    urls = {
        "carrier": settings.TWILIO_API_URL,
        "speech": settings.DEEPGRAM_API_URL,
        "model": settings.ANTHROPIC_API_URL,
        "calendar": settings.CALCOM_API_URL,
    }
    parts = [part for part, url in urls.items() if url == settings.SANDBOX_URL]
    return ",".join(parts) if settings.SANDBOX else ""


def _uvicorn(port: int, sockets: str) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "uvicorn", "nixflex.asgi:application"),
        *(f"--host={settings.HOST}", f"--port={port}"),
        *("--loop=uvloop", "--http=httptools", f"--ws={sockets}"),
        # audio does not shrink, and every frame would pay for the attempt
        *("--ws-per-message-deflate=false", "--timeout-graceful-shutdown=5"),
        *("--no-access-log", "--log-level=warning"),
    )


class Supervisor:
    """Runs the processes between ``start`` and ``stop``.

    ``on_line(name, line)`` gets every line they write, and ours under the name ``nixflex``; it is
    called from several threads, one call at a time.
    """

    def __init__(
        self, wanted: Sequence[Process], *, on_line: Callable[[str, str], None], cwd: Path
    ) -> None:
        self._keepers = [_Keeper(process, self._line, cwd) for process in wanted]
        self._on_line = on_line
        self._speaking = threading.Lock()
        self._parent = os.getppid()

    def start(self) -> None:
        """Start the processes, those that come last not before a ``wait`` has seen the ports.

        Raises StartError if a port is taken.
        """
        for keeper in self._keepers:
            if keeper.process.port is not None:
                _require_free(keeper.process)
        # A heartbeat of an earlier run must not make this one look ready.
        cache.delete(HEARTBEAT_KEY)
        for keeper in self._keepers:
            if not keeper.process.comes_last:
                keeper.start()

    def wait_listening(
        self, timeout: float = READY_TIMEOUT_SECONDS, *, stopping: threading.Event | None = None
    ) -> None:
        """Return when every port answers: calls can be placed. Raises as ``wait_ready`` does."""
        self._wait(self._silent, timeout, stopping)
        for keeper in self._keepers:
            keeper.start()

    def wait_ready(
        self, timeout: float = READY_TIMEOUT_SECONDS, *, stopping: threading.Event | None = None
    ) -> None:
        """Return when every port answers and ``/readyz`` is green, or once ``stopping`` is set.

        Raises StartError, with the last lines of the process concerned, if that does not happen.
        """
        self.wait_listening(timeout, stopping=stopping)
        self._wait(self._missing, timeout, stopping)

    def _wait(
        self, what_misses: Callable[[], str], timeout: float, stopping: threading.Event | None
    ) -> None:
        deadline = time.monotonic() + timeout
        stopping = stopping or threading.Event()
        while not stopping.is_set():
            missing = what_misses()
            if not missing:
                return
            for keeper in self._keepers:
                if keeper.deaths >= DEATHS_BEFORE_READY:
                    raise StartError(f"{keeper.process.name} does not start:\n{keeper.tail()}")
            if time.monotonic() > deadline:
                raise StartError(f"Not ready after {timeout:.0f} s: {missing}.")
            stopping.wait(0.1)

    def orphaned(self) -> bool:
        """Whether ``make``, which started us, is gone, so that nobody could stop us any more."""
        return "MAKELEVEL" in os.environ and os.getppid() != self._parent

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Stop every process, the sandbox last; by force those that take over ``grace`` seconds."""
        deadline = time.monotonic() + grace
        outside = [keeper for keeper in self._keepers if keeper.process.name == "sandbox"]
        for group in ([k for k in self._keepers if k not in outside], outside):
            for keeper in group:
                keeper.ask_to_stop()
            for keeper in group:
                keeper.join(max(deadline - time.monotonic(), 0.5))

    def hurry(self) -> None:
        """Kill what is left; for an impatient second Ctrl-C."""
        for keeper in self._keepers:
            keeper.kill()

    def _silent(self) -> str:
        for keeper in self._keepers:
            port = keeper.process.port
            if port is not None and not _listens(port):
                return f"{keeper.process.name} does not listen on port {port} yet"
        return ""

    def _missing(self) -> str:
        if silent := self._silent():
            return silent
        for keeper in self._keepers:
            if keeper.process.name == "web" and keeper.process.port is not None:
                return _not_ready(keeper.process.port)
        return ""

    def _line(self, name: str, line: str) -> None:
        with self._speaking:
            self._on_line(name, line)


class _Keeper:
    """Keeps one process running, in a thread of its own."""

    def __init__(self, process: Process, on_line: Callable[[str, str], None], cwd: Path) -> None:
        self.process = process
        self.deaths = 0
        self._on_line = on_line
        self._cwd = cwd
        self._last_lines: deque[str] = deque(maxlen=20)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        # The thread must live as long as its child: the kernel tethers the child to the thread.
        self._thread = threading.Thread(target=self._run, name=process.name, daemon=True)

    def start(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def ask_to_stop(self) -> None:
        with self._lock:
            self._stopping.set()
            if self._child is not None and self._child.poll() is None:
                self._child.terminate()

    def join(self, seconds: float) -> None:
        if self._thread.ident is None:
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._on_line("nixflex", f"{self.process.name} did not stop in time and is killed")
            self.kill()
            self._thread.join(5)

    def kill(self) -> None:
        with self._lock:
            if self._child is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._child.pid, signal.SIGKILL)

    def tail(self) -> str:
        return "\n".join(self._last_lines)

    def _run(self) -> None:
        attempt = 0
        while True:
            born = time.monotonic()
            with self._lock:
                if self._stopping.is_set():
                    return
                self._child = child = self._spawn()
            assert child.stdout is not None  # noqa: S101
            for line in child.stdout:
                self._last_lines.append(line.rstrip("\n"))
                self._on_line(self.process.name, line.rstrip("\n"))
            status = child.wait()
            if self._stopping.is_set():
                return
            self.deaths += 1
            if time.monotonic() - born > WELL_AFTER_SECONDS:
                attempt = 0
            pause = BACK_OFF_SECONDS[min(attempt, len(BACK_OFF_SECONDS) - 1)]
            attempt += 1
            self._on_line(
                "nixflex",
                f"{self.process.name} ended ({_status(status)}); it starts again in {pause:g} s",
            )
            self._stopping.wait(pause)

    def _spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", TETHER, str(os.getpid()), *self.process.command],
            cwd=self._cwd,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | self.process.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A group of its own: Ctrl-C in the terminal reaches us alone, and we stop it in order.
            start_new_session=True,
        )


def _status(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"status {status}"


def _require_free(process: Process) -> None:
    assert process.port is not None  # noqa: S101
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST, process.port))
        except OSError as error:
            where = f"Port {process.port}, for {process.name},"
            if error.errno == errno.EADDRINUSE:
                why = "is taken by another program: stop that"
            else:
                why = f"cannot be used ({error.strerror}): use another"
            other = process.port + 1000 if process.port < 60000 else 8000
            raise StartError(f"{where} {why}, or set {process.port_variable}={other}.") from None


def _listens(port: int) -> bool:
    host = "127.0.0.1" if settings.HOST in {"", "0.0.0.0"} else settings.HOST  # noqa: S104
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _not_ready(port: int) -> str:
    """Return what ``/readyz`` misses, or nothing."""
    host = "127.0.0.1" if settings.HOST in {"", "0.0.0.0"} else settings.HOST  # noqa: S104
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/readyz", timeout=10):
            return ""
    except urllib.error.HTTPError as error:
        try:
            parts = json.load(error)
            bad = [f"{k}: {v}" for k, v in parts.items() if k != "status" and v != "ok"]
        except (ValueError, AttributeError):
            bad = []
        return "; ".join(bad) or f"/readyz answers {error.code}"
    except OSError as error:
        return f"/readyz does not answer ({error})"
