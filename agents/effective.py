"""What holds for one call: a number's setting where it has one, else its agent's (spec 4.7)."""

from dataclasses import dataclass

from django.conf import settings

from agents import languages, voices
from agents.models import Agent, PhoneNumber

# More key terms than the recogniser takes would break it for the whole call.
MOST_KEYTERMS = 50


@dataclass(frozen=True, slots=True)
class Effective:
    """Settings with nothing left to inherit. Times are in the unit of their name."""

    llm_model: str
    business_profile: str
    # speech
    language: str  # "multi" or the agent's code
    start_language: str  # two letters
    transcription_model: str
    transcription_language: str
    voice: str  # the speech service's model name
    speaking_rate: float | None
    keyterms: tuple[str, ...]
    # switches
    dtmf_enabled: bool
    record_call: bool
    recording_source: str
    require_booking_confirmation: bool
    voicemail_leave_enabled: bool
    voicemail_message: str  # "" unless a message is to be left
    sms_reply_enabled: bool


def effective(agent: Agent, number: PhoneNumber | None = None) -> Effective:
    """Return the settings of a call of ``agent`` through ``number`` (None: a call without one)."""
    n = number
    model, transcription_language = languages.transcription(
        agent.language, flux=settings.TRANSCRIBER == "flux"
    )
    leave = _own_or(n.voicemail_leave_enabled if n else None, agent.voicemail_leave_enabled)
    message = (n.voicemail_message if n else None) or agent.voicemail_message or ""
    return Effective(
        llm_model=agent.llm_model if agent.llm_model.startswith("claude-") else settings.LLM_MODEL,
        business_profile=(n.custom_prompt if n else None) or "",
        language=agent.language,
        start_language=languages.start_language(agent.language, agent.system_prompt),
        transcription_model=model,
        transcription_language=transcription_language,
        voice=_voice(n.voice_id if n else None, agent.voice_id),
        speaking_rate=_own_or(n.speaking_rate if n else None, agent.speaking_rate),
        keyterms=keyterms(agent.boosted_keywords),
        # Nobody asked for keypad input: it is off.
        dtmf_enabled=bool(_own_or(n.dtmf_enabled if n else None, agent.dtmf_enabled)),
        record_call=_own_or(n.record_call if n else None, agent.record_call),
        recording_source=_own_or(n.recording_source if n else None, agent.recording_source),
        require_booking_confirmation=_own_or(
            n.require_booking_confirmation if n else None, agent.require_booking_confirmation
        ),
        voicemail_leave_enabled=leave and bool(message),
        voicemail_message=message if leave else "",
        sms_reply_enabled=_own_or(n.sms_reply_enabled if n else None, agent.enable_sms_reply),
    )


def keyterms(csv: str | None) -> tuple[str, ...]:
    """Return the terms of a comma-separated list, each once, at most ``MOST_KEYTERMS``."""
    terms = (term.strip() for term in (csv or "").split(","))
    return tuple(dict.fromkeys(term for term in terms if term))[:MOST_KEYTERMS]


# Not within ``effective``: a generic function that is made anew for each call makes types anew, and
# ``typing`` keeps them.
def _own_or[T](own: T | None, agents: T) -> T:
    return agents if own is None else own


def _voice(numbers: str | None, agents: str) -> str:
    # A number's unknown voice is no error: the agent speaks with its own.
    voice = (numbers and voices.find_voice(numbers)) or voices.find_voice(agents)
    return (voice or voices.VOICES[voices.DEFAULT]).model
