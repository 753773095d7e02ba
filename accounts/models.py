"""Who may call the API, and with whose telephone account."""

from django.contrib.auth.models import AbstractUser
from django.db import models

from accounts.encryption import EncryptedTextField


class User(AbstractUser):
    """A person who works in the dashboard."""


class Account(models.Model):
    """A tenant: every agent, number, call and key belongs to exactly one."""

    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)
    max_concurrent_calls = models.PositiveIntegerField(default=10)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A key pair ``nxf_…:nxfs_…``.

    The secret is verified by its SHA-256 (it has 256 bits of its own, so a slow hash would add
    nothing) and kept encrypted, because webhooks are signed with it.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, blank=True)
    key_id = models.CharField(max_length=64, unique=True)
    secret_sha256 = models.CharField(max_length=64)
    secret = EncryptedTextField()
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.name or self.key_id


class CarrierAccount(models.Model):
    """Somebody's account with a telephone company. Several numbers share one."""

    class Provider(models.TextChoices):
        TWILIO = "twilio"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="carrier_accounts")
    provider = models.CharField(max_length=16, choices=Provider, default=Provider.TWILIO)
    sid = models.CharField(max_length=64)
    auth_token = EncryptedTextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "provider", "sid"],
                name="accounts_carrieraccount_one_per_sid",
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.sid}"
