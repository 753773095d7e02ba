"""What the API shows of text campaigns (spec 4.5)."""

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from campaigns.texts.dispatch import rendered
from campaigns.texts.services import State, counts
from sms.models import Message, TextCampaign, TextRecipient


class TextCampaignOutput(serializers.Serializer[Any]):
    """A campaign with its counts as they are now."""

    campaign_id = serializers.CharField()
    agent_id = serializers.CharField()
    name = serializers.CharField()
    from_number = serializers.CharField()
    status = serializers.ChoiceField(TextCampaign.Status.choices)
    total_count = serializers.IntegerField()
    delivered_count = serializers.IntegerField()
    failed_count = serializers.IntegerField(help_text="failed, undelivered, or never confirmed")
    pending_count = serializers.IntegerField()
    sent_count = serializers.IntegerField()
    replied_count = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field's own property
    scheduled_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class TextCampaignList(serializers.Serializer[Any]):
    campaigns = TextCampaignOutput(many=True)
    count = serializers.IntegerField()


class TextCampaignDeleted(serializers.Serializer[Any]):
    campaign_id = serializers.CharField()
    deleted = serializers.BooleanField()
    cancelled_count = serializers.IntegerField()


_NONE = dict.fromkeys(
    (
        "total_count",
        "delivered_count",
        "failed_count",
        "pending_count",
        "sent_count",
        "replied_count",
    ),
    0,
)


def shown(campaigns: Iterable[TextCampaign]) -> list[dict[str, Any]]:
    """Return what ``TextCampaignOutput`` describes."""
    campaigns = list(campaigns)
    found = counts(campaigns)
    return [_one(campaign, found.get(campaign.pk, _NONE)) for campaign in campaigns]


def _one(campaign: TextCampaign, numbers: dict[str, int]) -> dict[str, Any]:
    return {
        "campaign_id": campaign.campaign_id,
        "agent_id": campaign.agent_public_id,
        "name": campaign.name,
        "from_number": campaign.from_number,
        "status": campaign.status,
        **numbers,
        "recipients_count": numbers["total_count"],
        "source": campaign.source,
        "scheduled_at": campaign.scheduled_at,
        "started_at": campaign.started_at,
        "completed_at": campaign.ended_at,
        "created_at": campaign.created_at,
    }


def whole(campaign: TextCampaign, people: Iterable[TextRecipient]) -> dict[str, Any]:
    """Return a campaign with its text and ``people``."""
    return {
        **shown([campaign])[0],
        "message_template": campaign.message_template,
        "message": campaign.message_template,
        "context_prompt": campaign.context_prompt,
        "reply_window_hours": campaign.reply_window_hours,
        "timezone": campaign.timezone,
        "windows": campaign.windows,
        "follow_law": campaign.follow_law,
        "recipients": [_person(campaign, person) for person in people],
    }


def _person(campaign: TextCampaign, person: TextRecipient) -> dict[str, Any]:
    text = person.message
    parts = list(text.parts.all()) if text else []
    return {
        "phone": person.phone,
        "variables": person.variables,
        "status": _status(person, text),
        "message_id": text.message_id if text else None,
        "twilio_sid": next((part.carrier_sid for part in parts if part.carrier_sid), None),
        "rendered_message": text.body if text else rendered(campaign, person),
        "error_code": text.error_code if text else None,
        "error_message": (text.error_message if text else person.error_message) or None,
        "sent_at": text.sent_at if text else None,
    }


def _status(person: TextRecipient, text: Message | None) -> str:
    if text is not None:
        return str(text.status)
    if person.outcome:
        return person.outcome
    return "failed" if person.state == State.FAILED else "pending"
