from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.authentication import verify
from accounts.factories import AccountFactory
from accounts.models import Account, ApiKey

pytestmark = pytest.mark.django_db


def run(*args: str) -> str:
    out = StringIO()
    call_command("create_api_key", *args, stdout=out)
    return out.getvalue()


def test_the_last_line_is_the_key_even_in_an_empty_house():
    last = run("--name", "Production").splitlines()[-1]

    key = verify(last)
    assert key is not None
    assert key.name == "Production"
    assert key.account == Account.objects.get()


def test_a_second_key_is_of_the_same_account():
    first, second = run().splitlines()[-1], run().splitlines()[-1]

    assert first != second
    assert Account.objects.count() == 1


def test_an_account_is_found_by_name_and_by_id():
    AccountFactory.create()
    acme = AccountFactory.create(name="Acme")

    for said in ("Acme", str(acme.pk)):
        key = verify(run("--account", said).splitlines()[-1])
        assert key is not None
        assert key.account == acme


def test_an_unknown_account_is_named_and_gets_no_key():
    AccountFactory.create(name="Acme")

    with pytest.raises(CommandError, match=r"No account has the id or name 'Other'.*Acme"):
        run("--account", "Other")
    assert ApiKey.objects.count() == 0
