"""The files that a process has open, by what they are for and where they lead."""

import os
import re
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# linux/netlink.h, linux/sock_diag.h, linux/unix_diag.h
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, DUMP, DONE, ERROR = 4, 20, 0x301, 3, 2
HEADER, ASK, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBHIIIII"), struct.Struct("=HH")
EVERY_STATE, SHOW_NAME_AND_PEER, NAME, PEER = 0xFFFFFFFF, 1 | 4, 0, 2


@dataclass(frozen=True, slots=True)
class Files:
    """``callers`` and ``providers`` are their sockets, ``provider_ports`` our side of the latter.
    ``servers`` are connections to others, by name (``valkey.sock``, ``port 5432``), and ``others``
    what is left, by kind: the event loop's own, logs, files of libraries.
    """

    callers: int
    recordings: int
    provider_ports: tuple[int, ...]
    servers: dict[str, int]
    others: dict[str, int]

    @property
    def providers(self) -> int:
        return len(self.provider_ports)

    @property
    def all(self) -> int:
        named = sum(self.servers.values()) + sum(self.others.values())
        return self.callers + self.recordings + self.providers + named


def open_files(pid: int, *, port: int, providers_port: int) -> Files:
    """Look at a process that listens on ``port``."""
    ports = {inode: (near, far) for inode, near, far in _sockets(pid)}
    servers = _unix_servers()
    callers = recordings = 0
    providers: list[int] = []
    known: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for name in _targets(Path(f"/proc/{pid}/fd")):
        near, far = ports.get(name, (0, 0))
        if near == port and far:
            callers += 1
        elif far == providers_port:
            providers.append(near)
        elif far:
            known[f"port {far}"] += 1
        elif name in servers:
            known[servers[name]] += 1
        elif name.endswith(".wav"):
            recordings += 1
        else:
            others[re.sub(r":\[\d+\]$", "", name)] += 1
    return Files(callers, recordings, tuple(providers), dict(known), dict(others))


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


def _unix_servers() -> dict[str, str]:
    """The Unix sockets of the machine that lead to a server, by their name among a process's files:
    the last part of the server's address.
    """
    names: dict[int, str] = {}
    peers: dict[int, int] = {}
    for inode, attribute, value in _unix_sockets():
        if attribute == NAME:
            names[inode] = value.strip(b"\0").decode(errors="replace").rpartition("/")[2]
        elif attribute == PEER:
            peers[inode] = int.from_bytes(value, "little")
    return {f"socket:[{near}]": names[far] for near, far in peers.items() if far in names}


def _unix_sockets() -> Iterator[tuple[int, int, bytes]]:
    """Inode, attribute and its value, as the kernel lists them."""
    ask = ASK.pack(socket.AF_UNIX, 0, 0, EVERY_STATE, 0, SHOW_NAME_AND_PEER, 0, 0)
    head = HEADER.pack(HEADER.size + len(ask), SOCK_DIAG_BY_FAMILY, DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(head + ask)
        while True:
            answer, at = kernel.recv(1 << 20), 0
            while at < len(answer):
                size, kind, *_ = HEADER.unpack_from(answer, at)
                if kind in (DONE, ERROR):
                    return
                [inode] = struct.unpack_from("=I", answer, at + HEADER.size + 4)
                piece = at + HEADER.size + 16
                while piece < at + size:
                    length, attribute = ATTRIBUTE.unpack_from(answer, piece)
                    yield inode, attribute, answer[piece + ATTRIBUTE.size : piece + length]
                    piece += (length + 3) & ~3
                at += (size + 3) & ~3
