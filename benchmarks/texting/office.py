"""Twenty numbers of one agent, and the carrier's hand: texts signed as it signs them."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping

from benchmarks.house import SID, TOKEN, House, Office, open_office

NUMBERS = [f"+1202555{100 + n:04}" for n in range(20)]
PROMPT = (
    "You are Mia, the assistant of Bright Smile Dental in Camden. "
    "A check-up takes half an hour and costs 40 pounds. Parking is behind the building."
)
# What a house of texts has no use for is kept small.
SETTINGS = {
    "SANDBOX_NUMBERS": "21",
    "SANDBOX_SPEECH_WORKERS": "1",
    "VOICE_SOCKETS_AHEAD": "0",
    "METRICS_TOKEN": "bench",
}


def open_texting_office(house: House) -> Office:
    """Import the twenty numbers for an agent; return what a customer has at hand."""
    office = open_office(house, lines=10, name="Texting")
    office.api.send("PUT", f"/agents/{office.agent_id}", {"system_prompt": PROMPT})
    for number in NUMBERS:
        office.api.send(
            "POST",
            "/phone-numbers",
            {
                "phone_number": number,
                "agent_id": office.agent_id,
                "twilio_sid": SID,
                "twilio_token": TOKEN,
            },
        )
    return office


def text_form(*, person: str, number: str, body: str) -> dict[str, str]:
    """What the carrier posts when ``person`` texts ``number``."""
    sid = f"SM{secrets.token_hex(16)}"
    return {
        "AccountSid": SID,
        "ApiVersion": "2010-04-01",
        "Body": body,
        "From": person,
        "To": number,
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "FromCountry": "GB",
        "ToCountry": "US",
    }


def signature(url: str, form: Mapping[str, str]) -> str:
    signed = url + "".join(key + value for key, value in sorted(form.items()))
    return base64.b64encode(hmac.digest(TOKEN.encode(), signed.encode(), hashlib.sha1)).decode()
