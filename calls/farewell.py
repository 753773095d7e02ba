"""The texts that a call leaves by itself: of each booking (spec 6.7.2), and after it (6.13)."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from accounts.errors import ApiError
from accounts.hours.enforcement import late_until
from agents import languages, variables
from agents.history import is_person
from agents.models import Agent, PhoneNumber
from agents.tools import readback
from calls.models import Call
from sms.models import Message
from sms.services import text_from_call

logger = logging.getLogger(__name__)

DEFAULT = "Thanks for calling {business_name}. We appreciate your time."


def text_booking(call: Call, booking: Mapping[str, Any]) -> Message | None:
    """Text the person of a call what was just booked, moved or cancelled; None where the agent may
    not text during calls, there is nobody to text, or they said no.
    """
    agent, number = call.agent, call.number
    if agent is None or number is None or not agent.incall_sms_enabled:
        return None
    body = readback.text_of(languages.start_language(agent.language, agent.system_prompt), booking)
    if not body or not is_person(call.their_number):
        return None
    return _text(call, agent, number, body, Message.Origin.IN_CALL)


def text_after(call: Call) -> Message | None:
    """Send the agent's post-call text, in the caller's transaction; None where there is none to
    send: not switched on, nobody answered, a voicemail, a withheld number, a person who said no.
    """
    agent, number = call.agent, call.number
    if agent is None or number is None or not agent.post_call_sms_enabled:
        return None
    if call.duration_ms == 0 or call.voicemail_detected or not is_person(call.their_number):
        return None
    values = {
        "caller_name": call.caller_name or "there",
        "business_name": agent.name or "our business",
        "call_summary": call.call_summary,
        "agent_name": agent.name or "our team",
    }
    body = variables.substitute(agent.post_call_sms_template or DEFAULT, values)
    now = timezone.now()
    morning = late_until(call.their_number, agent.timezone, call.ended_at or now, now)
    return _text(call, agent, number, body, Message.Origin.POST_CALL, not_before=morning)


def _text(
    call: Call,
    agent: Agent,
    number: PhoneNumber,
    body: str,
    origin: Message.Origin,
    *,
    not_before: datetime | None = None,
) -> Message | None:
    try:
        return text_from_call(
            agent=agent,
            number=number,
            to_number=call.their_number,
            body=body,
            call_id=call.call_id,
            origin=origin,
            not_before=not_before,
        )
    except ApiError as refusal:
        logger.info("no text of %s: %s", call.call_id, refusal.code)
        return None
