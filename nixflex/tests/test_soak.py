"""What ``python -m benchmarks.soak`` calls a leak."""

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import report
from benchmarks.soak.files import Files, open_files
from benchmarks.soak.watching import Sample, _stale

MIB = 2**20
SERVERS = {".s.PGSQL.5432": 4, "valkey.sock": 9}
OTHERS = {"pipe": 4, "anon_inode:[eventpoll]": 1}


def look(minute: float, calls_over: int, *, live: int = 0, **fields: Any) -> Sample:
    """A process that keeps what it may, and nothing else."""
    usual: dict[str, Any] = {
        "s": minute * 60,
        "calls_over": calls_over,
        "live": live,
        "rss_mib": 210.0,
        "objects": 1_100_000 + 1_700 * live,
        "heap": 53 * MIB,
        "tasks": 17 + 15 * live,
        "files": Files(live, live, (1,) * (5 + 2 * live), SERVERS, OTHERS),
        "listening": live,
        "voices": report.VOICES_AHEAD,
        "stale": 0,
        "threads": 14,
        "connections": 4,
        "occupying": live,
        "cpu_s": minute,
    }
    return Sample(**(usual | fields))


def soak(*, last: dict[str, Any] | None = None, later: list[float] | None = None) -> report.Soak:
    """A thousand calls; ``last`` is what is otherwise at the end, ``later`` the memory in MiB while
    the later half talked.
    """
    warm, middle = look(0.3, 0), look(8, 500)
    first = [look(minute, 60 * minute, live=20) for minute in range(1, 8)]
    second = [
        look(minute, 60 * minute, live=20, rss_mib=mib)
        for minute, mib in enumerate(later or [210.0] * 7, 9)
    ]
    return report.Soak(
        at_once=20, turns=3, calls=1000, answers=3000, added_p50=6, added_p95=24, lost=0, gaps=0,
        load=1.0, samples=[look(0, 0), warm, *first, middle, *second, look(16, 1000, **last or {})],
        warm=warm, middle=middle, written={"opened": 1000, "closed": 1000},
    )  # fmt: skip


def test_a_process_that_keeps_what_it_may_leaks_nothing():
    assert report.leaks(soak()) == []
    assert report.verdict(soak())[-1] == "Nothing leaked."


@pytest.mark.parametrize(
    ("last", "found"),
    [
        # thirty objects of each call in a list
        ({"objects": 1_100_000 + 30 * 500}, "30.0 objects are left of each call"),
        # 5 KiB of each call in a list; the process itself need not have grown
        (
            {"heap": 53 * MIB + 5 * 1024 * 500, "objects": 1_100_000 + 500},
            "5120 bytes of the heap are left of each call",
        ),
        ({"tasks": 18}, "1 tasks were left"),
        ({"stale": 5}, "5 connections to the model were left open"),
    ],
)
def test_what_stays_of_each_call_is_a_leak(last: dict[str, Any], found: str):
    assert report.leaks(soak(last=last)) == [found]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"servers": {**SERVERS, "valkey.sock": 10}}, []),  # two threads at the same time, at last
        (
            {"servers": {**SERVERS, "valkey.sock": 14}},  # one of each hundred calls
            ["4 connections to valkey.sock were left open"],
        ),
        ({"servers": {**SERVERS, "port 25": 3}}, ["2 connections to port 25 were left open"]),
        ({"others": {**OTHERS, "pipe": 6}}, ["2 of pipe were left open"]),
        ({"others": {**OTHERS, "/tmp/a.log": 1}}, ["1 of /tmp/a.log were left open"]),
        ({"recordings": 1}, ["1 recordings were left open"]),
    ],
)
def test_a_file_that_stays_open_is_named(files: dict[str, Any], found: list[str]):
    quiet = look(16, 1000).files

    assert report.leaks(soak(last={"files": replace(quiet, **files)})) == found


def test_memory_that_goes_on_growing_is_a_leak_and_a_plateau_is_none():
    grows = [210.0 + 0.5 * minute for minute in range(7)]
    plateau = [210.0, 211.5, *[211.7] * 5]

    assert report.leaks(soak(later=grows)) == [
        "memory went on growing, by 3.0 MiB in the later half"
    ]
    assert report.leaks(soak(later=plateau)) == []


def test_a_connection_is_stale_that_had_idled_too_long_when_the_model_was_asked_last():
    asked_at = {1: 10.0, 2: 20.0, 3: 110.0, 4: 1.0}

    assert _stale(asked_at, ports=(1, 2, 3, 99)) == 1


def test_the_open_files_of_a_process_have_names(tmp_path: Path):
    before = open_files(os.getpid(), port=1, providers_port=1)
    with (
        socket.socket(socket.AF_UNIX) as server,
        socket.socket(socket.AF_UNIX) as client,
        socket.create_server(("127.0.0.1", 0)) as door,
        socket.create_connection(door.getsockname()) as caller,
        (tmp_path / "call.wav").open("wb"),
    ):
        server.bind(str(tmp_path / "news.sock"))
        server.listen()
        client.connect(str(tmp_path / "news.sock"))
        accepted, _ = server.accept()
        port, near = door.getsockname()[1], caller.getsockname()[1]

        with accepted:
            after = open_files(os.getpid(), port=1, providers_port=port)

    assert after.servers == before.servers | {"news.sock": 1}
    assert after.provider_ports == (near,)
    assert after.recordings == before.recordings + 1
    # both ends of the server's side, and the door itself
    assert after.others["socket"] == before.others.get("socket", 0) + 3
