"""Calls that are over, what the model makes of them, and what was told of them."""

import json
from typing import Any

from calls.factories import CallFactory, TurnFactory
from calls.models import Aftercare, Call, Turn
from webhooks.factories import EndpointFactory
from webhooks.models import Event

GENERAL: dict[str, Any] = {
    "summary": "Sarah Johnson booked a check-up for Tuesday at 2 pm.",
    "sentiment": "happy",
    "successful": True,
    "caller_name": "Sarah Johnson",
    "call_reason": "wanted to book a check-up",
    "email": "",
    "phone": "",
    "location": "",
    "reference_id": "",
    "preference": "afternoons",
    "open_item": "",
}
FIELDS = [
    {"name": "appointment_day", "type": "text", "description": "The day that was booked."},
    {"name": "party", "type": "number", "description": "How many people come."},
    {"name": "insured", "type": "boolean", "description": "Whether they are insured."},
    {"name": "branch", "type": "selector", "description": "Where.", "choices": ["north", "south"]},
]
EXTRACTED: dict[str, Any] = {
    "extracted": {"appointment_day": "Tuesday", "party": None, "insured": True, "branch": "west"},
    "said_in": {"appointment_day": 4, "party": 0, "insured": 2, "branch": 0},
}


def over(*said: str, **fields: Any) -> Call:
    """A call that just ended; agent and caller spoke in turn, the agent first."""
    call = CallFactory.create(over=True, **fields)
    for n, text in enumerate(said):
        role = Turn.Role.CALLER if n % 2 else Turn.Role.AGENT
        TurnFactory.create(call=call, sequence=n, role=role, text=text)
    Aftercare.objects.create(call=call)
    return call


def talk(**fields: Any) -> Call:
    return over(
        "Hello, this is Mia of Bright Smile Dental.",
        "Hi, I am Sarah Johnson and yes I am insured with you.",
        "Lovely. Which day suits you, Monday or Tuesday?",
        "On Tuesday at two please, afternoons are best for me.",
        "Tuesday at two it is. Goodbye.",
        **fields,
    )


def told(call: Call) -> list[dict[str, Any]]:
    events = Event.objects.filter(subject=call.call_id).order_by("pk")
    return [json.loads(event.body) for event in events]


def listened(call: Call) -> Call:
    EndpointFactory.create(account=call.account)
    return call
