"""Agents and numbers in the dashboard, under the same rules as the API."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action

from accounts.admin_pages import FindsWhatIsNamed
from accounts.errors import ApiError
from accounts.keys import default_account
from agents.forms import AgentForm, NumberImportForm, PhoneNumberForm
from agents.models import Agent, PhoneNumber
from agents.numbers import bring_here, release_number
from agents.people_admin import CallerAdmin as CallerAdmin  # registers callers and notes


@admin.register(Agent)
class AgentAdmin(FindsWhatIsNamed, ModelAdmin):
    form = AgentForm
    list_display = ("name", "agent_id", "account", "language", "voice_id", "numbers", "is_active")
    list_filter = ("is_active", "account", "language", "response_length", "record_call")
    search_fields = ("name", "agent_id", "system_prompt")
    list_select_related = ("account",)
    autocomplete_fields = ("account",)
    readonly_fields = ("agent_id", "api_key", "created_at", "updated_at")
    actions_detail = ("call_somebody", "talk")
    fieldsets = (
        (None, {"fields": ("name", "agent_id", "account", "is_active", "api_key")}),
        (
            "Who speaks",
            {
                "classes": ("tab",),
                "fields": (
                    "system_prompt",
                    "welcome_message",
                    "voice_id",
                    "language",
                    "timezone",
                    "llm_model",
                    "temperature",
                    "response_length",
                ),
            },
        ),
        (
            "Conversation",
            {
                "classes": ("tab",),
                "fields": (
                    "ai_speaks_first",
                    "dynamic_greeting",
                    "greet_by_name",
                    "interruption_sensitivity",
                    "response_eagerness",
                    "pickup_delay",
                    "identity_check",
                    "boosted_keywords",
                    "stt_confidence",
                    "stt_max_silence_ms",
                    "fallback_message",
                    "speaking_rate",
                ),
            },
        ),
        (
            "Call controls",
            {
                "classes": ("tab",),
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
                ),
            },
        ),
        (
            "Voicemail and recording",
            {
                "classes": ("tab",),
                "fields": (
                    "amd_enabled",
                    "voicemail_leave_enabled",
                    "voicemail_message",
                    "record_call",
                    "recording_source",
                ),
            },
        ),
        (
            "After the call, and texts",
            {
                "classes": ("tab",),
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
                ),
            },
        ),
        ("Dates", {"classes": ("tab",), "fields": ("created_at", "updated_at")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Its numbers, keys and calls would stay with the account that it left.
        own = super().get_readonly_fields(request, obj)
        return own if obj is None else (*own, "account")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out what only an agent that exists has."""
        if obj is not None:
            return super().get_fieldsets(request, obj)
        head = (None, {"fields": ("name", "account", "is_active")})
        return (head, *self.fieldsets[1:-1])

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"account": default_account().pk, **initial}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        rows: QuerySet[Agent] = super().get_queryset(request)
        return rows.annotate(number_count=Count("phone_numbers"))

    @admin.display(ordering="number_count")
    def numbers(self, agent: Any) -> int:
        return int(agent.number_count)

    @action(description="Call somebody", icon="call")  # type: ignore[untyped-decorator]
    def call_somebody(self, request: HttpRequest, object_id: str) -> HttpResponseRedirect:
        return HttpResponseRedirect(f"{reverse('admin:calls_call_add')}?agent={object_id}")

    @action(description="Talk to it", icon="mic")  # type: ignore[untyped-decorator]
    def talk(self, request: HttpRequest, object_id: str) -> HttpResponseRedirect:
        return HttpResponseRedirect(f"{reverse('admin:calls_call_talk')}?agent={object_id}")


@admin.register(PhoneNumber)
class PhoneNumberAdmin(ModelAdmin):
    """Adding imports a number, as the API does: the carrier is asked; deleting tells it too."""

    form = PhoneNumberForm
    list_display = ("phone_number", "agent", "account", "inbound_enabled", "outbound_enabled")
    list_filter = ("inbound_enabled", "outbound_enabled", "account")
    search_fields = ("phone_number", "agent__name", "agent__agent_id")
    list_select_related = ("agent", "account")
    autocomplete_fields = ("agent",)
    actions = ("bring_here",)
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

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        kwargs["extra_context"] = {"title": "Import a number"}
        return super().add_view(request, *args, **kwargs)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs["form"] = NumberImportForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ((None, {"fields": tuple(NumberImportForm.base_fields)}),)
        return super().get_fieldsets(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else super().get_readonly_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self._release(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PhoneNumber]) -> None:
        for number in queryset.select_related("account"):
            self._release(request, number)

    @admin.action(description="Have Twilio bring calls and texts here", permissions=["change"])
    def bring_here(self, request: HttpRequest, numbers: QuerySet[PhoneNumber]) -> None:
        for number in numbers.with_owners():  # type: ignore[attr-defined]
            try:
                bring_here(number)
            except ApiError as error:
                self.message_user(request, f"{number}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{number}: Twilio was told {settings.PUBLIC_URL}.")

    def _release(self, request: HttpRequest, number: Any) -> None:
        released = release_number(number.account, number.phone_number)
        if not released.carrier_cleared:
            self.message_user(
                request,
                f"Twilio could not be told about {released.phone_number}: clear its webhooks in "
                "the Twilio console.",
                messages.WARNING,
            )
