"""The sandbox as a process: it says what it is, and never outlives whoever started it."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from twilio.rest import Client

from conftest import PATIENCE_S, reserved_ports
from sandbox.carrier.state import ACCOUNT_SID, AUTH_TOKEN

SANDBOX = [sys.executable, "-m", "sandbox", "--only", "carrier", "--port"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_calls_itself_a_simulation_and_stops_when_told(number: signal.Signals):
    with (
        reserved_ports() as port,
        Popen([*SANDBOX, str(port)], stderr=PIPE, text=True) as process,
    ):
        assert process.stderr
        greeting = process.stderr.readline()
        process.send_signal(number)
        code = process.wait()

    assert greeting.startswith("SIMULATION: the sandbox plays Twilio on http://127.0.0.1:")
    assert code == 0


def test_it_stops_when_its_parent_is_gone():
    code = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(600)"
    with (
        reserved_ports() as port,
        Popen([sys.executable, "-c", code, *SANDBOX, str(port)], stderr=PIPE, text=True) as parent,
    ):
        assert parent.stderr
        greeting = parent.stderr.readline()
        parent.kill()
        rest = parent.stderr.read()  # ends when the orphan has closed its end

    assert greeting.startswith("SIMULATION")
    assert "the sandbox stops: its parent is gone" in rest


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        run = subprocess.run([*SANDBOX, port], capture_output=True, text=True, check=False)

    assert run.returncode == 1
    assert f"the sandbox cannot listen on 127.0.0.1:{port}" in run.stderr


def test_a_numbers_webhooks_and_id_outlive_a_restart_where_there_is_a_file(tmp_path: Path):
    file, number = tmp_path / "data" / "numbers.json", "+447446466847"

    with running(file) as account:
        before = account.incoming_phone_numbers.list(phone_number=number)[0]
        before.update(
            voice_url="https://us.example.com/voice", sms_url="https://us.example.com/sms"
        )
    with running(file) as account:
        after = account.incoming_phone_numbers.list(phone_number=number)[0]
    with running(None) as account:
        elsewhere = account.incoming_phone_numbers.list(phone_number=number)[0]

    assert after.sid == before.sid
    assert (after.voice_url, after.sms_url) == (
        "https://us.example.com/voice",
        "https://us.example.com/sms",
    )
    assert elsewhere.voice_url == ""


def test_a_file_that_is_not_readable_is_named_and_the_numbers_begin_anew(tmp_path: Path):
    file = tmp_path / "numbers.json"
    file.write_text("{")

    with running(file) as account:
        found = account.incoming_phone_numbers.list(phone_number="+447446466847")[0]
        assert found.voice_url == ""
        found.update(voice_url="https://us.example.com/voice")

    assert "https://us.example.com/voice" in file.read_text()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(file: Path | None) -> Iterator[Client]:
    """The official client of a sandbox that runs until the block ends."""
    keep = ["--keep", str(file)] if file else []
    with (
        reserved_ports() as port,
        Popen([*SANDBOX, str(port), *keep], stderr=PIPE, text=True) as process,
    ):
        try:
            until = time.monotonic() + PATIENCE_S
            while not listens(port) and time.monotonic() < until:
                time.sleep(0.02)
            client = Client(ACCOUNT_SID, AUTH_TOKEN)
            client.api.base_url = f"http://127.0.0.1:{port}"
            yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
