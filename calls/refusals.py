"""What the carrier's error codes mean, in words for the person who placed the call."""

_WORDS = {
    10001: "The Twilio account is not active. Check it in the Twilio console.",
    10004: "The Twilio account has reached its limit of calls at the same time.",
    20003: "Twilio does not accept the number's SID and token. Import it again with valid ones.",
    20404: "Twilio does not know this account or number any more. Import the number again.",
    21205: "Twilio does not accept our address. PUBLIC_URL must be one that Twilio can reach.",
    21210: "The number called from is not verified for, or does not belong to, the Twilio account.",
    21211: "The number called is not a valid telephone number.",
    21212: "The number called from is not valid for calls.",
    21214: "The number called cannot be reached.",
    21215: "The Twilio account may not call this country. Allow it in its geographic permissions.",
    21216: "Twilio does not allow calls to this number.",
    21217: "The number called is not a valid telephone number.",
    21219: "A Twilio trial account calls verified numbers only. Verify the number or upgrade.",
    21262: "Twilio could not report on voicemail detection.",
    13224: "The number called is not valid or not supported.",
    13225: "Twilio does not allow calls to this number.",
    13226: "The number called has a country code that Twilio does not serve.",
    13227: "The Twilio account may not call this country. Allow it in its geographic permissions.",
    13247: "The number called from is not valid as a caller ID.",
}

LOST = (
    "The carrier never said whether it placed the call, and shows no trace of it. Not tried again."
)
UNREACHABLE = "The carrier could not be reached, several times. Nobody was called."
UNSUBSCRIBED = "The person asked not to be called before this call was dialled. Nobody was called."
NO_NUMBER = (
    "The agent or the number to call from was removed before this call was dialled. "
    "Nobody was called."
)
SWITCHED_OFF = (
    "The account, the agent or the number to call from was switched off before this call was "
    "dialled. Nobody was called."
)
TOO_LATE = (
    "No line was free in time, and it is outside the hours in which this person may be called."
)
NO_TRACE = "The carrier no longer knows this call."
NO_NEWS = "The carrier did not say how this call ended."


def in_words(code: int, carriers_words: str) -> str:
    """Return what went wrong and what to do, with the carrier's code; its own words where we have
    none."""
    words = (
        _WORDS.get(code) or f"The carrier refused the call: {carriers_words or 'no reason given'}"
    )
    return f"{words} (Twilio error {code})"
