"""Who may call the API, with whose telephone account, and whom nobody may call."""

import secrets

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from accounts.encryption import EncryptedTextField


def new_number_key() -> str:
    return secrets.token_hex(32)


class User(AbstractUser):
    """A person who works in the dashboard."""


class Account(models.Model):
    """A tenant: every agent, number, call and key belongs to exactly one."""

    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)
    max_concurrent_calls = models.PositiveIntegerField(default=10)
    enforce_calling_hours = models.BooleanField(
        default=False,
        help_text="Keep every call and text, asked for in whatever way, inside the lawful hours of "
        "each person's place.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # Never changes: the suppression ledger finds people by a hash that is keyed with it.
    number_key = EncryptedTextField(default=new_number_key, editable=False)

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
        verbose_name = "Twilio account"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "provider", "sid"],
                name="accounts_carrieraccount_one_per_sid",
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.sid}"


class SuppressionQuerySet(models.QuerySet["Suppression"]):
    def of(self, account: Account) -> "SuppressionQuerySet":
        return self.filter(account=account)

    def active(self) -> "SuppressionQuerySet":
        return self.filter(lifted_at=None)

    def against(self, channel: str) -> "SuppressionQuerySet":
        """Entries that forbid ``channel``: ``Suppression.Scope.VOICE`` or ``TEXT``."""
        return self.filter(scope__in=[channel, Suppression.Scope.ALL])


class Suppression(models.Model):
    """Somebody said no: this account does not call or text them until it is lifted.

    Looked up by ``number_hash`` alone, so that it outlives the person's erasure, which empties
    ``phone_number``. Each source has an entry of its own: a text (START) does not lift what was
    spoken ("never call me again"). Entries are lifted, never deleted.
    """

    class Scope(models.TextChoices):
        VOICE = "voice"
        TEXT = "text"
        ALL = "all"

    class Source(models.TextChoices):
        OPERATOR = "operator"
        CSV = "csv"
        API = "api"
        SPOKEN = "spoken"
        SMS_KEYWORD = "sms_keyword", "SMS keyword"
        SMS_PLAIN = "sms_plain", "SMS in plain words"
        CARRIER_21610 = "carrier_21610", "Twilio error 21610"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="suppressions")
    phone_number = models.CharField(max_length=16, blank=True, help_text="empty once erased")
    number_hash = models.CharField(max_length=64, editable=False)
    scope = models.CharField(max_length=8, choices=Scope, default=Scope.ALL)
    source = models.CharField(max_length=16, choices=Source)
    reason = models.TextField(blank=True)
    # Where it was said and in which words, as {"call_id": …, "turn": 4, "text": …}.
    evidence = models.JSONField(default=dict, blank=True)
    entered_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=150, blank=True)

    objects = SuppressionQuerySet.as_manager()

    class Meta:
        verbose_name = "do-not-contact entry"
        verbose_name_plural = "do-not-contact list"
        ordering = ["-created_at", "-id"]
        constraints = [
            # Also the index by which every dial and text looks its person up.
            models.UniqueConstraint(
                fields=["account", "number_hash", "scope", "source"],
                condition=models.Q(lifted_at=None),
                name="accounts_suppression_one_active",
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.pk}"


class StoredAnswer(models.Model):
    """What a request was answered, for copies of it (``accounts.idempotency``)."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="stored_answers")
    # SHA-256 of the client's Idempotency-Key, or of a request that came without one.
    slot = models.CharField(max_length=64)
    request_sha256 = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    content = EncryptedTextField(blank=True)  # JSON; it may hold a secret that is shown once
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            # Simultaneous copies meet here: the later one waits for the earlier's transaction.
            models.UniqueConstraint(
                fields=["api_key", "slot"], name="accounts_storedanswer_one_per_slot"
            )
        ]

    def __str__(self) -> str:
        return f"answer {self.pk}"
