"""The engines under test: how each is started, reached and watched."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.voice.caller import Way

PROJECT = Path(__file__).resolve().parents[2]
WORKSHOP = PROJECT / ".nixflex/bench"
ENGINE_CORE, HARNESS_CORE = 0, 1
STARTS_WITHIN_S = 60.0
UVICORN = [
    "--host=127.0.0.1",
    "--lifespan=on",
    "--loop=uvloop",
    "--http=httptools",
    "--ws=media.server_socket:AudioProtocol",
    "--ws-per-message-deflate=false",
    "--no-access-log",
]
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Engine:
    """A running engine: one process on a core of its own."""

    name: str
    pid: int
    port: int

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mib(self) -> float:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE / 2**20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class House:
    """Nixflex's database and calls (``benchmarks/voice/house.py``), and its media process.

    ``module`` is the process that makes the calls; ``settings`` are more of the environment.
    """

    def __init__(
        self, stubs_url: str, module: str = "benchmarks.voice.house", **settings: str
    ) -> None:
        self._port = free_port()
        self._environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "nixflex.settings",
            "NIXFLEX_ENV_FILE": os.devnull,
            "NIXFLEX_DATA_DIR": str(WORKSHOP / "data"),
            "NIXFLEX_ROLE": "media",
            "DEBUG": "0",
            "SANDBOX": "1",
            "SECRET_KEY": "a-key-for-measuring-only-0123456789-abcdefghijklmnopqrstuvwxyz",
            "FIELD_ENCRYPTION_KEYS": "dGhlLXRlc3RzLWtleS1pcy1rbm93bi10by1hbGwtISE=",
            "PUBLIC_URL": "http://127.0.0.1:9",
            "MEDIA_URL": f"ws://127.0.0.1:{self._port}/media/twilio/",
            "MAX_CONCURRENT_CALLS": "10000",
            "MEDIA_MAX_CALLS": "10000",
            "TRANSCRIBER_SOCKETS": "10000",
            "VOICE_SOCKETS": "10000",
            "TWILIO_API_URL": stubs_url,
            "DEEPGRAM_API_URL": stubs_url,
            "TRANSCRIBER": "nova-3",  # what the others use, and what the stub speaks
            "ANTHROPIC_API_URL": stubs_url,
            **settings,
        }
        (WORKSHOP / "data").mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=PROJECT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            raise RuntimeError("the database did not come up")

    def begin(self, calls: int) -> list[Way]:
        return [self.way(known) for known in self.ask(str(calls))]

    def ask(self, order: str) -> Any:
        """Have the process that makes the calls do something; return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def way(self, known: dict[str, str]) -> Way:
        return Way(
            f"ws://127.0.0.1:{self._port}/media/twilio/",
            {"X-Twilio-Signature": known["signature"]},
            known["account_sid"],
            known["call_sid"],
            {"t": known["ticket"]},
        )

    @contextmanager
    def media(self) -> Iterator[Engine]:
        command = [sys.executable, "-m", "uvicorn", "nixflex.asgi:application", *UVICORN]
        command.append(f"--port={self._port}")
        with _running("nixflex", command, self._port, self._environment) as engine:
            yield engine

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        shutil.rmtree(WORKSHOP / "data/recordings", ignore_errors=True)


@contextmanager
def pipecat(kind: str, stubs_url: str) -> Iterator[Engine]:
    python = WORKSHOP / "pipecat/bin/python"
    if not python.exists():
        raise SystemExit(
            "Pipecat is not installed. Run: python -m venv .nixflex/bench/pipecat && "
            ".nixflex/bench/pipecat/bin/pip install -r benchmarks/voice/requirements-pipecat.txt"
        )
    port = free_port()
    command = [str(python), str(Path(__file__).with_name("pipecat_bot.py"))]
    command += [str(port), stubs_url, kind]
    with _running(f"pipecat {kind}", command, port, dict(os.environ)) as engine:
        yield engine


@contextmanager
def floor(stubs_url: str) -> Iterator[Engine]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.voice.floor", str(port), stubs_url]
    with _running("floor", command, port, dict(os.environ)) as engine:
        yield engine


def simple_ways(engine: Engine, calls: int) -> list[Way]:
    url = f"ws://127.0.0.1:{engine.port}/media/twilio/"
    return [Way(url, {}, f"AC{0:032x}", f"CA{n:032x}", {}) for n in range(calls)]


@contextmanager
def _running(
    name: str, command: list[str], port: int, environment: dict[str, str]
) -> Iterator[Engine]:
    log = (WORKSHOP / f"{name.replace(' ', '-')}.log").open("w")
    process = subprocess.Popen(
        ["taskset", "-c", str(ENGINE_CORE), *command],
        cwd=PROJECT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        _wait_for(port, process)
        yield Engine(name, process.pid, port)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the engine died: see the logs in {WORKSHOP}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError("the engine does not listen")
