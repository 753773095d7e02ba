"""The embedded servers, started for real in folders of their own."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from conftest import PATIENCE_S
from nixflex import embedded
from nixflex.embedded import binaries, places, users
from nixflex.embedded.remove import remove

PROJECT = Path(__file__).resolve().parent.parent.parent
USER = """
import sys
from nixflex import embedded
embedded.ensure(sys.argv[1])
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "a project with spaces" / ".nixflex"
    yield folder
    wait_until(lambda: not any(users.in_use(folder, name) for name in users.SERVERS))
    remove(folder)


@contextlib.contextmanager
def user(folder):
    """A process that uses the servers until its stdin closes."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(PATIENCE_S)
        process.stdout.close()


def is_up(process):
    assert select.select([process.stdout], [], [], PATIENCE_S)[0], "no word"
    return process.stdout.readline() == "up\n"


def wait_until(condition, seconds=PATIENCE_S):
    """Other processes' doings have no event to wait on."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def query(folder, sql):
    with psycopg.connect(embedded.database_url(folder), autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


def processes(folder):
    """Every process of this folder: guardians and servers."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            cwd = os.readlink(entry / "cwd")
            home = str(places.find(folder).home)
            if (str(folder) in command and "guardian" in command) or (
                home in command or cwd.startswith(home)
            ):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def test_both_servers_run_without_ports_in_utc_with_unicode_case(data_dir):
    with user(data_dir) as process:
        assert is_up(process)

        assert query(data_dir, "SHOW listen_addresses") == ""
        assert query(data_dir, "SHOW timezone") == "UTC"
        assert query(data_dir, "SHOW server_encoding") == "UTF8"
        assert query(data_dir, "SELECT upper('é')") == "É"
        valkey = redis.from_url(embedded.redis_url(data_dir, db=3))
        assert valkey.config_get("port") == {"port": "0"}


def test_what_was_stored_is_there_after_a_restart(data_dir):
    with user(data_dir) as process:
        assert is_up(process)
        query(data_dir, "CREATE TABLE kept AS SELECT 42 AS answer")
        redis.from_url(embedded.redis_url(data_dir)).set("kept", "yes")
    wait_until(lambda: not users.in_use(data_dir, "postgres"))

    with user(data_dir) as process:
        assert is_up(process)

        assert query(data_dir, "SELECT answer FROM kept") == 42
        assert redis.from_url(embedded.redis_url(data_dir)).get("kept") == b"yes"


def test_two_starters_at_once_share_one_server_that_outlives_the_first(data_dir):
    with user(data_dir) as second:
        with user(data_dir) as first:
            assert is_up(first)
            assert is_up(second)
            started = query(data_dir, "SELECT pg_postmaster_start_time()")

        assert query(data_dir, "SELECT pg_postmaster_start_time()") == started


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_servers_stop_when_their_last_user_was_killed(data_dir):
    with user(data_dir) as process:
        assert is_up(process)
        assert len(processes(data_dir)) >= 4

        process.kill()

        wait_until(lambda: not processes(data_dir))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_servers_come_up_again_after_everything_was_killed(data_dir):
    with user(data_dir) as process:
        assert is_up(process)
        query(data_dir, "CREATE TABLE kept AS SELECT 42 AS answer")
        for pid in processes(data_dir):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()

    with user(data_dir) as process:
        assert is_up(process)

        assert query(data_dir, "SELECT answer FROM kept") == 42


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_guardian_takes_its_server_along_and_the_next_user_starts_both(data_dir):
    with user(data_dir) as process:
        assert is_up(process)
        started = query(data_dir, "SELECT pg_postmaster_start_time()")
        for pid in processes(data_dir):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b"guardian" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)

        with user(data_dir) as another:
            assert is_up(another)

            assert query(data_dir, "SELECT pg_postmaster_start_time()") > started


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_server_that_dies_by_itself_is_started_again(data_dir):
    with user(data_dir) as process:
        assert is_up(process)
        valkey = redis.from_url(embedded.redis_url(data_dir))
        first = valkey.info()["process_id"]

        os.kill(first, signal.SIGKILL)

        def another_answers():
            with contextlib.suppress(redis.ConnectionError):
                return valkey.info()["process_id"] != first
            return False

        wait_until(another_answers)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends the servers to another user")
def test_as_root_under_a_closed_home_the_data_lies_elsewhere_and_nothing_is_opened(tmp_path):
    home = tmp_path / "closed"
    home.mkdir(mode=0o700)
    data_dir = home / ".nixflex"

    with user(data_dir) as process:
        assert is_up(process)
        elsewhere = places.find(data_dir).home
        assert str(elsewhere).startswith("/var/tmp/nixflex-")
        assert (data_dir / places.ELSEWHERE_MARKER).read_text() == f"{elsewhere}\n"
        assert elsewhere.stat().st_mode & 0o777 == 0o700
        assert elsewhere.stat().st_uid != 0
        assert query(data_dir, "SELECT 1") == 1
    wait_until(lambda: not any(users.in_use(data_dir, name) for name in users.SERVERS))
    assert home.stat().st_mode & 0o777 == 0o700

    remove(data_dir)
    assert not elsewhere.exists()


def test_a_folder_too_deep_for_a_socket_gets_a_short_private_one(tmp_path):
    deep = tmp_path / ("d" * 100) / ".nixflex"

    with user(deep) as process:
        assert is_up(process)
        run = places.find(deep).run
        assert len(str(run / places.POSTGRES_SOCKET)) < 104
        assert run.stat().st_mode & 0o777 == 0o700
        assert query(deep, "SELECT 1") == 1
    wait_until(lambda: not any(users.in_use(deep, name) for name in users.SERVERS))

    remove(deep)
    assert not run.exists()


def test_a_copied_marker_of_another_project_is_ignored(tmp_path):
    (tmp_path / places.ELSEWHERE_MARKER).write_text("/var/tmp/nixflex-ffffffffffff\n")

    assert str(places.find(tmp_path).home) != "/var/tmp/nixflex-ffffffffffff"


def test_addresses_start_nothing_and_make_nothing(tmp_path):
    folder = tmp_path / "none"

    assert embedded.database_url(folder).startswith("postgres://nixflex@/nixflex?host=%2F")
    assert embedded.redis_url(folder, db=2).endswith("valkey.sock?db=2")
    assert embedded.celery_broker_url(folder).startswith("redis+socket:///")
    assert not folder.exists()


def test_a_foreign_socket_folder_is_refused_in_words(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make a foreign folder")
    where = places.Places(tmp_path, tmp_path, tmp_path / "run", uid=12345, gid=12345)
    where.run.mkdir()

    os.chown(where.run, 54321, 54321)

    with pytest.raises(embedded.EmbeddedError, match="belongs to another user"):
        places.make_private(where.run, where)


def test_slots_differ_between_takers(tmp_path):
    assert [embedded.take_slot(tmp_path), embedded.take_slot(tmp_path)] == [0, 1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends the servers to another user")
def test_programs_out_of_the_servers_users_reach_are_copied_with_their_libraries(
    tmp_path, monkeypatch
):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    where = places.find(closed / ".nixflex")
    monkeypatch.setattr(binaries, "reachable", lambda *_: False)

    try:
        for program in (binaries.postgres(where) / "initdb", binaries.valkey(where)):
            assert program.is_relative_to(where.home)
            version = subprocess.check_output([program, "--version"], user=where.uid, cwd="/")
            assert version
    finally:
        remove(where.data_dir)
