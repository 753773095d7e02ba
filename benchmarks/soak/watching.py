"""What the media process holds at a moment, read from outside."""

import json
import os
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.soak.files import Files, open_files
from benchmarks.voice.stubs import Stubs
from benchmarks.voice.systems import Engine

METRICS_TOKEN = "only-for-soaks"
SCRAPE_TIMEOUT_S = 10.0
MODEL_IDLE_S = 95.0  # the client keeps a connection for 90 s


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the process and its database, ``s`` seconds after the first call."""

    s: float
    calls_over: int
    live: int  # calls in the process, by its own count
    rss_mib: float
    objects: int  # pieces of memory that Python's objects hold
    heap: int  # bytes of the C library's heap that are in use
    tasks: int
    files: Files
    listening: int  # of its sockets to the providers
    voices: int
    stale: int  # connections to the model that its client should have closed
    threads: int
    connections: int
    occupying: int  # calls that hold a line, by the database
    cpu_s: float


@dataclass(frozen=True)
class Watch:
    """What is looked at: the process, and the stubs at ``providers_port`` that it talks to."""

    engine: Engine
    stubs: Stubs
    providers_port: int


def look(
    watch: Watch, ask: Callable[[str], Any], *, s: float, calls_over: int
) -> tuple[Sample, dict[str, int]]:
    """Return what the process holds and what is on record. Blocks for some 10 ms."""
    engine, stubs = watch.engine, watch.stubs
    process = Path(f"/proc/{engine.pid}")
    counted = _scrape(engine.port)
    record: dict[str, int] = ask(json.dumps({"state": True}))
    files = open_files(engine.pid, port=engine.port, providers_port=watch.providers_port)
    sample = Sample(
        s=s,
        calls_over=calls_over,
        live=int(counted["nixflex_media_live_calls"]),
        rss_mib=engine.rss_mib(),
        objects=int(counted["nixflex_media_objects"]),
        heap=int(counted["nixflex_media_heap_bytes"]),
        tasks=int(counted["nixflex_media_tasks"]),
        files=files,
        listening=stubs.sockets["/v1/listen"],
        voices=stubs.sockets["/v1/speak"],
        stale=_stale(stubs.asked_at, files.provider_ports),
        threads=len(os.listdir(process / "task")),
        connections=record["connections"],
        occupying=record["occupying"],
        cpu_s=engine.cpu_s(),
    )
    return sample, record


def _stale(asked_at: dict[int, float], ports: Iterable[int]) -> int:
    """How many connections had idled for too long when the model was asked last: with each request
    the client closes those.
    """
    last = max(asked_at.values(), default=0.0)
    idle = (last - asked_at[port] for port in ports if port in asked_at)
    return sum(seconds > MODEL_IDLE_S for seconds in idle)


def _scrape(port: int) -> dict[str, float]:
    """The process's own counts, those without labels."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=SCRAPE_TIMEOUT_S) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs if "{" not in name}
