"""Agents and numbers in the dashboard, under the same rules as the API."""

from abc import abstractmethod
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from rest_framework import serializers
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.choices import ObviousChoiceField
from accounts.errors import ApiError
from accounts.keys import default_account
from agents.inputs import AgentInput, NumberImport, NumberSettings
from agents.models import Agent, PhoneNumber
from agents.numbers import bring_here, import_number, release_number
from agents.people_admin import CallerAdmin as CallerAdmin  # registers callers and notes


def beside_its_field(error: ApiError, form: forms.BaseForm) -> forms.ValidationError:
    """Return the API's refusal as a form shows it: at the field it is about, else on top."""
    field = str(error.details.get("field", "")).partition(".")[0]
    return forms.ValidationError(
        {field if field in form.fields else NON_FIELD_ERRORS: error.message}
    )


class DoingForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose object a service makes, with the service's refusals shown as the form's own.

    The service is the last check, so it runs as one; it leaves nothing behind when it refuses.
    """

    @abstractmethod
    def do(self, cleaned: dict[str, Any]) -> Model:
        """Make the object and return it, or raise ApiError."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                self.instance = self.do(cleaned)
            except ApiError as error:
                raise beside_its_field(error, self) from error
        return cleaned

    def _post_clean(self) -> None:
        """Leave the object as the service made it."""

    def save(self, commit: bool = True) -> Any:
        return self.instance

    def _save_m2m(self) -> None:
        """Nothing: the service made the object whole."""

    save_m2m = _save_m2m


class _CheckedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose values pass the API's own checks: one truth about ranges and names."""

    checks: type[serializers.Serializer[Any]]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        checked = self.checks(data=self._as_sent(cleaned))
        try:
            checked.is_valid(raise_exception=True)
        except ApiError as error:
            raise beside_its_field(error, self) from error
        except serializers.ValidationError as error:
            raise forms.ValidationError({**error.detail}) from error  # type: ignore[dict-item]
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
        labels = {
            "is_active": "Active",
            "voice_id": "Voice",
            "timezone": "Time zone",
            "llm_model": "Model",
            "ai_speaks_first": "Agent speaks first",
            "dynamic_greeting": "Greeting written for each call",
            "response_eagerness": "Answer after a silence of (ms)",
            "interruption_sensitivity": "Sensitivity to interruptions (0-100)",
            "pickup_delay": "Ring for (seconds) before answering",
            "boosted_keywords": "Words to listen for",
            "fallback_message": "If the model fails, say",
            "stt_confidence": "Recognition: least confidence (0-1)",
            "stt_max_silence_ms": "Recognition: longest silence (ms)",
            "max_call_duration_seconds": "Longest call (seconds)",
            "silence_hangup_seconds": "Hang up after a silence of (seconds)",
            "ivr_timeout_seconds": "Longest time in a phone menu (seconds)",
            "wait_tag_seconds": "Longest wait that was asked for (seconds)",
            "identity_check": "Private notes are used once the caller said their",
            "transfer_type": "Transfers",
            "transfer_number": "Transfer to",
            "transfer_whisper": "Tell the colleague first",
            "record_call": "Record calls",
            "enable_post_call_analysis": "Analyse calls",
            "data_extraction_fields": "Find in each call (JSON)",
            "require_booking_confirmation": "Ask before booking",
            "hangup_on_ivr": "Hang up on phone menus",
            "func_end_call": "Agent may end the call",
            "dtmf_enabled": "Agent may press keys",
            "amd_enabled": "Voicemail detection by the carrier",
            "voicemail_leave_enabled": "Leave a voicemail",
            "incall_sms_enabled": "Texts during the call",
            "post_call_sms_enabled": "Text after the call",
            "post_call_sms_template": "What that text says",
            "enable_sms_reply": "Answer texts",
            "sms_reply_window_hours": "Answer texts for so many hours",
            "webhook_url": "Webhook URL",
        }


class PhoneNumberForm(_CheckedForm):
    checks = NumberSettings

    class Meta:
        model = PhoneNumber
        fields = ()
        labels = {
            "inbound_enabled": "Answers calls",
            "outbound_enabled": "Places calls",
            "custom_prompt": "Prompt of this number",
            "voice_id": "Voice",
            "dtmf_enabled": "Agent may press keys",
            "record_call": "Record calls",
            "require_booking_confirmation": "Ask before booking",
            "voicemail_leave_enabled": "Leave a voicemail",
            "sms_reply_enabled": "Answer texts",
            "sms_prompt": "Prompt of texts",
            "web_prompt": "Prompt of calls from the web",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, forms.NullBooleanField):
                own = [("true", "Yes"), ("false", "No")]
                field.widget.choices = [("unknown", "As the agent has it"), *own]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        agent = cleaned.get("agent")
        if agent is not None and agent.account_id != self.instance.account_id:
            raise forms.ValidationError({"agent": "This agent belongs to another account."})
        return cleaned


class NumberImportForm(DoingForm):
    """What ``POST /v1/phone-numbers`` takes, for people."""

    phone_number = forms.CharField(
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "+447446466847"}),
        help_text="In E.164: a plus, the country code, the number.",
    )
    agent = ObviousChoiceField(
        Agent.objects.select_related("account"),
        widget=UnfoldAdminSelectWidget,
        help_text="Who answers calls to it, and calls from it.",
    )
    twilio_sid = forms.CharField(
        label="Twilio account SID",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "AC…", "autocomplete": "off"}),
    )
    twilio_token = forms.CharField(
        label="Twilio auth token",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="Stored encrypted, never shown again.",
    )

    class Meta:
        model = PhoneNumber
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.SANDBOX:
            self.fields["phone_number"].initial = "+12025550100"
            self.fields["twilio_sid"].initial = settings.SANDBOX_ACCOUNT_SID
            self.fields[
                "twilio_token"
            ].help_text = f"The simulated account's: {settings.SANDBOX_AUTH_TOKEN}"

    def do(self, cleaned: dict[str, Any]) -> Model:
        agent: Agent = cleaned["agent"]
        checked = NumberImport(data={**cleaned, "agent_id": agent.agent_id})
        checked.is_valid(raise_exception=True)
        own = checked.validated_data
        return import_number(
            agent.account, sid=own.pop("twilio_sid"), token=own.pop("twilio_token"), **own
        )


@admin.register(Agent)
class AgentAdmin(ModelAdmin):
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
