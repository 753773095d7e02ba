"""Objects for tests. ``ApiKeyFactory().header`` is what an ``Authorization`` header says."""

import secrets
from typing import Any

from django.test import Client
from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory
from factory.django import DjangoModelFactory, Password

from accounts.keys import create_key
from accounts.models import Account, ApiKey, CarrierAccount, Suppression, User
from accounts.suppression import number_hash


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = Sequence(lambda n: f"user{n}")
    password = Password("correct horse")
    is_staff = True


class AccountFactory(DjangoModelFactory[Account]):
    class Meta:
        model = Account

    name = Sequence(lambda n: f"Account {n}")


class ApiKeyFactory(DjangoModelFactory[ApiKey]):
    """A real key pair: ``.credentials`` is ``key_id:key_secret``, ``.header`` has Bearer too."""

    class Meta:
        model = ApiKey

    account = SubFactory(AccountFactory)
    name = "Test"

    @classmethod
    def _create(cls, model_class: type[ApiKey], *args: Any, **kwargs: Any) -> ApiKey:
        revoked_at = kwargs.pop("revoked_at", None)
        key, secret = create_key(kwargs.pop("account"), kwargs.pop("name"))
        if revoked_at is not None:
            key.revoked_at = revoked_at
            key.save(update_fields=["revoked_at"])
        key.credentials = f"{key.key_id}:{secret}"  # type: ignore[attr-defined]
        key.header = f"Bearer {key.credentials}"  # type: ignore[attr-defined]
        return key


class CarrierAccountFactory(DjangoModelFactory[CarrierAccount]):
    class Meta:
        model = CarrierAccount

    account = SubFactory(AccountFactory)
    sid = LazyFunction(lambda: f"AC{secrets.token_hex(16)}")
    auth_token = LazyFunction(lambda: secrets.token_hex(16))


class SuppressionFactory(DjangoModelFactory[Suppression]):
    """An active entry against calls and texts."""

    class Meta:
        model = Suppression

    account = SubFactory(AccountFactory)
    phone_number = "+447386172392"
    number_hash = LazyAttribute(lambda entry: number_hash(entry.account, entry.phone_number))
    source = Suppression.Source.OPERATOR


def api_client(account: Account | None = None) -> Client:
    """Return a test client that holds a fresh key of ``account`` (a new one by default)."""
    key = ApiKeyFactory.create(account=account or AccountFactory.create())
    return Client(headers={"authorization": key.header})  # type: ignore[attr-defined]


def operator_client(**user: Any) -> Client:
    """Return a test client of somebody who may do everything in the dashboard."""
    client = Client()
    client.force_login(
        UserFactory.create(is_superuser=True, **user), "django.contrib.auth.backends.ModelBackend"
    )
    return client
