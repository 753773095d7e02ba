"""A transfer in tests: what the carrier asks and tells of it, and what became of it."""

from typing import Any
from xml.etree import ElementTree

from django.http import HttpResponse

from agents.tests.twilio_side import knock
from calls import (
    handing_over,
)
from calls.factories import CallFactory, new_sid
from calls.models import Call, Transfer
from calls.tests.twilio_side import token_of

DESK = "+442087601234"
LEG = new_sid()


def verbs(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 200
    return [verb.tag for verb in ElementTree.fromstring(answer.content)]


def asks(call: Call) -> HttpResponse:
    """The carrier asks what the call does next."""
    return knock("voice", call.number, query=token_of(call), CallSid=call.carrier_sid)


def leg(transfer: Transfer, status: str, **form: str) -> HttpResponse:
    """The carrier tells how the colleague's leg stands."""
    call = transfer.call
    told = {"ParentCallSid": call.carrier_sid, "CallSid": LEG, "CallStatus": status} | form
    return knock("transfer/leg", call.number, query=f"?t={transfer.token}", **told)


def after(transfer: Transfer, status: str, **form: str) -> HttpResponse:
    """The carrier's Dial is over."""
    call = transfer.call
    told = {"CallSid": call.carrier_sid, "CallStatus": "in-progress", "DialCallStatus": status}
    return knock("transfer/after", call.number, query=f"?t={transfer.token}", **told | form)


def joined(transfer: Transfer) -> HttpResponse:
    call = transfer.call
    told = {"ParentCallSid": call.carrier_sid, "CallSid": LEG}
    return knock("transfer/joined", call.number, query=f"?t={transfer.token}", **told)


def ended(call: Call, seconds: int = 60) -> None:
    knock(
        "status",
        call.number,
        query=token_of(call),
        CallSid=call.carrier_sid,
        CallStatus="completed",
        CallDuration=str(seconds),
    )


def state(transfer: Transfer) -> tuple[str, str]:
    transfer.refresh_from_db()
    return transfer.status, transfer.failure


def hand_over(call: Call, **fields: Any) -> bool:
    asked: dict[str, Any] = {
        "generation": 1,
        "to_number": DESK,
        "kind": "cold",
        "after_turn": 4,
    } | fields
    return handing_over.hand_over(call.pk, **asked)


def talking(**fields: Any) -> Call:
    return CallFactory.create(**{"live": True, "media_generation": 1} | fields)
