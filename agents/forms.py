"""The dashboard's forms of agents and numbers: what they mean is checked by the API's own rules."""

from abc import abstractmethod
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import Model
from rest_framework import serializers
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.choices import ObviousChoiceField
from accounts.errors import ApiError
from agents.inputs import AgentInput, NumberImport, NumberSettings
from agents.models import Agent, PhoneNumber
from agents.numbers import import_number


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


class CheckedForm(forms.ModelForm):  # type: ignore[type-arg]
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


class AgentForm(CheckedForm):
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


class PhoneNumberForm(CheckedForm):
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
