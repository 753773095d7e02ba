"""Objects for tests. ``ApiKeyFactory().header`` is what an ``Authorization`` header says."""

import secrets
from typing import Any

import factory
from factory.django import DjangoModelFactory

from accounts.keys import create_key
from accounts.models import Account, ApiKey, CarrierAccount, User


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    password = factory.django.Password("correct horse")
    is_staff = True


class AccountFactory(DjangoModelFactory[Account]):
    class Meta:
        model = Account

    name = factory.Sequence(lambda n: f"Account {n}")


class ApiKeyFactory(DjangoModelFactory[ApiKey]):
    """A real key pair: ``.credentials`` is ``key_id:key_secret``, ``.header`` has Bearer too."""

    class Meta:
        model = ApiKey

    account = factory.SubFactory(AccountFactory)
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

    account = factory.SubFactory(AccountFactory)
    sid = factory.LazyFunction(lambda: f"AC{secrets.token_hex(16)}")
    auth_token = factory.LazyFunction(lambda: secrets.token_hex(16))
