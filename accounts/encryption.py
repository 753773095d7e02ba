"""Secrets at rest: encrypted by the first of ``FIELD_ENCRYPTION_KEYS``, readable by any of them."""

from functools import cache

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _cipher() -> MultiFernet:
    return _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS))


def decrypted(ciphertext: str) -> str:
    """Return what a field's ciphertext says; for queries that pass the field by."""
    return _cipher().decrypt(ciphertext.encode()).decode() if ciphertext else ciphertext


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Text that only ciphertext of leaves the process. Not searchable; empty stays empty."""

    def get_prep_value(self, value: str | None) -> str | None:
        value = super().get_prep_value(value)
        return _cipher().encrypt(value.encode()).decode() if value else value

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        return decrypted(value) if value else value
