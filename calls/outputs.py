"""What the API shows of a call (spec 4.2), with the names that older clients read."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from calls.models import Call, Transfer, Turn
from calls.recordings import signed_url

# An interrupted sentence counts as said if so much of it was heard (spec 6.11).
HEARD_ENOUGH = 0.75


def transcript(turns: list[Turn], *, agent: str = "AI") -> str:
    """Return the conversation as text, a line a turn: ``AI: …`` and ``Caller: …``.

    Webhooks call the ``agent`` by another word (spec 5.3).
    """
    speakers = {Turn.Role.AGENT.value: agent, Turn.Role.CALLER.value: "Caller"}
    return "\n".join(
        f"{speakers[turn.role]}: {' '.join(turn.text.split())}" for turn in turns if was_said(turn)
    )


def was_said(turn: Turn) -> bool:
    if not turn.text.strip():
        return False
    if not turn.interrupted or not turn.full_text:
        return True
    return len(turn.text) >= HEARD_ENOUGH * len(turn.full_text)


class _Epoch(serializers.Field[datetime, Any, int | None, Any]):
    """Milliseconds since 1970, or null."""

    def to_representation(self, value: datetime) -> int:
        return round(value.timestamp() * 1000)


@extend_schema_field(int)
class Epoch(_Epoch):
    pass


class TransferOutput(serializers.ModelSerializer[Transfer]):
    """One attempt to put the call through to a person."""

    type = serializers.CharField(source="kind", help_text="cold or warm")
    status = serializers.CharField(
        help_text="asked, ringing, whispering, bridged, failed, caller_gone"
    )
    failure = serializers.SerializerMethodField(
        help_text="no-answer, busy, declined, canceled, failed; null if it did not fail"
    )
    asked_at = Epoch(help_text="ms")
    bridged_at = Epoch(allow_null=True, help_text="When the two were connected, ms.")
    ended_at = Epoch(allow_null=True, help_text="ms")

    class Meta:
        model = Transfer
        fields = (
            "to_number",
            "type",
            "status",
            "failure",
            "asked_at",
            "bridged_at",
            "ended_at",
            "whisper",
        )

    def get_failure(self, transfer: Transfer) -> str | None:
        return transfer.failure or None


class CallOutput(serializers.ModelSerializer[Call]):
    agent_id = serializers.CharField(source="agent_public_id")
    call_direction = serializers.CharField(source="direction")
    call_type = serializers.CharField(source="direction", help_text="Same as call_direction.")
    call_status = serializers.CharField(source="status")
    start_timestamp = Epoch(source="created_at", help_text="When the call was asked for, ms.")
    answered_at = Epoch(allow_null=True, help_text="ms")
    end_timestamp = Epoch(source="ended_at", allow_null=True, help_text="ms")
    charged_minutes = serializers.FloatField()
    ended_reason = serializers.SerializerMethodField(help_text="null until the call is over")
    transcript = serializers.SerializerMethodField()
    transfers = TransferOutput(many=True, help_text="To whom it was put through, in order.")
    recording_url = serializers.SerializerMethodField(help_text="Valid for 24 hours.")
    error_message = serializers.SerializerMethodField(
        help_text="Why the carrier did not connect the call, in words."
    )
    # read by older clients
    to = serializers.CharField(source="to_number")
    started_at = serializers.DateTimeField(source="created_at")
    duration_seconds = serializers.SerializerMethodField()

    # Text that is not there yet is null.
    call_summary = serializers.SerializerMethodField()
    caller_sentiment = serializers.SerializerMethodField()
    voicemail_detection_method = serializers.SerializerMethodField()
    amd_result = serializers.SerializerMethodField()
    call_reason = serializers.SerializerMethodField()
    caller_name = serializers.SerializerMethodField()
    campaign_id = serializers.SerializerMethodField()
    carrier_sid = serializers.SerializerMethodField()

    class Meta:
        model = Call
        fields = (
            "call_id",
            "agent_id",
            "call_direction",
            "call_type",
            "from_number",
            "to_number",
            "call_status",
            "start_timestamp",
            "answered_at",
            "end_timestamp",
            "duration_ms",
            "charged_minutes",
            "ended_reason",
            "transcript",
            "call_summary",
            "caller_sentiment",
            "call_successful",
            "extracted_data",
            "extracted_from",
            "bookings",
            "transfers",
            "recording_url",
            "recording_duration_s",
            "voicemail_detected",
            "voicemail_detection_method",
            "amd_result",
            "call_reason",
            "caller_name",
            "campaign_id",
            "avg_latency_ms",
            "created_at",
            "error_code",
            "error_message",
            "metadata",
            "carrier_sid",
            "status",
            "direction",
            "to",
            "started_at",
            "duration_seconds",
            "system_prompt_used",
            "memory_used",
        )

    def to_representation(self, call: Call) -> dict[str, Any]:
        # "from" is no name a class body can hold.
        return {**super().to_representation(call), "from": call.from_number}

    def get_ended_reason(self, call: Call) -> str | None:
        return call.ended_reason or None

    def get_transcript(self, call: Call) -> str:
        return transcript(list(call.turns.all()))

    def get_recording_url(self, call: Call) -> str | None:
        return signed_url(call)

    def get_error_message(self, call: Call) -> str | None:
        return call.error_message or None

    def get_duration_seconds(self, call: Call) -> int:
        return round(call.duration_ms / 1000)

    def get_call_summary(self, call: Call) -> str | None:
        return call.call_summary or None

    def get_caller_sentiment(self, call: Call) -> str | None:
        return call.caller_sentiment or None

    def get_voicemail_detection_method(self, call: Call) -> str | None:
        return call.voicemail_detection_method or None

    def get_amd_result(self, call: Call) -> str | None:
        return call.amd_result or None

    def get_call_reason(self, call: Call) -> str | None:
        return call.call_reason or None

    def get_caller_name(self, call: Call) -> str | None:
        return call.caller_name or None

    def get_campaign_id(self, call: Call) -> str | None:
        return call.campaign_id or None

    def get_carrier_sid(self, call: Call) -> str | None:
        return call.carrier_sid or None


class CallPlaced(serializers.Serializer[Any]):
    """The answer to a new call, in the words of every generation of clients."""

    call_id = serializers.CharField()
    status = serializers.CharField(help_text="initiated")
    agent_id = serializers.CharField()
    to = serializers.CharField()
    to_number = serializers.CharField()
    from_number = serializers.CharField()
    metadata = serializers.DictField()


def placed(call: Call) -> dict[str, Any]:
    """Return what ``CallPlaced`` describes, and ``from``."""
    return {
        "call_id": call.call_id,
        "status": "initiated",
        "agent_id": call.agent_public_id,
        "to": call.to_number,
        "to_number": call.to_number,
        "from": call.from_number,
        "from_number": call.from_number,
        "metadata": call.metadata,
    }


class CallDeleted(serializers.Serializer[Any]):
    call_id = serializers.CharField()
    deleted = serializers.BooleanField()
    recording_deleted = serializers.BooleanField(help_text="false: there was no file")


class AllDeleted(serializers.Serializer[Any]):
    deleted = serializers.BooleanField()
    calls_deleted = serializers.IntegerField()
    recordings_deleted = serializers.IntegerField()
    sms_deleted = serializers.IntegerField()


class PersonForgotten(serializers.Serializer[Any]):
    phone_number = serializers.CharField()
    forgotten = serializers.BooleanField()
    calls_deleted = serializers.IntegerField()
    recordings_deleted = serializers.IntegerField()
    sms_deleted = serializers.IntegerField()


class AccountDeleted(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    message = serializers.CharField()
