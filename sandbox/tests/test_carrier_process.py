"""The sandbox as a process: it says what it is, and never outlives whoever started it."""

import signal
import socket
import subprocess
import sys
from subprocess import PIPE, Popen

import pytest

from conftest import reserved_ports

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
