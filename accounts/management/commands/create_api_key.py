"""``manage.py create_api_key [--name NAME] [--account ID-or-name]``"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.keys import create_key, default_account
from accounts.models import Account


class Command(BaseCommand):
    help = "Make an API key and print key_id:key_secret as the last line. It is not shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", default="", help="what the key is for, as 'Production'")
        parser.add_argument(
            "--account",
            default="",
            help="id or name of an account; default: the first, made if none",
        )

    def handle(self, *_: Any, name: str, account: str, **__: Any) -> None:
        if len(name) > 100:
            raise CommandError("--name is longer than 100 characters.")
        owner = _find(account) if account else default_account()
        key, secret = create_key(owner, name)
        self.stdout.write(f"API key of account {owner.name!r}:")
        self.stdout.write(f"{key.key_id}:{secret}")


def _find(account: str) -> Account:
    named = Account.objects.filter(name=account)
    found = list((named or Account.objects.filter(pk=account)) if account.isdigit() else named)
    if len(found) != 1:
        known = ", ".join(f"{a.pk} ({a.name})" for a in Account.objects.order_by("pk")[:20])
        problem = "Several accounts have" if found else "No account has"
        raise CommandError(f"{problem} the id or name {account!r}. There are: {known or 'none'}.")
    return found[0]
