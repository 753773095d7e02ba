"""Text campaigns: one text to many people. What drives them stands beside voice campaigns."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.ids import new_id
from accounts.models import Account
from agents.models import Agent, PhoneNumber


def new_text_campaign_id() -> str:
    return new_id("smsc")


class TextCampaign(models.Model):
    """One template, texted once to each of many people.

    draft, scheduled → running → done or failed (nobody could be texted at all).
    """

    class Status(models.TextChoices):
        DRAFT = "draft"
        SCHEDULED = "scheduled"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    class Source(models.TextChoices):
        API = "api", "API"
        DASHBOARD = "dashboard"

    NEXT: ClassVar[dict[str, frozenset[str]]] = {
        Status.DRAFT: frozenset({Status.SCHEDULED, Status.RUNNING}),
        Status.SCHEDULED: frozenset({Status.RUNNING}),
        Status.RUNNING: frozenset({Status.DONE, Status.FAILED}),
    }
    ENDED: ClassVar[frozenset[str]] = frozenset({Status.DONE, Status.FAILED})

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="text_campaigns")
    campaign_id = models.CharField(
        max_length=32, unique=True, default=new_text_campaign_id, editable=False
    )
    agent = models.ForeignKey(Agent, on_delete=models.SET_NULL, null=True, related_name="+")
    agent_public_id = models.CharField(max_length=32, blank=True)
    number = models.ForeignKey(PhoneNumber, on_delete=models.SET_NULL, null=True, related_name="+")
    from_number = models.CharField(max_length=16)
    name = models.CharField(max_length=200, blank=True)
    message_template = models.TextField()
    context_prompt = models.TextField(blank=True)
    reply_window_hours = models.PositiveSmallIntegerField(null=True, blank=True)
    status = models.CharField(max_length=9, choices=Status, default=Status.DRAFT)
    source = models.CharField(max_length=9, choices=Source, default=Source.API)
    timezone = models.CharField(max_length=64, default="Europe/London")
    windows = models.JSONField(default=list, blank=True, help_text="none: at any time")
    follow_law = models.BooleanField(default=False, help_text="quiet hours of each person's place")
    scheduled_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="scheduled") | Q(scheduled_at__isnull=False),
                name="sms_textcampaign_scheduled_has_time",
            )
        ]
        indexes = [
            models.Index(fields=["account", "-created_at"], name="sms_textcampaign_newest"),
            models.Index(
                fields=["status"],
                condition=Q(status__in=["scheduled", "running"]),
                name="sms_textcampaign_active",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.campaign_id


class TextRecipient(models.Model):
    """Somebody to be texted in a campaign, once: pending → handed (a text is on record) or failed
    (none ever was)."""

    class State(models.TextChoices):
        PENDING = "pending"
        HANDED = "handed"
        FAILED = "failed"

    campaign = models.ForeignKey(TextCampaign, on_delete=models.CASCADE, related_name="recipients")
    row_index = models.PositiveIntegerField()
    phone = models.CharField(max_length=16, help_text="E.164")
    variables = models.JSONField(default=dict, blank=True)
    zones = models.JSONField(
        default=list, blank=True, help_text="all time zones in which they may be; none: not known"
    )
    law = models.CharField(max_length=16)
    state = models.CharField(max_length=7, choices=State, default=State.PENDING)
    send_after = models.DateTimeField(default=now)
    message = models.OneToOneField(
        "sms.Message", on_delete=models.SET_NULL, null=True, related_name="recipient"
    )
    # A text may be erased: what it came to (a ``Message.Status``) stays here.
    outcome = models.CharField(max_length=12, blank=True)
    error_message = models.TextField(blank=True)

    class Meta:
        ordering = ["row_index", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "phone"], name="sms_textrecipient_once_per_campaign"
            )
        ]
        indexes = [
            models.Index(
                fields=["campaign", "send_after", "id"],
                condition=Q(state="pending"),
                name="sms_textrecipient_due",
            )
        ]

    def __str__(self) -> str:
        return f"recipient {self.pk}"
