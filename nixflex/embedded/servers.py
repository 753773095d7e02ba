"""The two servers: how each is prepared, started, known to be ready, and stopped."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, Protocol

from . import binaries
from .places import POSTGRES_SOCKET, VALKEY_SOCKET, EmbeddedError, Places, make_private

PR_SET_PDEATHSIG = 1


class Server(Protocol):
    """One embedded server. ``durable`` keeps what was acknowledged through a power cut."""

    places: Places

    @property
    def stop_signals(self) -> tuple[tuple[signal.Signals, float], ...]:
        """How to stop it: signals and the seconds each gets, gentle ones first."""
        ...

    @property
    def socket(self) -> Path:
        """Where it listens."""
        ...

    def prepare(self) -> None:
        """Make data folder and database if they are not there; repair what a kill left."""

    def command(self) -> list[str]:
        """The command that runs the server in the foreground."""
        ...

    def ready(self, pid: int) -> bool:
        """Whether this process answers clients now."""
        ...


class Postgres:
    """PostgreSQL with one database, ``nixflex``, open to whoever may enter the socket's folder."""

    # fast shutdown, then immediate (recovers at the next start), then none at all
    stop_signals = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

    def __init__(self, places: Places, *, durable: bool) -> None:
        self.places = places
        self.durable = durable
        self.data = places.home / "postgres"
        self.socket = places.run / POSTGRES_SOCKET
        self.bin = binaries.postgres(places)

    def prepare(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._create()
        major = (self.data / "PG_VERSION").read_text().strip()
        ours = _output([str(self.bin / "postgres"), "--version"], self.places).split()[-1]
        if ours.split(".")[0] != major:
            raise EmbeddedError(
                f"The data in {self.data} was made by PostgreSQL {major}, and {ours} is installed. "
                f"Dump it with the old version, or delete {self.data} to start anew."
            )
        self._outlive_predecessor()

    def _create(self) -> None:
        """Build the cluster beside its final place, so that a kill half-way leaves nothing."""
        unfinished = self.data.with_name("postgres.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        make_private(unfinished, self.places)
        _output(
            [
                str(self.bin / "initdb"),
                f"--pgdata={unfinished}",
                "--username=nixflex",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                # order by code point, as C, but upper and lower case for all of Unicode
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
                "--no-sync",
            ],
            self.places,
        )
        _output(
            [str(self.bin / "postgres"), "--single", "-D", str(unfinished), "postgres"],
            self.places,
            stdin="CREATE DATABASE nixflex;\n",
        )
        unfinished.rename(self.data)

    def _outlive_predecessor(self) -> None:
        """Wait for a server whose guardian was killed; forget a pid that is somebody else's now."""
        lock = self.data / "postmaster.pid"
        deadline = time.monotonic() + 15
        while (pid := _first_number(lock)) and _runs_in(pid, self.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT if time.monotonic() < deadline - 10 else signal.SIGQUIT)
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"An older PostgreSQL (process {pid}) holds {self.data} and does not stop."
                )
            time.sleep(0.05)
        lock.unlink(missing_ok=True)

    def command(self) -> list[str]:
        folder = str(self.places.run).replace('"', '""')
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{folder}"',
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "lc_messages": "C",
            "log_min_messages": "warning",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            # small containers have 64 MB of /dev/shm, too little for parallel queries
            "dynamic_shared_memory_type": "mmap",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        return [str(self.bin / "postgres"), "-D", str(self.data), *options]

    def ready(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        # The last line is the server's own word on its state, as pg_ctl reads it.
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


class Valkey:
    """Valkey (the Redis protocol) on a unix socket."""

    stop_signals = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))

    def __init__(self, places: Places, *, durable: bool) -> None:
        self.places = places
        self.durable = durable
        self.data = places.home / "valkey"
        self.socket = places.run / VALKEY_SOCKET
        self.program = binaries.valkey(places)

    def prepare(self) -> None:
        make_private(self.data, self.places)
        if not self.durable:
            shutil.rmtree(self.data / "appendonlydir", ignore_errors=True)

    def command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "databases": "512",
            "save": "",
            "appendonly": "yes" if self.durable else "no",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            "daemonize": "no",
        }
        return [
            str(self.program),
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ]

    def ready(self, pid: int) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(1)
                link.connect(str(self.socket))
                link.sendall(b"PING\r\n")
                return link.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def make(name: str, places: Places, *, durable: bool) -> Server:
    """Return the server called ``postgres`` or ``valkey``."""
    kinds: dict[str, type[Postgres] | type[Valkey]] = {"postgres": Postgres, "valkey": Valkey}
    return kinds[name](places, durable=durable)


def start(server: Server, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the server as its user. On Linux it stops when the calling thread dies, however."""
    places = server.places
    make_private(places.run, places)
    # No predecessor lives. Its pid may, as a zombie that nobody reaps or as another program.
    for leftover in (server.socket, Path(f"{server.socket}.lock")):
        leftover.unlink(missing_ok=True)
    death_signal, _ = server.stop_signals[0]
    parent = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def die_with_parent() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, death_signal)
            if os.getppid() != parent:
                os._exit(1)

    return subprocess.Popen(
        server.command(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        start_new_session=True,
        preexec_fn=die_with_parent,
        **_as_user(places),
    )


def stop(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Stop the server cleanly if it lets us, by force if not."""
    for number, seconds in server.stop_signals:
        if process.poll() is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


def _as_user(places: Places) -> dict[str, Any]:
    # Nothing of our environment: it may hold keys, and the servers need none of it.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    if places.own_user:
        return {"env": environment}
    return {
        "env": environment,
        "user": places.uid,
        "group": places.gid,
        "extra_groups": [],
    }


def _output(command: list[str], places: Places, stdin: str = "") -> str:
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            timeout=120,
            **_as_user(places),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(f"{command[0]} does not run as user {places.uid}: {error}") from error
    if done.returncode:
        raise EmbeddedError(f"{command[0]} failed:\n{done.stdout.strip()}")
    return str(done.stdout)


def _first_number(path: Path) -> int:
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return 0


def _runs_in(pid: int, data: Path) -> bool:
    """Whether process ``pid`` lives and is a PostgreSQL of this data folder."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == data
        except OSError:
            return False
    found = subprocess.run(
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return str(data) in found.stdout
