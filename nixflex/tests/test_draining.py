"""A rolling deploy: media processes on one address, told to stop while people talk."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import redis

from agents.tests.outside import PROJECT
from calls import presence
from nixflex.embedded.places import redis_url
from nixflex.tests.test_lost_process import (
    SOMEBODY,
    Journal,
    Records,
    place,
    prepare,
    wait_for_media_processes,
)
from nixflex.tests.test_whole_house import WITHIN_S, House, running_house

SOMEBODY_ELSE = "+447386172393"
# As ``Procfile`` starts it, on a listening socket that several processes share.
SERVER = """
import socket, sys, uvicorn
listening = socket.socket(fileno=int(sys.argv[1]))
uvicorn.Server(uvicorn.Config(
    "nixflex.asgi:application", lifespan="on", loop="uvloop", http="httptools",
    ws="media.server_socket:AudioProtocol", ws_per_message_deflate=False, access_log=False,
    timeout_graceful_shutdown=5,
)).run(sockets=[listening])
"""

pytestmark = pytest.mark.timeout(900)


@contextlib.contextmanager
def address() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening


@contextlib.contextmanager
def media_process(
    house: House, listening: socket.socket, *, patience_s: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """A media server that waits so long for its calls to end when it is told to stop."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(listening.fileno())],
        cwd=PROJECT,
        env=house.environment | {"NIXFLEX_ROLE": "media", "MEDIA_DRAIN_SECONDS": str(patience_s)},
        pass_fds=[listening.fileno()],
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until_draining(house: House, pid: int) -> None:
    valkey = redis.Redis.from_url(redis_url(house.environment["NIXFLEX_DATA_DIR"]))
    name = f"{socket.gethostname()}:{pid}"
    deadline = time.monotonic() + WITHIN_S
    while not json.loads(valkey.hget(presence.KEY, name) or b"{}").get("draining"):
        assert time.monotonic() < deadline, "it does not say that it is stopping"
        time.sleep(0.05)


def test_calls_end_or_move_when_their_process_is_told_to_stop(tmp_path_factory):
    data = tmp_path_factory.mktemp("house") / "data"
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(address())
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}/media/twilio/"
        house = stack.enter_context(running_house(data, MEDIA_URL=url))
        old = stack.enter_context(media_process(house, listening, patience_s=120))
        client, agent_id = prepare(house, SOMEBODY, SOMEBODY_ELSE)
        records, journal = Records(house), Journal(house)
        wait_for_media_processes(house, 2)  # the house's own, where no socket leads
        first = place(client, agent_id)
        assert records.pid_of(first, 1) == old.pid
        first_sid = journal.wait_for("stream_started")["call_sid"]
        new = [stack.enter_context(media_process(house, listening, patience_s=3)) for _ in range(2)]
        wait_for_media_processes(house, 4)

        old.send_signal(signal.SIGTERM)
        wait_until_draining(house, old.pid)

        # No new calls …
        second = place(client, agent_id, SOMEBODY_ELSE)
        taker = records.pid_of(second, 1)
        assert taker in {process.pid for process in new}
        # … and the live one goes on to its own end, which is the process's as well.
        records.wait_for_caller(first)
        assert old.poll() is None
        house.ask_sandbox("DELETE", f"calls/{first_sid}")
        assert records.ended(first)["ended_reason"] == "callee_hangup"
        assert old.wait(timeout=WITHIN_S) == -signal.SIGTERM
        assert records.sockets_of(first) == 1

        # Whoever still talks when patience is over is moved, and is answered there.
        records.wait_for_caller(second)
        told_to_stop = time.monotonic()
        os.kill(taker, signal.SIGTERM)
        [stopping] = [process for process in new if process.pid == taker]
        [last] = [process for process in new if process.pid != taker]
        assert records.pid_of(second, 2) == last.pid
        assert time.monotonic() - told_to_stop >= 3.0
        said = records.turns_of_agent(second)
        deadline = time.monotonic() + WITHIN_S
        while records.turns_of_agent(second) == said:  # the apology, or an answer to who was faster
            assert time.monotonic() < deadline, "the agent says nothing any more"
            time.sleep(0.1)
        assert stopping.wait(timeout=WITHIN_S) == -signal.SIGTERM
        assert records.events_of(second).count("moved") == 1
        assert records.sockets_of(second) == 2
