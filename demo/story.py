"""What the demo tells, and in which order."""

import os
import shlex

from django.conf import settings

from accounts.operators import operator_login
from demo import calls, lost_process, seed, texts
from demo.api import Api
from demo.console import BOLD, Console
from demo.sandbox import SandboxView
from demo.stage import Stage


def wish(name: str) -> bool:
    """Whether a switch such as ``KILL=1`` is set."""
    return os.environ.get(name, "") not in {"", "0"}


def play(console: Console, api: Api) -> None:
    """Tell the whole story; what it promises and does not keep is in ``console.broken``.

    ``SAY`` is what the person says first: then there are two calls and no promises. ``MUTE=1``
    lets their line carry only silence. ``KILL=1`` tells of a killed process instead.
    """
    sandbox = SandboxView(settings.SANDBOX_URL)
    stage = Stage(console, api, sandbox, seed.prepare(api))
    if wish("KILL"):
        lost_process.kill_one(stage)
    elif wish("MUTE"):
        calls.first_call(stage, muted=True)
    elif say := os.environ.get("SAY", "").strip():
        first = calls.first_call(stage, say=say)
        if calls.was_noted(first):
            calls.second_call(stage, say="Yes, that suits me.")
    else:
        _everything(stage)


def _everything(stage: Stage) -> None:
    first = calls.first_call(stage)
    booking = calls.booked(stage)
    texts.answer_after(stage, first, booking)
    calls.voicemails(stage)
    calls.reminder(stage, booking)
    texts.stop(stage)


def invite(console: Console, api: Api, key: str) -> None:
    """What a newcomer can do next."""
    login = operator_login()
    body = f'{{"agent_id": "{seed.agent_of_number(api)}", "to_number": "{calls.FRIENDLY}"}}'
    curl = [
        f"curl {settings.PUBLIC_URL}/v1/calls/outbound",
        f"-H {shlex.quote(f'Authorization: Bearer {key}')}",
        "-H 'Content-Type: application/json'",
        f"-d {shlex.quote(body)}",
    ]
    console.line()
    console.line("Everything stays on until Ctrl-C.", style=BOLD)
    console.line(
        f"  dashboard   {settings.PUBLIC_URL}/admin/   {login.username} / {login.password}"
    )
    console.line(f"  recordings  {settings.RECORDINGS_DIR}")
    console.line(f"  API key     {key}")
    console.line("  call again  " + " \\\n    ".join(curl))
