"""What a newcomer finds on the first visit: an API key, and an agent to be."""

from accounts.keys import create_key, default_account
from accounts.models import ApiKey

OUR_NUMBER = "+447446466847"
SOMEBODY = "+447386172392"

AGENT = {
    "name": "Mia",
    "system_prompt": (
        "You are Mia, the assistant of Bright Smile Dental in Camden.\n"
        "The clinic is open Monday to Friday from 9 am to 5 pm. Parking is behind the building. "
        "A check-up takes half an hour and costs 40 pounds.\n"
        "Ask whether the time still suits them. If they want another day, ask which day and time "
        "they prefer, and say that the clinic will confirm it. When nothing is left to settle, "
        "say goodbye and end the call."
    ),
    "welcome_message": "Bright Smile Dental, this is Mia. How can I help?",
    "language": "en",
}
PURPOSE = "Remind the caller about their appointment tomorrow at 2 pm."
# What the person says in the first call, and all that the agent is told for the second.
TELLS = "My name is Laura Bennett."
SECOND_PURPOSE = "Remind the caller about their appointment."
KEY_NAME = "Demo"


def api_key() -> str:
    """``key_id:key_secret`` of the demo's key, made once and the same ever after."""
    account = default_account()
    key = ApiKey.objects.filter(account=account, name=KEY_NAME, revoked_at=None).first()
    if key is None:
        key, secret = create_key(account, name=KEY_NAME)
        return f"{key.key_id}:{secret}"
    return f"{key.key_id}:{key.secret}"
