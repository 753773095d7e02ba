"""What the API takes in for agents and numbers: types, ranges and error codes of every field."""

import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django.conf import settings
from rest_framework import serializers

from accounts.errors import ApiError, invalid_field, missing_field
from accounts.fields import E164, Flag, Items, Object, OneOf, Real, Text, Whole
from agents import languages, voices
from agents.models import Agent, RecordingSource

# The oldest clients send words; lower is harder to interrupt.
_SENSITIVITY_WORDS = {"low": 25, "medium": 50, "high": 75}
_TWILIO_SID = re.compile(r"AC[0-9a-f]{32}", re.ASCII)


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


class _Voice(Text):
    def to_internal_value(self, data: Any) -> str:
        voice_id = super().to_internal_value(data)
        if voices.find_voice(voice_id) is None:
            raise invalid_field(
                "voice_id",
                f"must be one of {', '.join(voices.VOICES)}, or a model name as aura-2-thalia-en.",
                "invalid_voice_id",
            )
        return voice_id


class _Language(Text):
    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data)
        if not languages.is_language(code):
            known = ", ".join(languages.NAMES)
            raise invalid_field(
                "language",
                f"must be multi or a language code: {known}; with a region if need be, as en-GB.",
                "invalid_language",
            )
        return code


class Timezone(Text):
    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if name not in _timezones():
            raise invalid_field(
                "timezone", "must be an IANA time zone, as Europe/London.", "invalid_timezone"
            )
        return name


class _Sensitivity(Whole):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and data in _SENSITIVITY_WORDS:
            return _SENSITIVITY_WORDS[data]
        return super().to_internal_value(data)


class _Url(Text):
    def to_internal_value(self, data: Any) -> str:
        url = super().to_internal_value(data)
        if not url:
            return url
        schemes = {"https", "http"} if settings.OUTBOUND_ALLOW_PRIVATE else {"https"}
        try:
            parts = urlsplit(url)
            fine = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fine = False
        if not fine or re.search(r"\s", url):
            raise invalid_field(self.field_name or "", "must be an https URL.", "invalid_url")
        return url


class _Transfer(E164):
    def run_validation(self, data: Any = serializers.empty) -> Any:
        return None if data == "" else super().run_validation(data)


class _Fields(Items):
    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        fields = super().to_internal_value(data)
        for index, field in enumerate(fields):
            if not isinstance(field.get("name"), str) or not field["name"]:
                raise missing_field(f"{self.field_name}.{index}.name")
            if field.get("type", "text") not in {"text", "selector", "boolean", "number"}:
                raise invalid_field(
                    f"{self.field_name}.{index}.type",
                    "must be one of: text, selector, boolean, number.",
                )
        return fields


def _nullable(**kwargs: Any) -> dict[str, Any]:
    return {"allow_null": True, **kwargs}


class AgentInput(serializers.Serializer[Agent]):
    """The body of ``POST /agents`` and ``PUT /agents/{id}``: all optional, others ignored."""

    name = Text(max_length=100, allow_blank=False)
    system_prompt = Text(max_length=16_000, too_long="prompt_too_long")
    welcome_message = Text(max_length=2_000)
    voice_id = _Voice(max_length=64)
    language = _Language(max_length=16)
    timezone = Timezone(max_length=64)
    llm_model = Text(max_length=64)
    is_active = Flag()

    temperature = Real(0, 1)
    response_length = OneOf(Agent.ResponseLength.choices)
    ai_speaks_first = Flag()
    dynamic_greeting = Flag()
    greet_by_name = Flag()
    interruption_sensitivity = _Sensitivity(0, 100)
    response_eagerness = Whole(0, 1_000)
    boosted_keywords = Text(**_nullable(max_length=10_000))
    pickup_delay = Whole(5, 30)
    stt_confidence = Real(0, 1, **_nullable())
    stt_max_silence_ms = Whole(100, 5_000, **_nullable())
    fallback_message = Text(max_length=2_000)
    speaking_rate = Real(0.5, 1.5, clamp=True, **_nullable())
    voice_speed = Real(0.5, 2, clamp=True)

    max_call_duration_seconds = Whole(60, 1_800)
    silence_hangup_seconds = Whole(5, 45)
    ivr_timeout_seconds = Whole(60, 1_800)
    wait_tag_seconds = Whole(30, 120)
    record_call = Flag()
    recording_source = OneOf(RecordingSource.choices, code="invalid_recording_source")
    amd_enabled = Flag()
    dtmf_enabled = Flag(**_nullable())
    require_booking_confirmation = Flag()
    voicemail_leave_enabled = Flag()
    voicemail_message = Text(**_nullable(max_length=2_000))
    hangup_on_ivr = Flag()
    webhook_url = _Url(**_nullable(max_length=2_000))

    func_end_call = Flag()
    incall_sms_enabled = Flag()
    transfer_type = OneOf(Agent.TransferType.choices)
    identity_check = OneOf(Agent.IdentityCheck.choices)
    transfer_number = _Transfer(**_nullable())
    transfer_whisper = Text(**_nullable(max_length=2_000))
    func_send_sms = Flag()
    func_cold_transfer = Flag()
    functions = Items(50)

    enable_post_call_analysis = Flag()
    data_extraction_fields = _Fields(50)
    extraction_schema = Object(**_nullable())
    post_call_sms_enabled = Flag()
    post_call_sms_template = Text(**_nullable(max_length=1_600))
    enable_sms_reply = Flag()
    sms_reply_window_hours = Whole(1, 720)
    phone_number = Text(**_nullable(max_length=32))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, partial=True, **kwargs)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        given: dict[str, Any] = super().to_internal_value(data)
        if given.get("webhook_url") == "":
            given["webhook_url"] = None
        return given


class NumberSettings(serializers.Serializer[Any]):
    """A number's own settings. Null means "as the agent has it"."""

    inbound_enabled = Flag(required=False)
    outbound_enabled = Flag(required=False)
    custom_prompt = Text(
        **_nullable(max_length=8_000, too_long="custom_prompt_too_long", required=False)
    )
    # Any name: one that is not known falls back to the agent's voice.
    voice_id = Text(**_nullable(max_length=64, required=False))
    speaking_rate = Real(0.5, 1.5, clamp=True, **_nullable(required=False))
    dtmf_enabled = Flag(**_nullable(required=False))
    record_call = Flag(**_nullable(required=False))
    recording_source = OneOf(
        RecordingSource.choices, code="invalid_recording_source", **_nullable(required=False)
    )
    require_booking_confirmation = Flag(**_nullable(required=False))
    voicemail_leave_enabled = Flag(**_nullable(required=False))
    voicemail_message = Text(**_nullable(max_length=2_000, required=False))
    sms_reply_enabled = Flag(**_nullable(required=False))
    sms_prompt = Text(
        **_nullable(max_length=20_000, too_long="sms_prompt_too_long", required=False)
    )
    web_prompt = Text(
        **_nullable(max_length=20_000, too_long="web_prompt_too_long", required=False)
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        given: dict[str, Any] = super().to_internal_value(data)
        # Empty text clears, as null does.
        cleared = ("custom_prompt", "voice_id", "voicemail_message", "sms_prompt", "web_prompt")
        given.update({name: None for name in cleared if given.get(name) == ""})
        return given


class NumberUpdate(NumberSettings):
    """The body of ``PATCH /phone-numbers/{number}``: at least one field; others are ignored."""

    agent_id = Text(**_nullable(max_length=64, required=False))

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        given: dict[str, Any] = super().to_internal_value(data)
        if not given:
            raise ApiError(
                "missing_field",
                f"Send at least one field to change: {', '.join(self.fields)}.",
            )
        return given


class NumberImport(NumberSettings):
    """The body of ``POST /phone-numbers``; camelCase and the SDKs' longer names are read too."""

    phone_number = E164()
    agent_id = Text(max_length=64)
    twilio_sid = Text(max_length=64)
    twilio_token = Text(max_length=128)

    ALIASES = {
        "phone_number": ("phoneNumber",),
        "agent_id": ("agentId",),
        "custom_prompt": ("customPrompt",),
        "twilio_sid": ("twilio_account_sid", "twilioSid", "twilioAccountSid"),
        "twilio_token": ("twilio_auth_token", "twilioToken", "twilioAuthToken"),
    }
    TELNYX = ("telnyx_api_key", "telnyx_connection_id", "telnyxApiKey", "telnyxConnectionId")

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        known = dict(data)
        for name, others in self.ALIASES.items():
            for other in others:
                if known.get(name) is None and known.get(other) is not None:
                    known[name] = known[other]
        for name in ("phone_number", "agent_id"):
            if known.get(name) in (None, ""):
                raise missing_field(name)
        if not known.get("twilio_sid") and any(known.get(name) for name in self.TELNYX):
            raise ApiError(
                "telnyx_not_supported",
                "Numbers of Telnyx are not supported yet. Import a number of a Twilio account with "
                "twilio_sid and twilio_token.",
            )
        for name in ("twilio_sid", "twilio_token"):
            if known.get(name) in (None, ""):
                raise missing_field(name)
        given: dict[str, Any] = super().to_internal_value(known)
        return given

    def validate_twilio_sid(self, sid: str) -> str:
        if not _TWILIO_SID.fullmatch(sid):
            raise invalid_field(
                "twilio_sid", "must be AC and 32 lower-case hex digits.", "invalid_twilio_sid"
            )
        return sid
