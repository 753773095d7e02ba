"""Where the embedded servers' files lie and as whom the servers run.

Everything here is computed from the data folder alone, so that a process can know the addresses
without starting anything.
"""

import contextlib
import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

# A unix socket's path has 104 bytes on macOS and 108 on Linux, the closing NUL among them.
SOCKET_PATH_LIMIT = 103
POSTGRES_SOCKET = ".s.PGSQL.5432"
VALKEY_SOCKET = "valkey.sock"
# Written where the data lies elsewhere, so that a later change of permissions does not lose it.
ELSEWHERE_MARKER = "data-is-in"


class EmbeddedError(Exception):
    """The embedded servers cannot run here; the message says why and what to do."""


@dataclass(frozen=True)
class Places:
    """The folders of one pair of embedded servers.

    ``data_dir`` holds locks, logs and states and belongs to whoever runs the product; ``home``
    holds the servers' data (the same folder unless their user cannot reach it) and ``run`` their
    sockets. The servers run as ``uid``/``gid``.
    """

    data_dir: Path
    home: Path
    run: Path
    uid: int
    gid: int

    @property
    def own_user(self) -> bool:
        """Whether the servers run as the user of this process."""
        return self.uid == os.geteuid()


def find(data_dir: Path | str) -> Places:
    """Return where the servers of this data folder live. Makes nothing."""
    data = Path(os.path.realpath(data_dir))
    uid, gid = _server_user(data)
    short = Path(f"/var/tmp/nixflex-{hashlib.sha256(os.fsencode(data)).hexdigest()[:12]}")  # noqa: S108
    home = short if _lies_elsewhere(data, short, uid, gid) else data
    run = home / "run"
    if len(os.fsencode(run / POSTGRES_SOCKET)) > SOCKET_PATH_LIMIT:
        run = short / "run"
    return Places(data, home, run, uid, gid)


def database_url(data_dir: Path | str) -> str:
    """The address of the embedded database ``nixflex``, for libpq or django-environ."""
    return f"postgres://nixflex@/nixflex?host={quote(str(find(data_dir).run), safe='')}"


def redis_url(data_dir: Path | str, db: int = 0) -> str:
    """The address of the embedded Valkey as redis-py, channels-redis and Django's cache read it."""
    return f"unix://{quote(str(find(data_dir).run / VALKEY_SOCKET))}?db={db}"


def celery_broker_url(data_dir: Path | str, db: int = 0) -> str:
    """The address of the embedded Valkey as Celery reads it."""
    return f"redis+socket://{quote(str(find(data_dir).run / VALKEY_SOCKET))}?virtual_host={db}"


def reachable(path: Path, uid: int, gid: int) -> bool:
    """Whether this user may enter every existing folder from the root down to ``path``."""
    for folder in (path, *path.parents):
        try:
            info = folder.stat()
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(info.st_mode):
            continue
        if info.st_uid == uid:
            allowed = stat.S_IXUSR
        elif info.st_gid == gid:
            allowed = stat.S_IXGRP
        else:
            allowed = stat.S_IXOTH
        if not info.st_mode & allowed:
            return False
    return True


def make_private(folder: Path, places: Places) -> None:
    """Make ``folder`` with access for the servers' user only; refuse one that is another's."""
    if folder.parent != places.data_dir and folder.parent.parent == Path("/var/tmp"):  # noqa: S108
        _make_private_folder(folder.parent, places)
    _make_private_folder(folder, places)


def _make_private_folder(folder: Path, places: Places) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    info = folder.lstat()
    if not stat.S_ISLNK(info.st_mode) and info.st_uid == os.geteuid() != places.uid:
        # Made just now, by us or by the other server's guardian beside us.
        os.chown(folder, places.uid, places.gid)
        info = folder.lstat()
    if stat.S_ISLNK(info.st_mode) or info.st_uid != places.uid:
        raise EmbeddedError(
            f"{folder} belongs to another user (uid {info.st_uid}, not {places.uid}): run as that "
            "user, or set NIXFLEX_DATA_DIR to another folder."
        )
    folder.chmod(0o700)


def _server_user(data: Path) -> tuple[int, int]:
    """PostgreSQL refuses to run as root, so root lends the servers to an unprivileged user.

    That is whoever owns data that is already there, else ``nobody``, else the first user that is
    not root.
    """
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for name in ("postgres", "valkey"):
        try:
            owner = (data / name).stat()
        except OSError:
            continue
        if owner.st_uid != 0:
            return owner.st_uid, owner.st_gid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        others = [user for user in pwd.getpwall() if user.pw_uid > 0]
        if not others:
            raise EmbeddedError(
                "PostgreSQL does not run as root and this machine has no other user: run as an "
                "ordinary user, or set DATABASE_URL and REDIS_URL to servers of your own."
            ) from None
        nobody = others[0]
    return nobody.pw_uid, nobody.pw_gid


def _lies_elsewhere(data: Path, short: Path, uid: int, gid: int) -> bool:
    if os.geteuid() != 0:
        return False
    try:
        # A copied project brings its marker along: only one that names our own folder counts.
        if (data / ELSEWHERE_MARKER).read_text().strip() == str(short):
            return True
    except OSError:
        pass
    if (data / "postgres").exists() or (data / "valkey").exists():
        return False
    return not reachable(data, uid, gid)
