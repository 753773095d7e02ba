"""An installation of its own for a benchmark to use up, the simulated carrier's journal, and a
client that asks again."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography.fernet import Fernet

from nixflex.embedded import places

PROJECT = Path(__file__).resolve().parents[1]
SID = "AC5a2d0b0c5a2d0b0c5a2d0b0c5a2d0b0c"
TOKEN = "5a2db0c05a2db0c05a2db0c05a2db0c0"
OUR_NUMBER = "+447446466847"


class House:
    """A running ``make run`` with a database and settings of its own, on free ports.

    ``settings`` are environment variables. Its processes can be killed one by one.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = _three_free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.sandbox = f"http://127.0.0.1:{self.port + 2}"
        self.log = folder / "house.log"
        self.environment = os.environ | {
            "NIXFLEX_DATA_DIR": str(folder / "data"),
            "NIXFLEX_ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "nixflex.settings",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "DEBUG": "0",
            "SANDBOX": "1",
            "PUBLIC_URL": self.url,
            "PORT": str(self.port),
            "API_RATE_LIMIT_PER_MINUTE": "10000",
            **settings,
        }
        for name in ("MEDIA_PORT", "SANDBOX_PORT", "MEDIA_URL", "ALLOWED_HOSTS"):
            self.environment.pop(name, None)

    def __enter__(self) -> "House":
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=PROJECT,
            env=self.environment,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return self
            time.sleep(0.5)
        self.__exit__()
        raise RuntimeError(f"the installation did not come up:\n{self.log.read_text()[-3000:]}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=60)
        data = self.environment["NIXFLEX_DATA_DIR"]
        subprocess.run(
            [sys.executable, "-m", "nixflex.embedded.remove", data], cwd=PROJECT, check=False
        )

    def manage(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return done.stdout.strip().splitlines()[-1]

    def shell(self, source: str) -> str:
        """Run Python with the installation's models; return the last line it prints."""
        return self.manage("shell", "-v", "0", "-c", source)

    def cpu_seconds(self, name: str) -> float:
        """How much processor time a process of ours (``web``, ``worker``, ``sandbox`` …) or the
        ``database`` has used."""
        if name == "database":
            pids = _working_in(places.find(Path(self.environment["NIXFLEX_DATA_DIR"])).home)
        else:
            pids = [one for one in _children(self._process.pid) if _role(one, self.port) == name]
        used = 0.0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return used

    def pid(self, name: str) -> int | None:
        """Return a process of ours: web, media, worker or beat."""
        pids = _children(self._process.pid)
        return next((pid for pid in pids if _role(pid, self.port) == name), None)

    def kill(self, name: str) -> bool:
        """End one process of ours as a crash or an impatient kernel would."""
        if pid := self.pid(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
        return False


def _children(parent: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in task.read_text().split()]
    return found


def _working_in(folder: Path) -> list[int]:
    """The processes whose working directory is in ``folder``: of ours, the database's servers."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
    return found


def _role(pid: int, port: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return ""
    if "sandbox" in words:
        return "sandbox"
    if "celery" in words:
        return "worker" if "worker" in words else "beat"
    if "uvicorn" in words:
        return "web" if f"--port={port}" in words else "media"
    return ""


def _three_free_ports() -> int:
    for first in range(21000 + os.getpid() % 4000, 32000, 3):
        with contextlib.ExitStack() as open_sockets:
            try:
                for port in (first, first + 1, first + 2):
                    open_sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise RuntimeError("no three neighbouring ports are free")


class Carrier(threading.Thread):
    """Reads the carrier's journal as it is written: it is the truth about whose phone rang."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.rang: Counter[str] = Counter()
        self.sids: set[str] = set()
        self.noted: Counter[str] = Counter()
        self._url = url
        self._over = threading.Event()

    def run(self) -> None:
        after = 0
        while not self._over.is_set():
            try:
                query = {"after": after, "wait": 2}
                page = httpx.get(f"{self._url}/_sandbox/journal", params=query, timeout=30).json()
            except httpx.HTTPError:
                time.sleep(0.5)
                continue
            for event in page["events"]:
                self.noted[event["kind"]] += 1
                if event["kind"] == "call_created":
                    self.rang[event["to"]] += 1
                    self.sids.add(event["call_sid"])
            after = page["last"]

    def stop(self) -> None:
        self._over.set()
        self.join(40)


class Client:
    """Our API as a customer uses it: asks again while the web process is dead."""

    def __init__(self, house: House, key: str) -> None:
        self.headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=f"{house.url}/v1", headers=self.headers, timeout=30)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        for _ in range(60):
            try:
                answer = self._http.request(method, path, json=body)
            except httpx.TransportError:
                time.sleep(1)
                continue
            if answer.status_code < 500:
                answer.raise_for_status()
                return answer.json()
            time.sleep(1)
        raise RuntimeError(f"{method} {path} got no answer in a minute")


@dataclass(frozen=True)
class Office:
    """What a customer has at hand: the API, an agent, and a number imported for it."""

    api: Client
    agent_id: str


def open_office(house: House, *, lines: int, name: str) -> Office:
    """Make an API key, an agent and a number; the account may hold ``lines`` calls at a time."""
    api = Client(house, house.manage("create_api_key", "--name", name))
    house.shell(
        "from accounts.models import Account; "
        f"Account.objects.update(max_concurrent_calls={lines}); print('ok')"
    )
    agent = api.send("POST", "/agents", {"name": "Mia", "system_prompt": "Be brief. Say goodbye."})
    api.send(
        "POST",
        "/phone-numbers",
        {
            "phone_number": OUR_NUMBER,
            "agent_id": agent["agent_id"],
            "twilio_sid": SID,
            "twilio_token": TOKEN,
        },
    )
    return Office(api, agent["agent_id"])
