"""A campaign through everything that can go wrong at once: ``python -m benchmarks.reliability``.

A whole installation (``manage.py run``, a database of its own) calls people of the sandbox, most
of them busy or not answering, some who talk. Meanwhile callbacks are doubled, reordered, delayed
and dropped, answers of the carrier's create-call are lost after it accepted (reset, 500, time-out),
and every few seconds one of worker, web, beat and media is killed with SIGKILL. In the end the
carrier's own journal is counted against our rows. Everything is simulated; no telephone rings.
"""

import argparse
import contextlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from cryptography.fernet import Fernet

PROJECT = Path(__file__).resolve().parents[2]
SID = "AC5a2d0b0c5a2d0b0c5a2d0b0c5a2d0b0c"
TOKEN = "5a2db0c05a2db0c05a2db0c05a2db0c0"
OUR_NUMBER = "+447446466847"
KILLED = ("worker", "web", "beat", "media")
CALLBACKS = {"double": 0.2, "reorder": 0.2, "delay_s": [0, 2], "drop": 0.05}
LOST_ANSWERS = (
    {"lose_answer": "reset", "probability": 0.1},
    {"lose_answer": "500", "probability": 0.1},
    {"lose_answer": "timeout", "seconds": 20, "probability": 0.05},
)
# What the database says once the dust has settled.
LEDGER = """
import json
from collections import Counter
from calls.models import Call, DialAttempt
from campaigns.models import Recipient, RecipientCall
print(json.dumps({
    "recipients": Counter(Recipient.objects.values_list("status", flat=True)),
    "outcomes": Counter(Recipient.objects.values_list("outcome", flat=True)),
    "calls": Call.objects.count(),
    "unfinished": Call.objects.unfinished().count(),
    "lines taken": Call.objects.occupying().count(),
    "attempts": Counter(DialAttempt.objects.values_list("status", flat=True)),
    "unsettled": DialAttempt.objects.unsettled().count(),
    "calls per person": dict(Counter(
        RecipientCall.objects.values_list("recipient__phone", flat=True))),
    "sids": list(Call.objects.exclude(carrier_sid="").values_list("carrier_sid", flat=True)),
}))
"""


class House:
    """A running ``make run`` whose processes are killed one by one."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
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
            "DEBUG": "1",
            "SANDBOX": "1",
            "PUBLIC_URL": self.url,
            "PORT": str(self.port),
            "SANDBOX_CPS": str(options.cps),
            "MAX_CONCURRENT_CALLS": str(options.lines),
            "RING_TIMEOUT_SECONDS": "5",
            "DIAL_SETTLE_SECONDS": str(options.settle),
            "API_RATE_LIMIT_PER_MINUTE": "10000",
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

    def kill(self, name: str) -> bool:
        """End one process of ours as a crash or an impatient kernel would."""
        for pid in _children(self._process.pid):
            if _role(pid, self.port) == name:
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


def _role(pid: int, port: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return ""
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


class Trouble(threading.Thread):
    """Kills a process every 5 to 10 s and changes which answers of the carrier get lost."""

    def __init__(self, house: House, dice: random.Random, kills: bool) -> None:
        super().__init__(daemon=True)
        self.killed: Counter[str] = Counter()
        self._house, self._dice, self._kills = house, dice, kills
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(self._dice.uniform(5, 10)):
            faults = {
                "seed": self._dice.randrange(1_000_000),
                "callbacks": CALLBACKS,
                "create_call": self._dice.choice(LOST_ANSWERS),
            }
            with contextlib.suppress(httpx.HTTPError):
                httpx.put(f"{self._house.sandbox}/_sandbox/faults", json=faults, timeout=10)
            name = self._dice.choice(KILLED)
            if self._kills and self._house.kill(name):
                self.killed[name] += 1

    def stop(self) -> None:
        """No more trouble: what was lost has to be found now."""
        self.over.set()
        self.join()
        httpx.delete(f"{self._house.sandbox}/_sandbox/faults", timeout=10)


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
        self._http = httpx.Client(
            base_url=f"{house.url}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=30
        )

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


def people(house: House, count: int, talkers: int, dice: random.Random) -> list[str]:
    """Give everybody a character and return their numbers."""
    numbers = [f"+4473861{n:05d}" for n in range(count)]
    with httpx.Client(base_url=f"{house.sandbox}/_sandbox/people", timeout=10) as sandbox:
        for n, number in enumerate(numbers):
            who: dict[str, Any] = {"answers": dice.choice(["busy", "busy", "no_answer"])}
            if n % max(1, count // max(1, talkers)) == 0:
                who = {"answers": "answer", "say": ["No thank you. Goodbye."]}
            sandbox.put(f"/{number}", json=who | {"rings_s": 1}).raise_for_status()
    return numbers


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability")
    parser.add_argument("--recipients", type=int, default=2000)
    parser.add_argument("--talkers", type=int, default=100)
    parser.add_argument("--cps", type=float, default=10)
    parser.add_argument("--lines", type=int, default=60, help="calls at the same time")
    parser.add_argument("--settle", type=int, default=60, help="DIAL_SETTLE_SECONDS")
    parser.add_argument("--minutes", type=float, default=20, help="give up after")
    parser.add_argument("--trouble", type=float, default=12, help="minutes of it, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-kills", action="store_true")
    options = parser.parse_args()
    dice = random.Random(options.seed)
    with (
        tempfile.TemporaryDirectory(prefix="nixflex-reliability-") as folder,
        House(Path(folder), options) as house,
    ):
        return run(house, options, dice)


def run(house: House, options: argparse.Namespace, dice: random.Random) -> int:
    api = Client(house, house.manage("create_api_key", "--name", "Reliability"))
    house.manage(
        "shell",
        "-c",
        "from accounts.models import Account; "
        f"Account.objects.update(max_concurrent_calls={options.lines}); print('ok')",
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
    numbers = people(house, options.recipients, options.talkers, dice)
    carrier = Carrier(house.sandbox)
    carrier.start()
    trouble = Trouble(house, dice, kills=not options.no_kills)
    trouble.start()
    begun = time.monotonic()
    campaign = api.send(
        "POST",
        "/calls/batch",
        {
            "agent_id": agent["agent_id"],
            "prompt": "Ask whether they want to come to the open day.",
            "recipients": [{"phone": number} for number in numbers],
            "stop_on_failures": False,
        },
    )
    path = f"/campaigns/{campaign['campaign_id']}"
    seen = 0.0
    while time.monotonic() - begun < options.minutes * 60:
        now = api.send("GET", path)
        enough = now["progress"] >= 0.9 or time.monotonic() - begun > options.trouble * 60
        if enough and not trouble.over.is_set():
            trouble.stop()
        if now["status"] == "completed":
            break
        if time.monotonic() - seen > 10:
            seen = time.monotonic()
            taken = int(seen - begun)
            print(
                f"{taken:5d} s  {now['counts']}  killed {sum(trouble.killed.values())}", flush=True
            )
        time.sleep(2)
    took = time.monotonic() - begun
    if not trouble.over.is_set():
        trouble.stop()
    time.sleep(5)
    ledger = json.loads(house.manage("shell", "-v", "0", "-c", LEDGER))
    carrier.stop()
    return report(options, took, trouble, carrier, ledger)


def report(
    options: argparse.Namespace,
    took: float,
    trouble: Trouble,
    carrier: Carrier,
    ledger: dict[str, Any],
) -> int:
    placed: dict[str, int] = ledger["calls per person"]
    rang = carrier.rang
    too_often = {n for n, times in rang.items() if times > placed.get(n, 0)}
    # Of an attempt that died before the carrier had it, nobody's phone may ring.
    lost = ledger["recipients"].get("pending", 0) + ledger["recipients"].get("calling", 0)
    unknown = carrier.sids - set(ledger["sids"])
    rows = [
        ("people", options.recipients),
        ("minutes", round(took / 60, 1)),
        ("processes killed", dict(trouble.killed)),
        ("callbacks dropped", carrier.noted["callback_dropped"]),
        ("answers lost, by the carrier's journal", carrier.noted["fault"]),
        ("calls the carrier made", sum(rang.values())),
        ("outcomes", ledger["outcomes"]),
        ("dial attempts", ledger["attempts"]),
        ("phones that rang more often than they were called", len(too_often)),
        ("people not finished", lost),
        ("calls of the carrier without a row", len(unknown)),
        ("dial attempts unsettled", ledger["unsettled"]),
        ("calls unfinished", ledger["unfinished"]),
        ("lines still taken", ledger["lines taken"]),
    ]
    print("\n| what | |\n| --- | --- |")
    for what, value in rows:
        print(f"| {what} | {value} |")
    wrong = len(too_often) + lost + len(unknown) + ledger["unsettled"] + ledger["lines taken"]
    print("\nHeld." if not wrong else "\nNOT held.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
