import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from conftest import PATIENCE_S, reserved_ports
from nixflex import supervisor
from nixflex.supervisor import Process, StartError, Supervisor

PROJECT = Path(__file__).resolve().parent.parent.parent


def program(name, code, **more):
    return Process(name, (sys.executable, "-c", code), **more)


@pytest.fixture
def supervise():
    """Start these processes; return the supervisor and the queue of their lines."""
    started = []

    def start(*wanted):
        lines = queue.Queue()
        one = Supervisor(wanted, on_line=lambda *line: lines.put(line), cwd=PROJECT)
        started.append(one)
        one.start()
        return one, lines

    yield start
    for one in started:
        one.stop(grace=2)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def port():
    with reserved_ports() as first:
        yield first


def test_lines_carry_the_name_of_their_process(supervise):
    _, lines = supervise(program("one", "print('hello'); import time; time.sleep(600)"))

    assert lines.get(timeout=PATIENCE_S) == ("one", "hello")


def test_a_crashed_process_starts_again(supervise):
    _, lines = supervise(program("one", "import os; print(os.getpid()); os._exit(3)"))

    _, first = lines.get(timeout=PATIENCE_S)
    assert lines.get(timeout=PATIENCE_S) == (
        "nixflex",
        "one ended (status 3); it starts again in 0.5 s",
    )
    _, second = lines.get(timeout=PATIENCE_S)

    assert first != second


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_stop_ends_even_a_process_that_ignores_it(supervise):
    stubborn = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(os.getpid()); time.sleep(600)"
    )
    one, lines = supervise(program("one", stubborn))
    pid = int(lines.get(timeout=PATIENCE_S)[1])

    one.stop(grace=0.5)

    assert not alive(pid)
    assert lines.get(timeout=PATIENCE_S) == ("nixflex", "one did not stop in time and is killed")


def test_a_taken_port_is_said_in_words_and_nothing_starts(tmp_path):
    marker = tmp_path / "started"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        wanted = program("web", f"open({str(marker)!r}, 'w')", port=port)

        with pytest.raises(StartError) as refused:
            Supervisor([wanted], on_line=print, cwd=PROJECT).start()

    assert str(refused.value).startswith(
        f"Port {port}, for web, is taken by another program: stop that, or set PORT="
    )
    assert not marker.exists()


def test_a_process_that_keeps_dying_is_shown_with_its_last_words(supervise, port):
    one, _ = supervise(program("one", "raise SystemExit('no such table')", port=port))

    with pytest.raises(StartError, match=r"one does not start:\n.*no such table"):
        one.wait_ready(PATIENCE_S)


def test_waiting_ends_when_the_user_stops_it(supervise, port):
    one, _ = supervise(program("one", "import time; time.sleep(600)", port=port))
    stopping = threading.Event()
    stopping.set()

    one.wait_ready(PATIENCE_S, stopping=stopping)


@pytest.mark.skipif(sys.platform != "linux", reason="the tether is Linux's")
def test_children_die_with_a_killed_supervisor():
    code = """
import django, sys, threading
django.setup()
from pathlib import Path
from nixflex.supervisor import Process, Supervisor
child = (sys.executable, "-c", "import os, time; print(os.getpid()); time.sleep(600)")
wanted = [Process("one", child)]
Supervisor(wanted, on_line=lambda name, line: print(line, flush=True), cwd=Path(".")).start()
threading.Event().wait()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)

        child = os.pidfd_open(pid)
        parent.kill()

        import select

        assert select.select([child], [], [], PATIENCE_S)[0], "the child lives on"
        os.close(child)


def test_the_sandbox_plays_only_what_the_settings_point_at(settings):
    settings.SANDBOX = True
    settings.DEEPGRAM_API_URL = "https://api.deepgram.com"

    sandbox = supervisor.processes()[0]

    assert sandbox.name == "sandbox"
    assert "--only=carrier,model,calendar" in sandbox.command


def test_without_the_sandbox_nothing_of_it_runs(settings):
    settings.SANDBOX = False

    names = [process.name for process in supervisor.processes()]

    assert names == ["web", "media", "worker", "beat"]


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_make_run_brings_everything_up_and_leaves_nothing_behind(tmp_path, port):
    data_dir = tmp_path / "data"
    media_port = port + 1
    nobody_listens = f"http://127.0.0.1:{port + 2}"
    environment = {name: value for name, value in os.environ.items() if "REDIS" not in name}
    environment.pop("MAKELEVEL", None)
    environment |= {
        "DJANGO_SETTINGS_MODULE": "nixflex.settings",
        "DEBUG": "1",
        "SANDBOX": "0",
        "PORT": str(port),
        "MEDIA_PORT": str(media_port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "NIXFLEX_DATA_DIR": str(data_dir),
        "TWILIO_API_URL": nobody_listens,
        "DEEPGRAM_API_URL": nobody_listens,
        "ANTHROPIC_API_URL": nobody_listens,
    }
    try:
        with subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as run:
            said = []
            for line in run.stdout:
                said.append(line)
                if "ready: " in line:
                    break
            assert "ready: " in said[-1], "".join(said)
            for each in (port, media_port):
                with urllib.request.urlopen(f"http://127.0.0.1:{each}/readyz") as answer:
                    assert answer.status == 200

            run.send_signal(signal.SIGTERM)
            rest = run.stdout.read()

        assert run.returncode == 0
        assert rest.rstrip().endswith("everything has stopped")
        assert processes_of(str(data_dir), str(port), str(media_port)) == []
    finally:
        from nixflex.embedded.remove import remove

        remove(data_dir)


def processes_of(*words):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if any(word in command for word in words):
            found.append(command)
    return found
