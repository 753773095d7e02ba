"""Agents and numbers in the dashboard, under the same rules as the API."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from rest_framework import serializers
from unfold.admin import ModelAdmin

from accounts.errors import ApiError
from agents.inputs import AgentInput, NumberSettings
from agents.models import Agent, PhoneNumber
from agents.numbers import release_number


class _CheckedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose values pass the API's own checks: one truth about ranges and names."""

    checks: type[serializers.Serializer[Any]]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        checked = self.checks(data=self._as_sent(cleaned))
        try:
            checked.is_valid(raise_exception=True)
        except ApiError as error:
            field = str(error.details.get("field", "")).partition(".")[0]
            raise forms.ValidationError(
                {field if field in self.fields else NON_FIELD_ERRORS: error.message}
            ) from error
        return {**cleaned, **checked.validated_data}

    def _as_sent(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        fields = self.checks().fields
        sent = {name: value for name, value in cleaned.items() if name in fields}
        # A form cannot say null in a text field: empty means it where null is allowed.
        return {
            name: None if value == "" and fields[name].allow_null else value
            for name, value in sent.items()
        }


class AgentForm(_CheckedForm):
    checks = AgentInput

    class Meta:
        model = Agent
        fields = ()


class PhoneNumberForm(_CheckedForm):
    checks = NumberSettings

    class Meta:
        model = PhoneNumber
        fields = ()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        agent = cleaned.get("agent")
        if agent is not None and agent.account_id != self.instance.account_id:
            raise forms.ValidationError({"agent": "This agent belongs to another account."})
        return cleaned


@admin.register(Agent)
class AgentAdmin(ModelAdmin):
    form = AgentForm
    list_display = ("name", "agent_id", "account", "language", "voice_id", "numbers", "is_active")
    list_filter = ("is_active", "account", "language", "response_length", "record_call")
    search_fields = ("name", "agent_id", "system_prompt")
    list_select_related = ("account",)
    autocomplete_fields = ("account",)
    readonly_fields = ("agent_id", "api_key", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("name", "agent_id", "account", "is_active", "api_key")}),
        (
            "Who speaks",
            {
                "fields": (
                    "system_prompt",
                    "welcome_message",
                    "voice_id",
                    "language",
                    "timezone",
                    "llm_model",
                    "temperature",
                    "response_length",
                )
            },
        ),
        (
            "Conversation",
            {
                "fields": (
                    "ai_speaks_first",
                    "dynamic_greeting",
                    "greet_by_name",
                    "interruption_sensitivity",
                    "response_eagerness",
                    "pickup_delay",
                    "boosted_keywords",
                    "stt_confidence",
                    "stt_max_silence_ms",
                    "fallback_message",
                    "speaking_rate",
                )
            },
        ),
        (
            "Call controls",
            {
                "fields": (
                    "max_call_duration_seconds",
                    "silence_hangup_seconds",
                    "ivr_timeout_seconds",
                    "wait_tag_seconds",
                    "func_end_call",
                    "dtmf_enabled",
                    "hangup_on_ivr",
                    "transfer_type",
                    "transfer_number",
                    "transfer_whisper",
                )
            },
        ),
        (
            "Voicemail and recording",
            {
                "fields": (
                    "amd_enabled",
                    "voicemail_leave_enabled",
                    "voicemail_message",
                    "record_call",
                    "recording_source",
                )
            },
        ),
        (
            "After the call, and texts",
            {
                "fields": (
                    "enable_post_call_analysis",
                    "data_extraction_fields",
                    "require_booking_confirmation",
                    "incall_sms_enabled",
                    "post_call_sms_enabled",
                    "post_call_sms_template",
                    "enable_sms_reply",
                    "sms_reply_window_hours",
                    "webhook_url",
                )
            },
        ),
        ("Dates", {"fields": ("created_at", "updated_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        rows: QuerySet[Agent] = super().get_queryset(request)
        return rows.annotate(number_count=Count("phone_numbers"))

    @admin.display(ordering="number_count")
    def numbers(self, agent: Any) -> int:
        return int(agent.number_count)


@admin.register(PhoneNumber)
class PhoneNumberAdmin(ModelAdmin):
    """Numbers come by import over the API, which asks the carrier; deleting tells it too."""

    form = PhoneNumberForm
    list_display = ("phone_number", "agent", "account", "inbound_enabled", "outbound_enabled")
    list_filter = ("inbound_enabled", "outbound_enabled", "account")
    search_fields = ("phone_number", "agent__name", "agent__agent_id")
    list_select_related = ("agent", "account")
    autocomplete_fields = ("agent",)
    readonly_fields = (
        "account",
        "phone_number",
        "carrier_account",
        "carrier_number_sid",
        "created_at",
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "phone_number",
                    "account",
                    "agent",
                    "inbound_enabled",
                    "outbound_enabled",
                )
            },
        ),
        (
            "In place of the agent's (empty: as the agent has it)",
            {
                "fields": (
                    "custom_prompt",
                    "voice_id",
                    "speaking_rate",
                    "dtmf_enabled",
                    "record_call",
                    "recording_source",
                    "require_booking_confirmation",
                    "voicemail_leave_enabled",
                    "voicemail_message",
                    "sms_reply_enabled",
                    "sms_prompt",
                    "web_prompt",
                )
            },
        ),
        ("Carrier", {"fields": ("carrier_account", "carrier_number_sid", "created_at")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self._release(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PhoneNumber]) -> None:
        for number in queryset.select_related("account"):
            self._release(request, number)

    def _release(self, request: HttpRequest, number: Any) -> None:
        released = release_number(number.account, number.phone_number)
        if not released.carrier_cleared:
            self.message_user(
                request,
                f"Twilio could not be told about {released.phone_number}: clear its webhooks in "
                "the Twilio console.",
                messages.WARNING,
            )
