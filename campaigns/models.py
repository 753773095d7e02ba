"""Many calls under one purpose: a campaign, the people in it, and each call it made to them."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.hours.laws import layers_of
from accounts.hours.windows import Hours, layers_from_json
from accounts.ids import new_id
from accounts.models import Account
from agents.models import Agent, PhoneNumber
from calls.models import Call


def new_campaign_id() -> str:
    return new_id("batchcall")


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def of(self, account: Account) -> "CampaignQuerySet":
        return self.filter(account=account)


class Campaign(models.Model):
    """One purpose and the people to call for it.

    draft → scheduled → running ⇄ paused → completed; canceled and failed from most of them. What
    people left unanswered may be taken up again after completion.
    """

    class Status(models.TextChoices):
        DRAFT = "draft"
        SCHEDULED = "scheduled"
        RUNNING = "running"
        PAUSED = "paused"
        COMPLETED = "completed"
        CANCELED = "canceled"
        FAILED = "failed"

    NEXT: ClassVar[dict[str, frozenset[str]]] = {
        Status.DRAFT: frozenset({Status.SCHEDULED, Status.RUNNING, Status.CANCELED, Status.FAILED}),
        Status.SCHEDULED: frozenset(
            {Status.RUNNING, Status.PAUSED, Status.CANCELED, Status.FAILED}
        ),
        Status.RUNNING: frozenset(
            {Status.PAUSED, Status.COMPLETED, Status.CANCELED, Status.FAILED}
        ),
        Status.PAUSED: frozenset({Status.RUNNING, Status.COMPLETED, Status.CANCELED}),
        Status.COMPLETED: frozenset({Status.RUNNING}),
        Status.FAILED: frozenset({Status.RUNNING, Status.CANCELED}),
    }

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="campaigns")
    campaign_id = models.CharField(
        max_length=32, unique=True, default=new_campaign_id, editable=False
    )
    name = models.CharField(max_length=200)
    # A campaign outlives its agent and number: the public ids stay beside the keys.
    agent = models.ForeignKey(Agent, on_delete=models.SET_NULL, null=True, related_name="campaigns")
    agent_public_id = models.CharField(max_length=32)
    number = models.ForeignKey(
        PhoneNumber, on_delete=models.SET_NULL, null=True, related_name="campaigns"
    )
    from_number = models.CharField(max_length=16)
    prompt = models.TextField(blank=True)
    metadata = models.JSONField(default=dict, blank=True)

    # where it stands
    status = models.CharField(max_length=12, choices=Status, default=Status.DRAFT)
    status_reason = models.TextField(blank=True, help_text="why it stands there, in words")
    created_at = models.DateTimeField(auto_now_add=True)
    starts_at = models.DateTimeField(null=True, blank=True, help_text="when it is scheduled for")
    launched_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    # when people may be called: windows.Window.as_json each, in each person's own time zone
    timezone = models.CharField(max_length=64, help_text="of those whose own is not known")
    windows = models.JSONField(default=list, blank=True)
    follow_law = models.BooleanField(
        default=False, help_text="also keep to the calling hours of each person's country or state"
    )

    # how much at once, how often, and when to stop
    max_concurrent = models.PositiveIntegerField(null=True, blank=True)
    # {"no-answer": {"times": 2, "after_minutes": 60, "other_hour": true}}; {}: nobody twice
    retries = models.JSONField(default=dict, blank=True)
    max_calls = models.PositiveIntegerField(null=True, blank=True)
    max_cost_micros = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="micro-dollars"
    )
    stop_on_failures = models.BooleanField(
        default=True, help_text="pause by itself when most calls fail"
    )
    # When it was last started or resumed, or should have been. The breaker looks at calls that
    # ended since: a person who resumes has judged what was before.
    breaker_since = models.DateTimeField(null=True, blank=True)
    # What came in, as ``intake.Intake`` says it, the first refused rows included.
    intake = models.JSONField(default=dict, blank=True)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["account", "-created_at"], name="campaigns_campaign_newest"),
            # The dispatcher looks every second: few rows of many.
            models.Index(
                fields=["id"],
                condition=Q(status__in=["scheduled", "running"]),
                name="campaigns_campaign_active",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="scheduled") | Q(starts_at__isnull=False),
                name="campaigns_campaign_scheduled_for",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["completed", "canceled", "failed"], ended_at__isnull=False)
                | Q(status__in=["draft", "scheduled", "running", "paused"], ended_at__isnull=True),
                name="campaigns_campaign_ended_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def keeps_law(self) -> bool:
        """Whether people are called at lawful hours only, by its own wish or its account's."""
        return self.follow_law or self.account.enforce_calling_hours


class ZoneGroup(models.Model):
    """The people of a campaign who may be called at the same times: same zones, same law."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="zone_groups")
    zones = models.JSONField(help_text="all time zones in which these people may be")
    law = models.CharField(max_length=16, help_text="a profile of accounts.hours.laws")
    key = models.CharField(max_length=64, editable=False, help_text="a digest of zones and law")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "key"], name="campaigns_zonegroup_once_per_campaign"
            )
        ]

    def __str__(self) -> str:
        return f"{', '.join(self.zones[:3])} ({self.law})"

    def hours(self, campaign: Campaign) -> Hours:
        """Return when these people may be called. Both kinds of hours hold at once."""
        return hours_for(campaign, self.zones, self.law)

    @property
    def lawful_hours(self) -> Hours:
        """When the law lets them be called, whatever the campaign says."""
        return Hours(layers_of(self.law), tuple(self.zones))


def hours_for(campaign: Campaign, zones: list[str], law: str) -> Hours:
    layers = layers_from_json(campaign.windows)
    if campaign.keeps_law:
        layers += layers_of(law)
    return Hours(layers, tuple(zones))


class RecipientQuerySet(models.QuerySet["Recipient"]):
    def due(self, group_pk: int, now: Any) -> "RecipientQuerySet":
        """People of a zone group whose turn has come, the longest-waiting first. Served in order by
        the index ``campaigns_recipient_due``."""
        return self.filter(group=group_pk, status="pending", due_at__lte=now).order_by(
            "due_at", "id"
        )


class Recipient(models.Model):
    """Somebody to be called in a campaign.

    pending → calling → done, and back to pending for a retry or where nothing rang; skipped for
    those who asked not to be called, canceled with their campaign.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        CALLING = "calling"
        DONE = "done"
        SKIPPED = "skipped"
        CANCELED = "canceled"

    class Outcome(models.TextChoices):
        ANSWERED = "answered"
        VOICEMAIL = "voicemail"
        NO_ANSWER = "no-answer"
        BUSY = "busy"
        FAILED = "failed"
        CANCELED = "canceled"

    NEXT: ClassVar[dict[str, frozenset[str]]] = {
        Status.PENDING: frozenset({Status.CALLING, Status.SKIPPED, Status.CANCELED}),
        Status.CALLING: frozenset({Status.DONE, Status.PENDING, Status.SKIPPED, Status.CANCELED}),
        Status.DONE: frozenset({Status.PENDING}),
    }

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="recipients")
    group = models.ForeignKey(ZoneGroup, on_delete=models.PROTECT, related_name="recipients")
    row_index = models.PositiveIntegerField(help_text="in what came in, from 0")
    phone = models.CharField(max_length=16, help_text="E.164")
    name = models.CharField(max_length=120, blank=True)
    variables = models.JSONField(default=dict, blank=True)
    prompt_override = models.TextField(blank=True)
    metadata = models.JSONField(default=dict, blank=True)

    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    outcome = models.CharField(max_length=9, choices=Outcome, blank=True)
    reason = models.TextField(blank=True, help_text="why skipped or failed, in words")
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="calls placed so far")

    objects = RecipientQuerySet.as_manager()

    class Meta:
        ordering = ["row_index", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "phone"], name="campaigns_recipient_once_per_campaign"
            ),
            models.CheckConstraint(
                condition=Q(phone__regex=r"^\+[1-9][0-9]{6,14}$"), name="campaigns_recipient_e164"
            ),
            models.CheckConstraint(
                condition=Q(status="done") & ~Q(outcome="") | ~Q(status="done"),
                name="campaigns_recipient_done_has_outcome",
            ),
        ]
        indexes = [
            # The claim: the due of one zone group, in order.
            models.Index(
                fields=["group", "due_at", "id"],
                condition=Q(status="pending"),
                name="campaigns_recipient_due",
            ),
            # Progress, counted from the index alone.
            models.Index(
                fields=["campaign", "status", "outcome"], name="campaigns_recipient_progress"
            ),
            models.Index(fields=["campaign", "row_index"], name="campaigns_recipient_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}/{self.row_index}"


class RecipientCall(models.Model):
    """One call that a campaign made to somebody; made with the call, in one transaction."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="calls")
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="calls")
    attempt = models.PositiveSmallIntegerField()
    # A call may be erased: what it came to stays here.
    call = models.OneToOneField(
        Call, on_delete=models.SET_NULL, null=True, related_name="recipient_call"
    )
    outcome = models.CharField(max_length=9, choices=Recipient.Outcome, blank=True)
    cost_micros = models.PositiveBigIntegerField(default=0, help_text="micro-dollars")
    created_at = models.DateTimeField(auto_now_add=True)
    # Set when the outcome is known, or the call was withdrawn before it rang (outcome "").
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "attempt"], name="campaigns_recipientcall_numbered"
            ),
            # Nobody is called by one campaign twice at the same time.
            models.UniqueConstraint(
                fields=["recipient"],
                condition=Q(settled_at__isnull=True),
                name="campaigns_recipientcall_one_open",
            ),
        ]
        indexes = [
            models.Index(
                fields=["campaign"],
                condition=Q(settled_at__isnull=True),
                name="campaigns_recipientcall_open",
            ),
            models.Index(fields=["campaign", "-settled_at"], name="campaigns_recipientcall_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.recipient_id}#{self.attempt}"


class CampaignEvent(models.Model):
    """Something that happened to a campaign; never changed afterwards."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=40)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["at", "id"]
        indexes = [models.Index(fields=["campaign", "at"], name="campaigns_event_in_order")]

    def __str__(self) -> str:
        return self.kind
