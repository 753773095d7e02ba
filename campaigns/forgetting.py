"""What campaigns hold about a person, erased with everything else about them."""

from typing import Any

from accounts.models import Account
from campaigns.models import Campaign, Recipient


def on_person_forgotten(sender: object, account: Account, phone_number: str, **_: Any) -> None:
    """Take a person out of every campaign of the account, the finished ones too."""
    Recipient.objects.filter(campaign__account=account, phone=phone_number).delete()


def on_account_closed(sender: object, account: Account, **_: Any) -> None:
    """Delete every campaign of an account."""
    Recipient.objects.filter(campaign__account=account).delete()
    Campaign.objects.filter(account=account).delete()
