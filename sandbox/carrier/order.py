"""What a call was asked to do: its TwiML, callbacks, limits; and the fields its requests carry."""

from dataclasses import dataclass, field
from typing import Any

from .state import Call, country

DEFAULT_RING_S = 60
LONGEST_CALL_S = 4 * 3600
EVENTS = ("initiated", "ringing", "answered", "completed")


@dataclass(frozen=True)
class Fetch:
    """TwiML to be fetched. ``extra`` fields go with the usual ones."""

    url: str
    method: str = "POST"
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Inline:
    """TwiML given in the request."""

    twiml: str


Program = Fetch | Inline


@dataclass
class Callback:
    """Where a leg's progress is told, and which events."""

    url: str = ""
    method: str = "POST"
    events: frozenset[str] = frozenset({"completed"})


@dataclass
class Detection:
    """Answering machine detection as asked for at create."""

    mode: str
    asynchronous: bool = False
    timeout_s: int = 30
    url: str = ""
    method: str = "POST"


@dataclass
class Order:
    """Everything about a leg that is not shown in its resource."""

    program: Program | None = None
    callback: Callback = field(default_factory=Callback)
    fallback: Fetch | None = None
    ring_s: int = DEFAULT_RING_S
    longest_s: int = LONGEST_CALL_S
    detection: Detection | None = None
    send_digits: str = ""
    recording: dict[str, Any] | None = None


def call_form(call: Call) -> dict[str, str]:
    """The fields that every voice request carries."""
    form = {
        "AccountSid": call.account_sid,
        "ApiVersion": "2010-04-01",
        "CallSid": call.sid,
        "CallStatus": call.status,
        "Called": call.to,
        "Caller": call.from_,
        "Direction": call.direction,
        "From": call.from_,
        "To": call.to,
    }
    for party, number in (
        ("Called", call.to),
        ("Caller", call.from_),
        ("To", call.to),
        ("From", call.from_),
    ):
        form |= {
            f"{party}City": "",
            f"{party}State": "",
            f"{party}Zip": "",
            f"{party}Country": country(number),
        }
    if call.parent_sid:
        form["ParentCallSid"] = call.parent_sid
    return form
