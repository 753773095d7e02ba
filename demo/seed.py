"""What a newcomer finds on the first visit: an API key, an agent, its number and its calendar."""

from typing import Any

from accounts.keys import create_key, default_account
from accounts.models import ApiKey
from calls import services
from calls.models import Call
from demo.api import Api
from sandbox.carrier.state import ACCOUNT_SID, AUTH_TOKEN

OUR_NUMBER = "+447446466847"
SOMEBODY = "+447386172392"
VOICEMAIL, OTHER_VOICEMAIL = "+12025550112", "+12025550130"

AGENT: dict[str, Any] = {
    "name": "Mia",
    "system_prompt": (
        "You are Mia of Bright Smile Dental.\n"
        "The clinic is open Monday to Friday from 9 am to 5 pm. Parking is behind the building. "
        "A check-up takes half an hour, costs 40 pounds, and includes a clean and a polish by our "
        "hygienist. Appointments are made with your calendar's tools."
    ),
    "welcome_message": "Bright Smile Dental, this is Mia. How can I help?",
    "language": "en",
    "require_booking_confirmation": True,
    "enable_sms_reply": True,
    "post_call_sms_enabled": True,
    "post_call_sms_template": (
        "Hi {caller_name}, thank you for your time. If you have a question, just answer this "
        "text. Mia, Bright Smile Dental"
    ),
}
CALENDAR = {"api_key": "cal_demo", "username": "bright-smile", "event_slug": "30min"}
KEY_NAME = "Demo"


def api_key() -> str:
    """``key_id:key_secret`` of the demo's key, made once and the same ever after."""
    account = default_account()
    key = ApiKey.objects.filter(account=account, name=KEY_NAME, revoked_at=None).first()
    if key is None:
        key, secret = create_key(account, name=KEY_NAME)
        return f"{key.key_id}:{secret}"
    return f"{key.key_id}:{key.secret}"


def prepare(api: Api) -> str:
    """Make the demo's agent, with today's settings, and import its number; return the agent's id.

    The number is imported anew each time: our address may be another than it was. Of the people
    nothing is known from an earlier run, so the first call is a first call.
    """
    # The telephone company of an earlier run is gone, and with it every call of then.
    for call in Call.objects.unfinished():
        services.end_call(call.pk, Call.Status.FAILED, error_message="The sandbox was stopped.")
    for person in (SOMEBODY, VOICEMAIL, OTHER_VOICEMAIL):
        api.delete(f"/people/{person}")
        api.delete(f"/suppressions/{person}")
    agent_id = agent_of_number(api)
    if agent_id:
        api.put(f"/agents/{agent_id}", AGENT)
        api.delete(f"/phone-numbers/{OUR_NUMBER}")
    else:
        agent_id = str(api.post("/agents", AGENT)["agent_id"])
    imported = {"phone_number": OUR_NUMBER, "agent_id": agent_id}
    carrier = {"twilio_sid": ACCOUNT_SID, "twilio_token": AUTH_TOKEN}
    api.post("/phone-numbers", imported | carrier)
    api.put(f"/integrations/calcom/number/{OUR_NUMBER}", CALENDAR)
    return agent_id


def agent_of_number(api: Api) -> str:
    """Return the id of the agent that has the demo's number; "" where it is not imported."""
    for number in api.get("/phone-numbers")["phone_numbers"]:
        if number["phone_number"] == OUR_NUMBER and number["agent_id"]:
            return str(number["agent_id"])
    return ""
