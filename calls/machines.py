"""Machines at the other end of a call: what the carrier calls them, and how their words are marked.

What a phone menu or a phone's assistant says is kept in the transcript as a turn of the caller that
begins with its label. It is never the person's: no memory, no refusal, no answer comes of it.
"""

PHONE_MENU = "[Phone menu]"
CALL_ASSISTANT = "[Call assistant]"
LABELS = (PHONE_MENU, CALL_ASSISTANT)

# How a voicemail was recognised: the public API's names (spec 6.4).
BY_CARRIER = "twilio_amd"
BY_TRANSCRIPT = "llm_transcript"

FAX = "fax"


def is_machine(answered_by: str) -> bool:
    """Whether the carrier's ``AnsweredBy`` names a machine: ``machine_start``, ``fax`` …"""
    return answered_by.startswith("machine") or answered_by == FAX


def said_by_machine(text: str) -> bool:
    """Whether a caller's turn was spoken by a menu or an assistant."""
    return text.startswith(LABELS)
