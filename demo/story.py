"""The demo: start everything, place one call over the API, tell it, and serve on."""

import os
import shlex
import time
from typing import Any

import httpx
from django.conf import settings

from accounts.operators import operator_login
from agents.models import Note
from calls.models import Call
from demo import seed
from demo.call import Follower, SandboxView
from demo.console import Console
from sandbox.carrier.state import ACCOUNT_SID, AUTH_TOKEN

NOTED_WITHIN_S = 30.0


class DemoFailed(Exception):
    """Something the demo needs went wrong; the message says what."""


class Api:
    """The public REST API as a developer uses it."""

    def __init__(self, key: str) -> None:
        self._http = httpx.Client(
            base_url=f"{settings.PUBLIC_URL}/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30.0,
        )

    def get(self, path: str) -> Any:
        return self._answer(self._http.get(path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._answer(self._http.post(path, json=body))

    def _answer(self, response: httpx.Response) -> Any:
        if response.is_error:
            error = response.json()["error"]
            raise DemoFailed(f"{response.request.url.path}: {error['code']}: {error['message']}")
        return response.json()


def prepare(api: Api) -> str:
    """Create the demo's agent and import its number, once; return the agent's id."""
    numbers = api.get("/phone-numbers")["phone_numbers"]
    for number in numbers:
        if number["phone_number"] == seed.OUR_NUMBER and number["agent_id"]:
            return str(number["agent_id"])
    agent_id = str(api.post("/agents", seed.AGENT)["agent_id"])
    api.post(
        "/phone-numbers",
        {
            "phone_number": seed.OUR_NUMBER,
            "agent_id": agent_id,
            "twilio_sid": ACCOUNT_SID,
            "twilio_token": AUTH_TOKEN,
        },
    )
    return agent_id


def play(console: Console, api: Api) -> Call:
    """Place one call to a simulated person and print it until it ends.

    ``SAY`` is what the person says first, ``MUTE=1`` lets their line carry only silence.
    """
    agent_id = prepare(api)
    sandbox = SandboxView(settings.SANDBOX_URL)
    say, mute = os.environ.get("SAY", "").strip(), os.environ.get("MUTE", "") not in {"", "0"}
    person = sandbox.instruct(seed.SOMEBODY, say=[say or seed.TELLS], muted=mute, rings_s=1)
    console.line()
    console.line(f"Mia calls {person} (a simulated person) and is told only: “{seed.PURPOSE}”")
    call = _call(console, api, sandbox, agent_id, person, seed.PURPOSE)
    if not mute:
        _call_again(console, api, sandbox, agent_id, person, call)
    return call


def _call(
    console: Console, api: Api, sandbox: SandboxView, agent_id: str, person: str, purpose: str
) -> Call:
    console.call_begins()
    placed = api.post(
        "/calls/outbound",
        {
            "agent_id": agent_id,
            "to_number": seed.SOMEBODY,
            "from_number": seed.OUR_NUMBER,
            "prompt": purpose,
        },
    )
    follower = Follower(console, sandbox, agent="Mia", person=person)
    call = follower.follow(placed["call_id"])
    summarise(console, call, follower)
    return call


def _call_again(
    console: Console,
    api: Api,
    sandbox: SandboxView,
    agent_id: str,
    person: str,
    first: Call,
) -> None:
    """Call the same person with one line of prompt, and show what the agent knew by itself."""
    if not _was_noted(first):
        console.line("  The first call has not been analysed yet; no second one is placed.")
        return
    sandbox.instruct(seed.SOMEBODY, say=["Yes, that suits me."], rings_s=1)
    console.line()
    console.line(f"Mia calls again, and is told only: “{seed.SECOND_PURPOSE}”")
    call = _call(console, api, sandbox, agent_id, person, seed.SECOND_PURPOSE)
    prompt = str(api.get(f"/calls/{call.call_id}")["system_prompt_used"])
    known = prompt[prompt.find("## CALLER HISTORY") :].splitlines()
    console.line("  what the agent knew by itself, from the first call:")
    for line in known:
        if line.startswith(("- 20", "Name: ", "Preference: ", "Still open: ", "Location: ")):
            console.line(f"    {line}")


def _was_noted(call: Call) -> bool:
    """Wait until the first call's analysis is on record; False if that takes too long."""
    deadline = time.monotonic() + NOTED_WITHIN_S
    while time.monotonic() < deadline:
        if Note.objects.filter(source=call.call_id).exists():
            return True
        time.sleep(0.25)
    return False


def summarise(console: Console, call: Call, follower: Follower) -> None:
    answers = [turn.latency_ms for turn in call.turns.all() if turn.latency_ms is not None]
    rates = follower.rates
    console.line()
    console.line(f"  ended       {call.ended_reason}, {call.duration_ms / 1000:.1f} s connected")
    if answers:
        mean = sum(answers) // len(answers)
        console.line(f"  latency     {mean} ms on average over {len(answers)} answers")
    if rates:
        console.line(
            f"  recognised  word error rate {sum(rates) / len(rates):.0%} over {len(rates)} turns"
        )
    else:
        console.line("  recognised  nothing was heard of the person")
    if call.recording_path is not None:
        console.line(f"  recording   {call.recording_path}")


def invite(console: Console, key: str) -> None:
    """What a newcomer can do next."""
    login = operator_login()
    curl = [
        "curl", f"{settings.PUBLIC_URL}/v1/calls/outbound",
        "-H", f"Authorization: Bearer {key}",
        "-H", "Content-Type: application/json",
        "-d", f'{{"agent_id": "{prepare(Api(key))}", "to_number": "{seed.SOMEBODY}"}}',
    ]  # fmt: skip
    console.line()
    console.line("Everything stays on until Ctrl-C.", style="1")
    console.line(
        f"  dashboard   {settings.PUBLIC_URL}/admin/   {login.username} / {login.password}"
    )
    console.line(f"  API key     {key}")
    console.line(f"  call again  {shlex.join(curl)}")
