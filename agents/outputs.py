"""What the API shows of agents and numbers."""

from typing import Any, cast

from rest_framework import serializers

from agents.effective import effective
from agents.models import Agent, PhoneNumber
from webhooks.outbox import webhook_urls


class AgentOutput(serializers.ModelSerializer[Agent]):
    api_key_id = serializers.CharField(source="api_key.key_id", default=None, read_only=True)

    class Meta:
        model = Agent
        exclude = ("account", "api_key", "precall_webhook_url")
        read_only_fields = ("id", "agent_id", "created_at", "updated_at")


class AgentDeleted(serializers.Serializer[Any]):
    agent_id = serializers.CharField()
    deleted = serializers.BooleanField()


class PhoneNumberOutput(serializers.ModelSerializer[PhoneNumber]):
    agent_id = serializers.CharField(source="agent.agent_id", default=None, read_only=True)
    provider = serializers.CharField(source="carrier_account.provider", read_only=True)
    twilio_number_sid = serializers.CharField(source="carrier_number_sid", read_only=True)
    telnyx_number_id = serializers.SerializerMethodField()
    sms_reply_enabled_effective = serializers.SerializerMethodField(
        help_text="What holds for this number: its own setting, or its agent's where that is null."
    )
    webhook_url = serializers.SerializerMethodField(help_text="Set by /integrations/webhook.")
    webhook_url_2 = serializers.SerializerMethodField(help_text="Set by /integrations/webhook2.")

    class Meta:
        model = PhoneNumber
        exclude = (
            "id",
            "account",
            "agent",
            "carrier_account",
            "carrier_number_sid",
            "make_in_call_url",
        )

    def get_telnyx_number_id(self, number: PhoneNumber) -> str | None:
        return None

    def get_sms_reply_enabled_effective(self, number: PhoneNumber) -> bool:
        return number.agent is not None and effective(number.agent, number).sms_reply_enabled

    def get_webhook_url(self, number: PhoneNumber) -> str | None:
        return self._webhook_urls(number).get((number.phone_number, 1))

    def get_webhook_url_2(self, number: PhoneNumber) -> str | None:
        return self._webhook_urls(number).get((number.phone_number, 2))

    def _webhook_urls(self, number: PhoneNumber) -> dict[tuple[str, int], str]:
        # Read once for all numbers of a list: they are one account's.
        context = cast(dict[str, dict[tuple[str, int], str]], self.context)
        if "webhook_urls" not in context:
            context["webhook_urls"] = webhook_urls(number.account_id)
        return context["webhook_urls"]


class NumberEnvelope(serializers.Serializer[Any]):
    phone_number = PhoneNumberOutput()


class NumberList(serializers.Serializer[Any]):
    phone_numbers = PhoneNumberOutput(many=True)
    count = serializers.IntegerField()


class _DeletedNumber(serializers.Serializer[Any]):
    phone_number = serializers.CharField()
    deleted = serializers.BooleanField()


class NumberDeleted(serializers.Serializer[Any]):
    phone_number = _DeletedNumber()
    message = serializers.CharField(
        required=False, help_text="Only where the carrier could not be told: what to do by hand."
    )
