"""The files that a process has open, by what they are for."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Files:
    """``callers`` and ``providers`` are their sockets; ``others`` the database, Valkey, the event
    loop, logs and libraries.
    """

    callers: int
    recordings: int
    providers: int
    others: int

    @property
    def all(self) -> int:
        return self.callers + self.recordings + self.providers + self.others


def open_files(pid: int, *, port: int, providers_port: int) -> Files:
    """Look at a process that listens on ``port``."""
    ports = {inode: (near, far) for inode, near, far in _sockets(pid)}
    callers = recordings = providers = others = 0
    for name in _targets(Path(f"/proc/{pid}/fd")):
        near, far = ports.get(name, (0, 0))
        if near == port and far:
            callers += 1
        elif far == providers_port:
            providers += 1
        elif name.endswith(".wav"):
            recordings += 1
        else:
            others += 1
    return Files(callers, recordings, providers, others)


def _targets(folder: Path) -> Iterator[str]:
    for link in list(folder.iterdir()):
        try:
            yield os.readlink(link)
        except FileNotFoundError:  # closed meanwhile
            continue


def _sockets(pid: int) -> Iterator[tuple[str, int, int]]:
    """Each TCP socket of the machine: its name among a process's files, and both its ports."""
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            near, far = (int(fields[at].rpartition(":")[2], 16) for at in (1, 2))
            yield f"socket:[{fields[9]}]", near, far
