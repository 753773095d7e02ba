"""Talking to an agent from a web page: a call like any other, without a carrier (spec 6.14)."""

from dataclasses import dataclass

from django.conf import settings

from accounts.errors import ApiError
from agents.models import Agent, PhoneNumber
from calls import tickets
from calls.admission import admit_browser
from calls.models import Call


@dataclass(frozen=True, slots=True)
class BrowserCall:
    """A call that waits for its page: the socket to open, and the pass to show there within 120 s
    (``media.browser`` is the protocol).
    """

    call: Call
    url: str
    token: str


def begin(agent: Agent) -> BrowserCall:
    """Let somebody talk to ``agent``, with the settings and tools of its first number.

    Raises ApiError ``agent_inactive`` (400) and ``busy`` (503, no line or media process is free);
    nothing is left behind then.
    """
    if not agent.is_active:
        raise ApiError("agent_inactive", "This agent is not active. Set is_active first.")
    numbers = PhoneNumber.objects.of(agent.account).filter(agent=agent)
    number = numbers.select_related("account").order_by("created_at", "pk").first()
    call = admit_browser(agent, number)
    if call is None:
        raise ApiError("busy", "All lines are busy. Try again when a call has ended.", 503)
    return BrowserCall(call, settings.BROWSER_STREAM_URL, tickets.issue(call))
