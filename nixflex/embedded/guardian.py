"""The process that owns one embedded server: ``python -m nixflex.embedded.guardian NAME FOLDER``.

It starts the server, starts it again should it die, and stops it when nobody holds the users' lock
any more. It keeps no terminal and outlives who started it. If it is killed itself, the server goes
with it (Linux), and the next user starts both again.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import servers
from .places import EmbeddedError, find
from .users import Files, try_lock

POLL_SECONDS = 0.25
# A server that dies this often within its first seconds will not come up by itself.
SHORT_LIFE_SECONDS = 5.0
SHORT_LIVES = 3
START_SECONDS = 60.0


class Told(BaseException):
    """Somebody ended this process by a signal."""


def _on_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise Told


def main(name: str, data_dir: str, durable: bool) -> None:
    """Detach, then guard the server until its last user is gone."""
    places = find(data_dir)
    files = Files(places.data_dir, name)
    if try_lock(files.guardian, fcntl.LOCK_EX) is None:
        return  # another guardian is up
    # The lock passes to the child: who started us sees it held until the child gives up.
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        server = servers.make(name, places, durable=durable)
        server.prepare()
        guard(server, files)
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
    finally:
        files.state.unlink(missing_ok=True)


def guard(server: servers.Server, files: Files) -> None:
    """Keep the server running while anybody uses it."""
    short_lives = 0
    while short_lives < SHORT_LIVES:
        with files.log.open("ab") as log:
            process = servers.start(server, log)
        born = time.monotonic()
        try:
            if _watch(server, process, files, born):
                return
        finally:
            servers.stop(server, process)
            files.state.unlink(missing_ok=True)
        short_lives = short_lives + 1 if time.monotonic() - born < SHORT_LIFE_SECONDS else 1
        time.sleep(POLL_SECONDS)
        server.prepare()


def _watch(
    server: servers.Server,
    process: subprocess.Popen[bytes],
    files: Files,
    born: float,
) -> bool:
    """Return True, holding the users' lock until exit, once nobody is left; False if it died."""
    while not server.ready(process.pid):
        if process.poll() is not None or time.monotonic() - born > START_SECONDS:
            return False
        time.sleep(0.01)
    temporary = files.state.with_suffix(".new")
    temporary.write_text(f"{process.pid}\n")
    temporary.rename(files.state)
    while process.poll() is None:
        if (lock := try_lock(files.users, fcntl.LOCK_EX)) is not None:
            # New users wait at this lock until the server has stopped and this process is gone.
            _held.append(lock)
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)
    return False


_held: list[int] = []

if __name__ == "__main__":
    with contextlib.suppress(Told):
        main(sys.argv[1], str(Path(sys.argv[2])), sys.argv[3] == "durable")
