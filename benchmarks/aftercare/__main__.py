"""How soon is the customer's server told of a call, and is it told once, whatever dies?

``python -m benchmarks.aftercare`` ends 500 calls within a minute, on PostgreSQL, Valkey and Celery
workers as in production, with a model that takes a second for each answer and a receiver beside it.
With ``--kills 3`` a worker is killed (SIGKILL) and another started that often meanwhile. Printed:
the time from a call's end to the receipt of ``call.completed``, and how many came twice or never.
"""

import argparse
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
MODEL_TAKES_S = 1.0
DRAINS_WITHIN_S = 900.0
SAID = (
    "Hello, this is Mia of Acme Dental. Which day suits you for your check-up?",
    "Hi, this is Sarah Johnson. Tuesday at two in the afternoon would be perfect for me.",
    "Tuesday at two it is. Anything else?",
    "No, that is all I need. Thank you very much and goodbye.",
)
FORM = {
    "summary": "Sarah Johnson booked Tuesday at two.",
    "sentiment": "happy",
    "successful": True,
    **dict.fromkeys(
        ("caller_name", "call_reason", "email", "phone", "location", "reference_id"), ""
    ),
    "preference": "",
    "open_item": "",
}


class Outside:
    """The model and the customer's server, on one port."""

    def __init__(self) -> None:
        self.received: dict[str, list[float]] = {}
        self.event_ids: dict[str, set[str]] = {}
        self.asked = 0
        self._lock = threading.Lock()
        outside = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = b"{}"
                if self.path.startswith("/v1/messages"):
                    time.sleep(MODEL_TAKES_S)
                    answer = outside.answer(body)
                else:
                    outside.note(body, self.headers["webhook-id"])
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, _: dict[str, Any]) -> bytes:
        with self._lock:
            self.asked += 1
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "stub",
            "content": [{"type": "text", "text": json.dumps(FORM)}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        return json.dumps(message).encode()

    def note(self, event: dict[str, Any], event_id: str) -> None:
        if event["event"] != "call.completed":
            return
        with self._lock:
            self.received.setdefault(event["call_id"], []).append(time.time())
            self.event_ids.setdefault(event["call_id"], set()).add(event_id)


def worker(n: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "celery", "--app=nixflex", "--quiet", "worker"]
    return subprocess.Popen(
        [*command, "--loglevel=ERROR", "--concurrency=6", f"--hostname=bench{n}@%h"],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def live_calls(how_many: int) -> list[Any]:
    """Calls in progress, with their conversations, of a number that tells the receiver."""
    from django.utils import timezone

    from accounts.models import Account, CarrierAccount
    from agents.models import Agent, PhoneNumber
    from calls.models import Call, Turn

    account = Account.objects.create(name="Benchmark", max_concurrent_calls=10_000)
    agent = Agent.objects.create(account=account, name="Mia", webhook_url=outside.url + "/hook")
    carrier = CarrierAccount.objects.create(
        account=account, sid=f"AC{secrets.token_hex(16)}", auth_token="x"
    )
    number = PhoneNumber.objects.create(
        account=account, agent=agent, carrier_account=carrier, phone_number="+447446466847"
    )
    calls = Call.objects.bulk_create(
        Call(
            account=account,
            agent=agent,
            agent_public_id=agent.agent_id,
            number=number,
            direction="outbound",
            from_number=number.phone_number,
            to_number=f"+4473861{n:05d}",
            status="in-progress",
            carrier_sid=f"CA{n:032x}",
            answered_at=timezone.now(),
        )
        for n in range(how_many)
    )
    Turn.objects.bulk_create(
        Turn(
            call=call,
            sequence=n,
            role="caller" if n % 2 else "agent",
            text=text,
            started_ms=n * 3000,
            ended_ms=n * 3000 + 2000,
        )
        for call in calls
        for n, text in enumerate(SAID)
    )
    return calls


def end_all(calls: list[Any], within_s: float) -> dict[str, float]:
    """End the calls evenly over ``within_s`` seconds; return when each ended."""
    from calls.services import end_call

    began, ended = time.time(), {}
    for n, call in enumerate(calls):
        time.sleep(max(0.0, began + within_s * n / len(calls) - time.time()))
        end_call(call.pk, "completed")
        ended[call.call_id] = time.time()
    return ended


def run(how_many: int, within_s: float, *, kills: int) -> dict[str, Any]:
    from celery import current_app

    from calls import aftercare, nudges
    from webhooks import outbox

    calls = live_calls(how_many)
    workers = [worker(0), worker(1)]
    stopping = threading.Event()
    killed = 0

    def beat() -> None:  # what the beat process does, and nothing else
        while not stopping.wait(5.0):
            outbox.nudge()
            for call_pk in aftercare.overdue():
                nudges.after_call(call_pk)

    def murder() -> None:
        nonlocal killed
        while killed < kills and not stopping.wait(within_s / (kills + 1)):
            kill(workers[killed % 2])
            killed += 1
            workers[(killed - 1) % 2] = worker(killed + 1)

    threads = [threading.Thread(target=beat), threading.Thread(target=murder)]
    try:
        while len(current_app.control.ping(timeout=1.0) or []) < len(workers):
            pass  # they come up
        for thread in threads:
            thread.start()
        ended = end_all(calls, within_s)
        deadline = time.time() + DRAINS_WITHIN_S
        while len(outside.received) < how_many and time.time() < deadline:
            time.sleep(0.2)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
        for process in workers:
            kill(process)
    waits = sorted(
        outside.received[call_id][0] - at
        for call_id, at in ended.items()
        if call_id in outside.received
    )
    again = Counter(len(times) for times in outside.received.values())
    return {
        "calls": how_many,
        "within_s": within_s,
        "workers_killed": killed,
        "told": len(waits),
        "never": how_many - len(waits),
        "more_than_one_event": sum(len(ids) > 1 for ids in outside.event_ids.values()),
        "same_event_again": sum(n for times, n in again.items() if times > 1),
        "model_asked": outside.asked,
        "wait_s": {
            "p50": round(statistics.median(waits), 2),
            "p95": round(waits[int(len(waits) * 0.95)], 2),
            "max": round(waits[-1], 2),
        },
        "load_average": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kills", type=int, default=0, help="workers to kill meanwhile")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and take the workers along
    outside = Outside()
    with tempfile.TemporaryDirectory(prefix="nixflex-bench-") as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "nixflex.settings",
            "NIXFLEX_ENV_FILE": os.devnull,
            "NIXFLEX_DATA_DIR": folder,
            "DEBUG": "1",
            "SANDBOX": "1",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "FIELD_ENCRYPTION_KEYS": "YmVuY2htYXJrcy1uZWVkLW5vLXNlY3JldHMtb2Z0ZW4=",
            "ANTHROPIC_API_URL": outside.url,
            "OUTBOUND_ALLOW_PRIVATE": "1",
        }
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        from nixflex import embedded

        embedded.ensure(settings.DATA_DIR, postgres=True, valkey=True)
        try:
            call_command("migrate", verbosity=0)
            print(json.dumps(run(wanted.calls, wanted.seconds, kills=wanted.kills), indent=2))
        finally:
            subprocess.run(
                [sys.executable, "-m", "nixflex.embedded.remove", folder],
                cwd=PROJECT,
                check=False,
                capture_output=True,
            )
