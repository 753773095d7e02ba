"""What the carrier's error codes mean, in words for whoever sent the text."""

_WORDS = {
    20003: "Twilio does not accept the number's SID and token. Import it again with valid ones.",
    20404: "Twilio does not know this account or number any more. Import the number again.",
    21211: "The number texted is not a valid telephone number.",
    21408: "The Twilio account may not text this country. Allow it in its geographic permissions.",
    21602: "The text is empty.",
    21603: "There is no number to text from.",
    21604: "There is no number to text to.",
    21606: "The number texted from cannot text this number, or is not the Twilio account's.",
    21608: "A Twilio trial account texts verified numbers only. Verify the number or upgrade.",
    21609: "Twilio does not accept our address. PUBLIC_URL must be one that Twilio can reach.",
    21610: "This person opted out by text. They are not texted again until they reply START.",
    21611: "The number texted from has too many texts waiting at Twilio.",
    21612: "Twilio has no route from the number texted from to this number.",
    21614: "The number texted is not a mobile number.",
    21617: "The text is longer than 1,600 characters.",
    30001: "Twilio's queue for this number was full.",
    30002: "The Twilio account is suspended. Check it in the Twilio console.",
    30003: "The phone could not be reached: it may be off or out of coverage.",
    30004: "The person's phone or carrier blocks texts from this number.",
    30005: "The number is unknown to its carrier, or no longer in use.",
    30006: "The number is a landline, or its carrier takes no texts.",
    30007: "The person's carrier filtered the text as unwanted.",
    30008: "The person's carrier could not deliver the text and gave no reason.",
    30022: "The sender's registered campaign has reached its rate limit.",
    30023: "The sender's brand has reached its daily limit with this carrier.",
    30024: "The number texted from is not set up for texting with this carrier.",
    30032: "The toll-free number texted from is not verified. Verify it in the Twilio console.",
    30034: "The number texted from is not registered for A2P 10DLC. Register it at Twilio.",
}

OPTED_OUT_CODE = 21610
SUPPRESSED = "This person asked not to be contacted. The text was not sent."
LOST = "The carrier never said whether it took the text, and shows no trace of it. Not sent again."
UNREACHABLE = "The carrier could not be reached, several times. The text was not sent."
NO_NUMBER = "The number to text from was removed before the text was sent."
SWITCHED_OFF = "The account was switched off before the text was sent."
AGENT_OFF = "The agent or number was switched off before the text was sent."
EARLIER_PART = "Not sent, because an earlier part of the same text was not delivered."
TAKEN_OVER = "Not sent, because an operator took the conversation over."
ERASED = "The text was erased before the carrier had said what became of it."
CANCELED = "Called off before it was sent."


def in_words(code: int, carriers_words: str = "") -> str:
    """Return what went wrong and what to do, with the carrier's code; its own words where we have
    none."""
    words = (
        _WORDS.get(code)
        or f"The carrier did not deliver the text: {carriers_words or 'no reason given'}"
    )
    return f"{words} (Twilio error {code})"
