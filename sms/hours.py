"""When a person may be texted."""

from datetime import datetime

from django.conf import settings
from django.db import connection

from accounts.hours.enforcement import NOT_SOON, held_until, late_until
from accounts.hours.laws import layers_of
from accounts.hours.windows import Hours, layers_from_json
from sms.campaign_models import TextCampaign, TextRecipient
from sms.models import Message, MessagePart


def hours_of(campaign: TextCampaign, person: TextRecipient, *, lawful: bool = False) -> Hours:
    """Return when a campaign may text a person: within its own windows and, where it or its account
    is to follow the law or the caller says ``lawful``, the law's, in every zone in which they may
    be."""
    layers = layers_from_json(campaign.windows)
    if lawful or campaign.follow_law or campaign.account.enforce_calling_hours:
        layers += layers_of(person.law)
    return Hours(layers, tuple(person.zones) or (campaign.timezone,))


def next_hours(
    campaign: TextCampaign, person: TextRecipient, now: datetime, *, lawful: bool = False
) -> datetime | None:
    """Return when a campaign may text a person next, as ``hours_of``; None: it may now."""
    hours = hours_of(campaign, person, lawful=lawful)
    return None if hours.allow(now) else hours.next_opening(now) or now + NOT_SOON


def waits_until(message: Message, part: MessagePart, now: datetime) -> datetime | None:
    """Return until when a text that comes too late for its person's hours waits; None: it may go.

    Asked as the carrier is about to be, since a text may have waited long for its turn. Half a text
    is not held back.
    """
    if part.number > 1:
        return None
    zone = message.agent.timezone if message.agent else settings.TIME_ZONE
    if until := late_until(message.to_number, zone, _asked_at(message), now):
        return until
    if message.origin == Message.Origin.CAMPAIGN:
        person = (
            TextRecipient.objects.filter(message=message)
            .select_related("campaign__account")
            .first()
        )
        return next_hours(person.campaign, person, now) if person else None
    if message.origin == Message.Origin.API:
        return held_until(message.account, message.to_number, zone, now)
    return None


def _asked_at(message: Message) -> datetime:
    """Return when a text was asked for; an answer, when what it answers was written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT created_at FROM sms_message WHERE id = %s", [message.answers_id])
        answered = cursor.fetchone()
    return answered[0] if answered else message.created_at
