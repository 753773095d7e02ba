"""Our own parts: database, Valkey, processes, clock, disk."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from calls import presence
from nixflex import health
from nixflex.celery import app
from nixflex.doctor.finding import Finding

TIMEOUT_S = 3.0
# Beat's hurried tasks expire after 3 s, and leases are compared with the database's clock.
MOST_SKEW_S = 2.0
LEAST_FREE_GIB = 1.0
SET_CLOCK = "Let every machine take the time from NTP (timedatectl set-ntp true)."
PROCESSES = "Processes: docs/operations.md, or `make run` on one machine."


def database() -> Finding:
    """The database answers, its clock is ours, and every migration is applied."""
    try:
        with connection.cursor() as cursor:
            before = time.time()
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            theirs = float(cursor.fetchone()[0])
            skew = skew_s(theirs, before, time.time())
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Exception as error:  # its message may hold an address or a password
        at = connection.settings_dict
        return Finding(
            "Database",
            problem=f"{_where(at['HOST'], at['PORT'])} cannot be asked ({type(error).__name__})",
            remedy="Start PostgreSQL, or look at host, user and password in DATABASE_URL.",
        )
    if missing:
        first, _ = missing[0]
        return Finding(
            "Database",
            problem=f"{len(missing)} migrations are not applied, {first} is the first",
            remedy="Run: manage.py migrate",
        )
    if skew > MOST_SKEW_S:
        return Finding("Database", problem=f"its clock is {skew:.1f} s from ours", remedy=SET_CLOCK)
    return Finding("Database", "answers; every migration is applied")


def skew_s(theirs: float, before: float, after: float) -> float:
    """Return by how many seconds a clock that was read between ``before`` and ``after`` of ours is
    surely wrong."""
    return max(0.0, before - theirs, theirs - after)


def _where(host: str, port: object) -> str:
    """Say where a service is: a host and its port, or the folder of its socket."""
    return host if host.startswith("/") or not port else f"{host}:{port}"


def valkey() -> Finding:
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        ) as client:
            client.ping()
    except redis.RedisError as error:
        at = urlsplit(settings.REDIS_URL)
        where = _where(at.hostname or at.path, at.port)
        return Finding(
            "Valkey",
            problem=f"{where} cannot be asked ({type(error).__name__})",
            remedy="Start Valkey or Redis, or look at host and password in REDIS_URL.",
        )
    return Finding("Valkey", "answers")


def processes() -> Iterator[Finding]:
    """Workers answer, beat beats, and a media process says that it has room. Needs Valkey."""
    workers = app.control.ping(timeout=TIMEOUT_S / 2)
    if not workers:
        yield Finding(
            "Workers",
            problem="none answers: nothing is dialled, sent or analysed",
            remedy=f"Start `worker` and `beat`. {PROCESSES}",
        )
    else:
        yield Finding("Workers", f"{len(workers)} running")
        if (word := health.word_on(health.beat)) == "ok":
            yield Finding("Beat", "the last beat came through")
        else:
            yield Finding("Beat", problem=word, remedy=f"Start `beat`, exactly one. {PROCESSES}")
    media = presence.alive()
    if any(one["room"] for one in media.values()):
        yield Finding("Media", f"{len(media)} running, with room for calls")
    elif media:
        yield Finding(
            "Media",
            problem=f"{len(media)} running, none takes a call: full, late or stopping",
            remedy="Wait, add `media` processes, or raise MEDIA_MAX_CALLS.",
        )
    else:
        yield Finding(
            "Media",
            problem="no process says that it lives: callers would hear nothing",
            remedy=f"Start `media`. {PROCESSES}",
        )


def disk() -> Finding:
    """Recordings can be written, and there is room for some."""
    folder: Path = settings.RECORDINGS_DIR
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
            file.flush()
        free_gib = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return Finding(
            "Recordings",
            problem=f"{folder} cannot be written to: {error.strerror}",
            remedy="Give this user the folder, or name another in RECORDINGS_DIR.",
        )
    if free_gib < LEAST_FREE_GIB:
        return Finding(
            "Recordings",
            problem=f"{free_gib:.1f} GiB are free in {folder}",
            remedy="Make room (a recorded hour takes 115 MB), or lower RETENTION_DAYS.",
        )
    return Finding("Recordings", f"{folder}, {free_gib:.0f} GiB free")
