"""Calls as a media session gets them, for tests and benchmarks."""

from factory.base import Factory
from factory.declarations import Dict, LazyAttribute, Sequence, Trait

from calls.live import LiveCall


class LiveCallFactory(Factory[LiveCall]):
    """An outbound call whose model writes the opening; nothing of it is in a database."""

    class Meta:
        model = LiveCall

    class Params:
        inbound = Trait(direction="inbound", opening="Hello, how can I help you today?")

    pk = Sequence(lambda number: number + 1)
    call_id = LazyAttribute(lambda call: f"call_{call.pk:016x}")
    carrier_sid = LazyAttribute(lambda call: f"CA{call.pk:032x}")
    direction = "outbound"
    our_number = "+12025550100"
    their_number = "+12025550123"
    generation = 1
    carrier_account_id = 1
    system_stable = "You are Mia, the assistant of Acme Dental. We are open from nine to five."
    system_call = "CALL PURPOSE:\nRemind the caller about their appointment tomorrow."
    model = "claude-haiku-5-5"
    language = "en"
    voice = "aura-2-thalia-en"
    speaking_rate = None
    keyterms = ()
    opening = ""
    speaks_first = True
    fallback_message = "I am sorry, could you say that again?"
    interruption_sensitivity = 50
    response_eagerness_ms = 200
    stt_max_silence_ms = None
    silence_hangup_s = 30
    max_duration_s = 600
    may_end_call = True
    dtmf_enabled = False
    record = True
    voicemail_action = "hangup"
    voicemail_message = ""
    turns = ()
    tools = ()
    extras = Dict({})
