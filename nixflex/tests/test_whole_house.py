"""Everything at once, as an operator starts it and a developer drives it, with real audio."""

import contextlib
import io
import os
import subprocess
import sys
import time
import urllib.request
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.tests.outside import PROJECT, Sandbox, official_sdk, running_sandbox
from conftest import PATIENCE_S, reserved_ports
from webhooks.tests.receiver import Receiver, running_receiver

OUR_NUMBER = "+447446466847"
SOMEBODY = "+447386172392"
# Five processes start on what may be one core, and a conversation takes its own time.
WITHIN_S = 3 * PATIENCE_S

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class House:
    """A running ``make run`` with a database and ports of its own."""

    environment: dict[str, str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox(self) -> Sandbox:
        return Sandbox(
            self.environment.get("TWILIO_API_URL") or f"http://127.0.0.1:{self.port + 2}"
        )

    def manage(self, *command: str) -> str:
        """Run ``manage.py`` beside the house and return what it prints."""
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=WITHIN_S,
        ).stdout

    def ask_sandbox(self, method: str, path: str, **more: Any) -> Any:
        """What only a test can: say what people do, read what the carrier saw, hang up for them."""
        url = f"{self.sandbox.url}/_sandbox/{path}"
        answer = httpx.request(method, url, timeout=WITHIN_S, **more).raise_for_status()
        return answer.json() if answer.content else None

    def client(self) -> Any:
        """The unmodified SDK with a key of this house."""
        key = self.manage("create_api_key", "--name", "SDK").strip().splitlines()[-1]
        return official_sdk().Nixflex(api_key=key, base_url=self.url)


@contextlib.contextmanager
def running_house(data_dir: Path, **environment: str) -> Iterator[House]:
    with reserved_ports() as port, _house_at(port, data_dir, environment) as house:
        yield house


@contextlib.contextmanager
def _house_at(port: int, data_dir: Path, environment: dict[str, str]) -> Iterator[House]:
    house = House(
        os.environ
        | {
            "NIXFLEX_DATA_DIR": str(data_dir),
            "DJANGO_SETTINGS_MODULE": "nixflex.settings",
            "NIXFLEX_ENV_FILE": os.devnull,
            "DEBUG": "1",
            "SANDBOX": "1",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "PORT": str(port),
        }
        | environment,
        port,
    )
    log = data_dir.parent / "house.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=PROJECT,
            env=house.environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(f"{house.url}/readyz", process, log)
            yield house
        finally:
            process.terminate()
            process.wait(timeout=WITHIN_S)
            subprocess.run(
                [sys.executable, "-m", "nixflex.embedded.remove", str(data_dir)],
                cwd=PROJECT,
                check=True,
                capture_output=True,
                timeout=WITHIN_S,
            )


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the house did not come up:\n{log.read_text()}")


def call_somebody(house: House, *, say: str, webhook_url: str | None = None) -> dict[str, Any]:
    """Create an agent, import a number, call a person who says ``say`` and then goodbye."""
    person = {"say": [say], "rings_s": 0.5, "patience_s": PATIENCE_S}
    house.ask_sandbox("PUT", f"people/{SOMEBODY}", json=person)
    client = house.client()
    agent = client.agents.create(
        name="Mia",
        system_prompt="You are Mia of Bright Smile Dental. Say goodbye when all is said.",
        language="en",
        webhook_url=webhook_url,
    )
    client.phone_numbers.import_(
        OUR_NUMBER,
        agent["agent_id"],
        twilio_account_sid=house.sandbox.sid,
        twilio_auth_token=house.sandbox.token,
    )
    placed = client.calls.create(
        agent_id=agent["agent_id"],
        to_number=SOMEBODY,
        prompt="Remind {name} about the check-up tomorrow.",
        from_number=OUR_NUMBER,
        variables={"name": "the caller"},
        metadata={"order": 7},
    )
    assert placed["status"] == "initiated"
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        call: dict[str, Any] = client.calls.get(placed["call_id"])
        if call["ended_reason"]:
            return call
        time.sleep(0.5)
    raise AssertionError(f"the call did not end: {call}")


def assert_a_conversation_is_on_record(call: dict[str, Any], *, heard: str) -> None:
    assert call["call_status"] == "completed"
    assert call["ended_reason"] in {"completed", "callee_hangup"}
    lines = call["transcript"].split("\n")
    assert any(line.startswith("AI: ") and "check-up" in line for line in lines)
    assert any(line.startswith("Caller: ") and heard in line.lower() for line in lines)
    recording = httpx.get(call["recording_url"], timeout=WITHIN_S)
    assert recording.status_code == 200
    with wave.open(io.BytesIO(recording.content)) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getsampwidth()) == (2, 8000, 2)
        assert abs(sound.getnframes() / 8000 - call["recording_duration_s"]) < 1.0
        samples = sound.readframes(sound.getnframes())
    for channel in (0, 1):
        loudest = max(
            abs(int.from_bytes(samples[i : i + 2], "little", signed=True))
            for i in range(channel * 2, len(samples), 4)
        )
        assert loudest > 2000, f"channel {channel} is silent"


def assert_the_customer_was_told(receiver: Receiver, call: dict[str, Any]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while len(receiver.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    started, completed = receiver.bodies
    assert (started["event"], completed["event"]) == ("call.started", "call.completed")
    assert completed["call_id"] == call["call_id"]
    assert completed["metadata"] == {"order": 7}
    assert completed["transcript"].replace("Agent: ", "AI: ") == call["transcript"]
    assert completed["summary"]
    assert all("x-nixflex-signature" in headers for headers, _ in receiver.requests)


def test_the_unmodified_sdk_drives_a_call_to_its_transcript_recording_and_webhooks(
    tmp_path_factory,
):
    data = tmp_path_factory.mktemp("house") / "data"
    with running_receiver() as receiver, running_house(data, OUTBOUND_ALLOW_PRIVATE="1") as house:
        call = call_somebody(
            house, say="I will be there, thank you. Goodbye.", webhook_url=receiver.url
        )

        assert_a_conversation_is_on_record(call, heard="i will be there")
        assert_the_customer_was_told(receiver, call)
        assert "WRONG" not in (found := house.manage("doctor"))  # it would end with 1, too
        assert "/media/twilio/ opens" in found
        assert f"Number {OUR_NUMBER}: its calls and texts come here" in found


def test_the_three_urls_at_another_server_are_all_that_make_run_needs(tmp_path_factory):
    with running_sandbox("carrier", "speech", "model") as elsewhere:
        data = tmp_path_factory.mktemp("house") / "data"
        with running_house(
            data,
            SANDBOX="0",
            TWILIO_API_URL=elsewhere.url,
            DEEPGRAM_API_URL=elsewhere.url,
            ANTHROPIC_API_URL=elsewhere.url,
            DEEPGRAM_API_KEY="another-key",
            ANTHROPIC_API_KEY="another-key",
        ) as house:
            call = call_somebody(house, say="That is fine with me. Goodbye.")

            assert_a_conversation_is_on_record(call, heard="fine with me")
