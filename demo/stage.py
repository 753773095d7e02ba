"""What every scene stands on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from demo import seed
from demo.api import Api
from demo.console import Console
from demo.sandbox import SandboxView

AGENT = seed.AGENT["name"]
_LOOKS_EVERY_S = 0.1


@dataclass
class Stage:
    """The terminal, the API, the sandbox, and the agent that acts."""

    console: Console
    api: Api
    sandbox: SandboxView
    agent_id: str

    def place(self, to_number: str, **fields: Any) -> str:
        """Have the agent call somebody; return the call's id."""
        body = {"agent_id": self.agent_id, "from_number": seed.OUR_NUMBER, "to_number": to_number}
        return str(self.api.post("/calls/outbound", body | fields)["call_id"])


def wait_for[T](look: Callable[[], T | None], within_s: float) -> T | None:
    """Return what ``look`` finds as soon as it finds something; None if it does not."""
    deadline = time.monotonic() + within_s
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(_LOOKS_EVERY_S)
    return found


def dashboard(path: str) -> str:
    """Where to look when something went wrong."""
    return f"{settings.PUBLIC_URL}/admin/{path}"
