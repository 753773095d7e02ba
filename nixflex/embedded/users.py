"""Using the embedded servers: every process that needs them holds a shared lock while it lives."""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import places
from .places import EmbeddedError

START_SECONDS = 60.0
PROJECT = Path(__file__).resolve().parent.parent.parent

SERVERS = ("postgres", "valkey")
SLOTS = 512

# What this process holds until it exits: file descriptors by (folder, server).
_using: dict[tuple[Path, str], int] = {}
_slots: list[int] = []


@dataclass(frozen=True)
class Files:
    """The files by which guardian and users of one server understand each other."""

    data_dir: Path
    name: str

    @property
    def users(self) -> Path:
        """Locked shared by each user, exclusively by the guardian once nobody is left."""
        return self.data_dir / f"{self.name}.users.lock"

    @property
    def guardian(self) -> Path:
        """Locked exclusively by the living guardian."""
        return self.data_dir / f"{self.name}.guardian.lock"

    @property
    def starting(self) -> Path:
        """Locked exclusively while one user looks whether the server is up and starts it."""
        return self.data_dir / f"{self.name}.start.lock"

    @property
    def state(self) -> Path:
        """Exists while the living guardian's server is ready."""
        return self.data_dir / f"{self.name}.ready"

    @property
    def log(self) -> Path:
        """What server and guardian said."""
        return self.data_dir / f"{self.name}.log"

    def all(self) -> tuple[Path, ...]:
        """Every one of them."""
        return (self.users, self.guardian, self.starting, self.state, self.log)


def ensure(
    data_dir: Path | str, *, postgres: bool = True, valkey: bool = True, durable: bool = True
) -> None:
    """Have the servers up, and keep them up until this process exits.

    Returns when they answer: a few milliseconds if they run already, about a second the very first
    time. Without ``durable`` (tests) nothing waits for the disk and the broker forgets at a stop.
    Raises EmbeddedError, in words for the user, if they cannot run here.
    """
    wanted = [name for name, asked in zip(SERVERS, (postgres, valkey), strict=True) if asked]
    if not wanted:
        return
    where = places.find(data_dir)
    try:
        _prepare(where)
        for name in wanted:
            _hold(where.data_dir, name)
        with contextlib.ExitStack() as stack:
            # Both start side by side; locks are taken in one order, so starters cannot deadlock.
            started = []
            for name in wanted:
                files = Files(where.data_dir, name)
                stack.enter_context(_locked(files.starting))
                if not _up(files):
                    files.state.unlink(missing_ok=True)
                    _spawn(files, durable=durable)
                    started.append(files)
            for files in started:
                _wait(files)
    except PermissionError as error:
        raise EmbeddedError(
            f"{error.filename} belongs to another user: run as that user, or set "
            "NIXFLEX_DATA_DIR to a folder of your own."
        ) from error


def release(data_dir: Path | str) -> None:
    """Stop using the servers now; wait for those that nobody else uses until they have stopped."""
    data = places.find(data_dir).data_dir
    left = []
    for key in [key for key in _using if key[0] == data]:
        os.close(_using.pop(key))
        left.append(Files(*key))
    deadline = time.monotonic() + 30
    for files in left:
        while time.monotonic() < deadline and _guarded(files) and not _used(files):
            time.sleep(0.02)


def take_slot(data_dir: Path | str) -> int:
    """Return the lowest number from 0 to 511 that no living process took; ours until we exit.

    Valkey has as many databases, so processes beside each other (test runs) get one each.
    """
    data = places.find(data_dir).data_dir
    data.mkdir(parents=True, exist_ok=True)
    for slot in range(SLOTS):
        if (lock := try_lock(data / f"slot-{slot}.lock", fcntl.LOCK_EX)) is not None:
            _slots.append(lock)
            return slot
    raise EmbeddedError(f"All {SLOTS} slots in {data} are taken by running processes.")


def try_lock(path: Path, kind: int) -> int | None:
    """Lock the file without waiting; return the descriptor that holds the lock, or None."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _prepare(where: places.Places) -> None:
    if not where.data_dir.exists():
        where.data_dir.mkdir(parents=True, exist_ok=True)
        # The servers' user passes through; what is private lies in folders of its own.
        where.data_dir.chmod(0o755)
    if where.home != where.data_dir:
        marker = where.data_dir / places.ELSEWHERE_MARKER
        if not marker.exists():
            marker.write_text(f"{where.home}\n")


def _hold(data_dir: Path, name: str) -> None:
    if (data_dir, name) in _using:
        return
    descriptor = _open(Files(data_dir, name).users)
    # Waits only while a guardian that saw nobody is stopping its server.
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    _using[(data_dir, name)] = descriptor


def _up(files: Files) -> bool:
    """Whether a guardian lives and its server was ready; waits for one that is just starting."""
    deadline = time.monotonic() + START_SECONDS
    while _guarded(files):
        if files.state.exists():
            return True
        if time.monotonic() > deadline:
            raise EmbeddedError(f"The embedded {files.name} does not get ready; see {files.log}.")
        time.sleep(0.01)
    return False


def _spawn(files: Files, *, durable: bool) -> None:
    if files.log.exists() and files.log.stat().st_size > 5_000_000:
        files.log.rename(files.log.with_suffix(".log.old"))
    with files.log.open("ab") as log:
        subprocess.run(
            [
                *(sys.executable, "-m", "nixflex.embedded.guardian"),
                *(files.name, str(files.data_dir), "durable" if durable else "fast"),
            ],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=True,
        )


def _wait(files: Files) -> None:
    """Wait for a guardian that was just spawned."""
    begun = time.monotonic()
    while not files.state.exists():
        gave_up = not _guarded(files) and not files.state.exists()
        if gave_up or time.monotonic() - begun > START_SECONDS:
            raise EmbeddedError(
                f"The embedded {files.name} did not start. The end of {files.log}:\n{_tail(files)}"
            )
        time.sleep(0.01)


def _guarded(files: Files) -> bool:
    lock = try_lock(files.guardian, fcntl.LOCK_SH)
    if lock is None:
        return True
    os.close(lock)
    return False


def in_use(data_dir: Path, name: str) -> bool:
    """Whether this server runs or is about to."""
    return data_dir.exists() and _guarded(Files(data_dir, name))


def _used(files: Files) -> bool:
    lock = try_lock(files.users, fcntl.LOCK_SH)
    if lock is None:
        return False  # the guardian holds it: stopping
    os.close(lock)
    lock = try_lock(files.users, fcntl.LOCK_EX)
    if lock is None:
        return True
    os.close(lock)
    return False


def _tail(files: Files) -> str:
    try:
        return "\n".join(files.log.read_text(errors="replace").splitlines()[-15:])
    except OSError:
        return ""


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    # Read-only is enough for a lock, so root's file does not shut out the project's owner.
    return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
