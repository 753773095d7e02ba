"""What campaigns hold about a person, erased with everything else about them."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import Account
from accounts.phone_numbers import may_mean
from campaigns.models import Campaign, Recipient, RecipientCall
from sms.models import TextCampaign, TextRecipient

_AT_ONCE = 5_000


def on_person_forgotten(sender: object, account: Account, phone_number: str, **_: Any) -> None:
    """Take a person out of every campaign of the account, the finished ones too."""
    for campaign in _with_refused_rows(account):  # campaigns first, as everybody locks them
        if _refused_rows(campaign, phone_number):
            _drop_refused_rows(campaign.pk, phone_number)
    Recipient.objects.filter(campaign__account=account, phone=phone_number).delete()
    TextRecipient.objects.filter(campaign__account=account, phone=phone_number).delete()


def _with_refused_rows(account: Account) -> QuerySet[Campaign]:
    return Campaign.objects.of(account).filter(intake__invalid__0__isnull=False).order_by("pk")


def _refused_rows(campaign: Campaign, phone_number: str) -> list[dict[str, Any]]:
    """The rows kept for people to read that may mean a number, however it was written."""
    rows = campaign.intake.get("invalid", [])
    return [row for row in rows if may_mean(row["phone"], phone_number)]


@transaction.atomic
def _drop_refused_rows(campaign_pk: int, phone_number: str) -> None:
    campaign = Campaign.objects.select_for_update(of=("self",)).filter(pk=campaign_pk).first()
    if campaign is not None:
        theirs = _refused_rows(campaign, phone_number)
        left = [row for row in campaign.intake.get("invalid", []) if row not in theirs]
        campaign.intake = {**campaign.intake, "invalid": left}
        campaign.save(update_fields=["intake"])


def on_person_exported(
    sender: object, account: Account, phone_number: str, **_: Any
) -> dict[str, Any]:
    """Return what campaigns hold about a person."""
    about = {"campaign__account": account, "phone": phone_number}
    called = Recipient.objects.filter(**about).order_by("pk")
    texted = TextRecipient.objects.filter(**about).order_by("pk")
    return {
        "campaigns": list(
            called.values(
                "campaign__campaign_id", "name", "variables", "metadata", "status", "outcome"
            )
        ),
        "text_campaigns": list(texted.values("campaign__campaign_id", "variables", "state")),
        "refused_rows": [
            {"campaign__campaign_id": campaign.campaign_id, **row}
            for campaign in _with_refused_rows(account)
            for row in _refused_rows(campaign, phone_number)
        ],
    }


def on_too_old(sender: object, before: datetime, **_: Any) -> None:
    """Delete the campaigns, by voice and by text, that were over by then, or never begun and as
    old. Those that run, wait for their time or are paused stay."""
    ended = Q(ended_at__lt=before) | Q(status="draft", created_at__lt=before)
    for campaign in Campaign.objects.filter(ended):
        _delete_in_parts(RecipientCall.objects.filter(campaign=campaign))
        _delete_in_parts(Recipient.objects.filter(campaign=campaign))
        campaign.delete()
    for text_campaign in TextCampaign.objects.filter(ended):
        _delete_in_parts(text_campaign.recipients.all())
        text_campaign.delete()


def _delete_in_parts(rows: QuerySet[Any]) -> None:
    """Delete rows a few thousand at a time: memory stays flat, nobody waits long for a lock."""
    while part := list(rows.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        rows.model._default_manager.filter(pk__in=part).delete()


def on_account_closed(sender: object, account: Account, **_: Any) -> None:
    """Delete every campaign of an account."""
    Recipient.objects.filter(campaign__account=account).delete()
    Campaign.objects.filter(account=account).delete()
    TextCampaign.objects.filter(account=account).delete()
