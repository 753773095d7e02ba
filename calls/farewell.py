"""The text that a person gets after a call (spec 6.13)."""

import logging

from accounts.errors import ApiError
from agents import variables
from agents.history import is_person
from calls.models import Call
from sms.models import Message
from sms.services import text_from_call

logger = logging.getLogger(__name__)

DEFAULT = "Thanks for calling {business_name}. We appreciate your time."


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
    try:
        return text_from_call(
            agent=agent,
            number=number,
            to_number=call.their_number,
            body=variables.substitute(agent.post_call_sms_template or DEFAULT, values),
            call_id=call.call_id,
            origin=Message.Origin.POST_CALL,
        )
    except ApiError as refusal:
        logger.info("no text after %s: %s", call.call_id, refusal.code)
        return None
