"""An outbox: what happened, whom it must be told, and each try to tell them."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.encryption import EncryptedTextField
from accounts.ids import new_id
from accounts.models import Account, ApiKey
from webhooks.signing import new_secret


def new_endpoint_id() -> str:
    return new_id("we")


def new_event_id() -> str:
    return new_id("evt")


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def of(self, account: Account) -> "EndpointQuerySet":
        return self.filter(account=account)


class Endpoint(models.Model):
    """Where an account's events go: one of its own, a slot of a number, or an agent's URL.

    Numbers and agents are named by their public ids: they belong to apps above this one.
    """

    class Owner(models.TextChoices):
        ACCOUNT = "account"
        NUMBER = "number"
        AGENT = "agent"

    class Kind(models.TextChoices):
        WEBHOOK = "webhook"
        SLACK = "slack"
        ZAPIER = "zapier"
        MAKE = "make"
        GOHIGHLEVEL = "gohighlevel"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="webhook_endpoints")
    endpoint_id = models.CharField(
        max_length=32, unique=True, default=new_endpoint_id, editable=False
    )
    owner = models.CharField(max_length=8, choices=Owner, default=Owner.ACCOUNT)
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.WEBHOOK)
    phone_number = models.CharField(max_length=16, blank=True, help_text="E.164")
    slot = models.PositiveSmallIntegerField(default=1)
    agent_id = models.CharField(max_length=32, blank=True)
    # People put passwords into them.
    url = EncryptedTextField()
    # What a CRM asks for besides its address, as ``gohighlevel.Crm`` stores it; else empty.
    credentials = EncryptedTextField(blank=True, default="")
    # Event types it wants; empty: all.
    events = models.JSONField(default=list, blank=True)
    # Signs the Standard Webhooks headers; the previous one too until it ends.
    secret = EncryptedTextField(default=new_secret)
    previous_secret = EncryptedTextField(blank=True, default="")
    previous_secret_ends_at = models.DateTimeField(null=True, blank=True)
    # Since when nothing was delivered, where something was tried.
    failing_since = models.DateTimeField(null=True, blank=True)
    # It did not answer: until then nobody waits for it, and then one delivery tries at a time.
    rests_until = models.DateTimeField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_why = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = "webhook endpoint"
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "phone_number", "kind", "slot"],
                condition=Q(owner="number"),
                name="webhooks_endpoint_one_per_slot",
            ),
            models.UniqueConstraint(
                fields=["account", "agent_id"],
                condition=Q(owner="agent"),
                name="webhooks_endpoint_one_per_agent",
            ),
        ]

    def __str__(self) -> str:
        return self.endpoint_id

    def wants(self, event_type: str) -> bool:
        # The others are told of finished calls, in a form of their own.
        if self.kind != self.Kind.WEBHOOK and event_type != "call.completed":
            return False
        return not self.events or event_type in self.events

    def secrets(self, now: datetime) -> list[str]:
        """Return the secrets that sign a delivery at ``now``, the current one first."""
        overlaps = self.previous_secret_ends_at and now < self.previous_secret_ends_at
        return [self.secret, self.previous_secret] if overlaps else [self.secret]


class EventQuerySet(models.QuerySet["Event"]):
    def of(self, account: Account) -> "EventQuerySet":
        return self.filter(account=account)


class Event(models.Model):
    """Something that happened, as it is told: written in the transaction that made it happen."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="webhook_events")
    event_id = models.CharField(max_length=32, unique=True, default=new_event_id, editable=False)
    type = models.CharField(max_length=40)
    # What it is about (a call's id, a message's): erased with it.
    subject = models.CharField(max_length=64, blank=True)
    # JSON, sent byte for byte at every try; empty once erased.
    body = models.TextField()
    # The key that made the agent: the legacy signature is by its secret.
    api_key = models.ForeignKey(ApiKey, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    erased_at = models.DateTimeField(null=True, blank=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["account", "created_at"], name="webhooks_event_since"),
            models.Index(fields=["account", "subject"], name="webhooks_event_subject"),
        ]

    def __str__(self) -> str:
        return self.event_id


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: datetime) -> "DeliveryQuerySet":
        """Deliveries to try now, the longest due first, but those to somebody who rests."""
        return (
            self.filter(status=Delivery.Status.PENDING, due_at__lte=now)
            .filter(endpoint__disabled_at=None)
            .filter(Q(endpoint__rests_until=None) | Q(endpoint__rests_until__lte=now))
            .order_by("due_at", "event_id", "pk")
        )


class Delivery(models.Model):
    """One event for one endpoint. pending → delivered | failed; a replay makes it pending again."""

    class Status(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"

    NEXT: ClassVar[dict[str, frozenset[str]]] = {
        Status.PENDING: frozenset({Status.DELIVERED, Status.FAILED}),
        Status.DELIVERED: frozenset({Status.PENDING}),
        Status.FAILED: frozenset({Status.PENDING}),
    }

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    # When to try next; while somebody tries, when to try if they never come back.
    due_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    # The ladder of retries begins here, again with each replay.
    begun_at = models.DateTimeField(default=timezone.now)
    failures = models.PositiveIntegerField(default=0, help_text="since it began")
    tries = models.PositiveIntegerField(default=0, help_text="ever")
    delivered_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=60, blank=True, help_text="of the last try")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["event", "endpoint"], name="webhooks_delivery_one_per_endpoint"
            ),
            models.CheckConstraint(
                condition=Q(status="pending", due_at__isnull=False)
                | (~Q(status="pending") & Q(due_at__isnull=True)),
                name="webhooks_delivery_due_while_pending",
            ),
        ]
        indexes = [
            # What is to be sent is few rows of many.
            models.Index(
                fields=["due_at"], condition=Q(status="pending"), name="webhooks_delivery_due"
            )
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class Attempt(models.Model):
    """One request to an endpoint, written down before it is sent."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)
    headers = models.JSONField(default=dict, blank=True, help_text="as sent")
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.CharField(max_length=60, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="webhooks_attempt_numbered")
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id}#{self.number}"
