"""Texts, as conversations: one thread for each of our numbers and each person."""

import secrets
from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.ids import new_id
from accounts.models import Account
from agents.models import Agent, PhoneNumber
from sms.arrival_models import Arrival as Arrival
from sms.arrival_models import ErasedText as ErasedText
from sms.arrival_models import Report as Report
from sms.campaign_models import TextCampaign as TextCampaign
from sms.campaign_models import TextRecipient as TextRecipient
from sms.tool_models import ToolRound as ToolRound


def new_message_id() -> str:
    return new_id("msg")


def new_token() -> str:
    return secrets.token_urlsafe(24)


class ThreadQuerySet(models.QuerySet["Thread"]):
    def of(self, account: Account) -> "ThreadQuerySet":
        return self.filter(account=account)

    def newest_first(self) -> "ThreadQuerySet":
        return self.order_by("-last_message_at", "-pk")


class Thread(models.Model):
    """All texts between one of our numbers and one person, and who may answer the next one.

    ``reply_until`` is the end of the reply window, as a time; it is what counts when a text comes
    in. ``window_open`` says the same for lists, and is brought up to date every minute.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="threads")
    number = models.ForeignKey(
        PhoneNumber, on_delete=models.SET_NULL, null=True, related_name="threads"
    )
    our_number = models.CharField(max_length=16)
    their_number = models.CharField(max_length=64)

    # those of the newest text that we started
    agent = models.ForeignKey(
        Agent, on_delete=models.SET_NULL, null=True, blank=True, related_name="threads"
    )
    context_prompt = models.TextField(blank=True)
    reply_until = models.DateTimeField(null=True, blank=True)
    window_open = models.BooleanField(default=False)

    # When an automatic answer is due: a little after the newest text, so that several get one.
    answer_due_at = models.DateTimeField(null=True, blank=True)
    answer_failures = models.PositiveSmallIntegerField(default=0)
    taken_over_at = models.DateTimeField(null=True, blank=True)
    taken_over_by = models.CharField(max_length=150, blank=True)
    needs_human = models.TextField(blank=True, help_text="why a person should look; empty: no need")
    unread = models.PositiveIntegerField(default=0)
    last_message_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ThreadQuerySet.as_manager()

    class Meta:
        verbose_name = "text thread"
        ordering = ["-last_message_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "our_number", "their_number"],
                name="sms_thread_one_per_pair",
            )
        ]
        indexes = [
            models.Index(fields=["account", "-last_message_at"], name="sms_thread_newest"),
            models.Index(
                fields=["answer_due_at"],
                condition=Q(answer_due_at__isnull=False),
                name="sms_thread_answer_due",
            ),
            models.Index(
                fields=["reply_until"], condition=Q(window_open=True), name="sms_thread_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.their_number} and {self.our_number}"

    def is_open(self, at: datetime) -> bool:
        """Say whether a text that comes at ``at`` is within the reply window: its end is not."""
        return self.reply_until is not None and at < self.reply_until


class MessageQuerySet(models.QuerySet["Message"]):
    def of(self, account: Account) -> "MessageQuerySet":
        return self.filter(account=account)

    def inbound(self) -> "MessageQuerySet":
        return self.filter(direction=Message.Direction.INBOUND)

    def started(self) -> "MessageQuerySet":
        """Texts that we started, as opposed to answers and to what people wrote."""
        return self.filter(origin__in=Message.STARTS)

    def newest_first(self) -> "MessageQuerySet":
        return self.order_by("-created_at", "-pk")


class Message(models.Model):
    """One text, whole: what was written, by whom, and what became of it.

    An outbound one goes in one or more parts, and its status says what all of them have reached. A
    part that failed makes the whole failed.
    """

    class Direction(models.TextChoices):
        INBOUND = "inbound"
        OUTBOUND = "outbound"

    class Origin(models.TextChoices):
        PERSON = "person"
        API = "api", "API"
        CAMPAIGN = "campaign"
        POST_CALL = "post_call", "after a call"
        IN_CALL = "in_call", "during a call"
        OPERATOR = "operator"
        AUTO_REPLY = "auto_reply", "automatic answer"
        OPT_OUT = "opt_out", "opt-out confirmation"

    class Status(models.TextChoices):
        QUEUED = "queued"
        SENT = "sent"
        DELIVERED = "delivered"
        UNDELIVERED = "undelivered"
        FAILED = "failed"
        RECEIVED = "received"

    class Reply(models.TextChoices):
        """What an inbound text got for an answer, and why none."""

        PENDING = "pending"
        ANSWERED = "answered"
        OFF = "off", "answers are switched off"
        NO_AGENT = "no_agent", "no active agent"
        WINDOW_CLOSED = "window_closed", "reply window closed"
        UNSOLICITED = "unsolicited", "the person wrote first"
        OPT_OUT = "opt_out", "opted out"
        KEYWORD = "keyword", "carrier's keyword"
        AUTOMATIC = "automatic", "from a machine"
        LIMIT = "limit", "too many answers"
        HUMAN = "human", "an operator answers"
        FAILED = "failed", "no answer could be written"

    STARTS: ClassVar[frozenset[str]] = frozenset(
        {Origin.API, Origin.CAMPAIGN, Origin.POST_CALL, Origin.IN_CALL, Origin.OPERATOR}
    )

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="messages")
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="messages")
    message_id = models.CharField(
        max_length=32, unique=True, default=new_message_id, editable=False
    )
    direction = models.CharField(max_length=8, choices=Direction)
    origin = models.CharField(max_length=10, choices=Origin)
    # A text outlives its agent: the public id stays beside the key.
    agent = models.ForeignKey(Agent, on_delete=models.SET_NULL, null=True, related_name="+")
    agent_public_id = models.CharField(max_length=32, blank=True)
    from_number = models.CharField(max_length=64)
    to_number = models.CharField(max_length=64)
    body = models.TextField(blank=True)
    encoding = models.CharField(max_length=5, blank=True)
    segments = models.PositiveSmallIntegerField(default=1)
    media = models.JSONField(default=list, blank=True, help_text="attachments: url, content_type")
    context_prompt = models.TextField(blank=True)
    reply_window_hours = models.PositiveSmallIntegerField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    campaign_id = models.CharField(max_length=32, blank=True)
    call_id = models.CharField(max_length=32, blank=True)
    written_by = models.CharField(max_length=150, blank=True, help_text="the operator's name")

    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    error_code = models.IntegerField(null=True, blank=True, help_text="the carrier's")
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    # inbound
    carrier_sid = models.CharField(max_length=64, blank=True)
    reply = models.CharField(max_length=16, choices=Reply, blank=True)
    # automatic answers: the newest text that this one answers
    answers = models.OneToOneField(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="answer"
    )

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = "text"
        ordering = ["created_at", "id"]
        constraints = [
            # The carrier may bring the same text twice: it is stored once.
            models.UniqueConstraint(
                fields=["account", "carrier_sid"],
                condition=~Q(carrier_sid=""),
                name="sms_message_one_per_sid",
            ),
            models.CheckConstraint(
                condition=Q(direction="inbound", origin="person", status="received")
                | (Q(direction="outbound") & ~Q(origin="person") & ~Q(status="received")),
                name="sms_message_one_way",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-created_at"], name="sms_message_newest"),
            models.Index(fields=["thread", "created_at"], name="sms_message_in_order"),
            models.Index(
                fields=["campaign_id"], condition=~Q(campaign_id=""), name="sms_message_campaign"
            ),
        ]

    def __str__(self) -> str:
        return self.message_id


class MessagePartQuerySet(models.QuerySet["MessagePart"]):
    def unsettled(self) -> "MessagePartQuerySet":
        """Parts of which the carrier may or may not have a text: none is ever sent again."""
        return self.filter(status__in=[MessagePart.Status.SENDING, MessagePart.Status.UNKNOWN])

    def unsent(self) -> "MessagePartQuerySet":
        """Parts that the carrier is not known to have: what comes after them in a thread waits,
        unless their time has not come."""
        return self.filter(status__in=MessagePart.UNSENT)


class MessagePart(models.Model):
    """What is one message to the carrier, and the one request that makes it (DESIGN decision 4).

    waiting → sending, committed before the carrier is asked; sending → waiting (not reached),
    failed (refused), unknown (no answer came), or what the carrier says of its message. Its own
    states only ever rise in ``RANK``, so callbacks may come in any order and number.
    """

    class Status(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        UNKNOWN = "unknown"
        QUEUED = "queued"
        SENT = "sent"
        FAILED = "failed"
        UNDELIVERED = "undelivered"
        DELIVERED = "delivered"

    UNSENT: ClassVar[frozenset[str]] = frozenset({Status.WAITING, Status.SENDING, Status.UNKNOWN})
    # A carrier that reports two endings meant the better one: it had news of the handset.
    RANK: ClassVar[dict[str, int]] = {
        Status.QUEUED: 1,
        Status.SENT: 2,
        Status.FAILED: 3,
        Status.UNDELIVERED: 4,
        Status.DELIVERED: 5,
    }
    ENDINGS: ClassVar[frozenset[str]] = frozenset(
        {Status.FAILED, Status.UNDELIVERED, Status.DELIVERED}
    )

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="parts")
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveSmallIntegerField(default=1)
    body = models.TextField()
    segments = models.PositiveSmallIntegerField(default=1)
    # Rides in the callback URL, so that any callback binds the carrier's message to this row.
    token = models.CharField(max_length=64, unique=True, default=new_token)
    status = models.CharField(max_length=12, choices=Status, default=Status.WAITING)
    carrier_sid = models.CharField(max_length=64, blank=True)
    error_code = models.IntegerField(null=True, blank=True)
    error_message = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    send_after = models.DateTimeField(default=timezone.now)
    sending_at = models.DateTimeField(null=True, blank=True)
    # When to ask the carrier, unless it tells before; null: it has told all.
    check_at = models.DateTimeField(null=True, blank=True)

    objects = MessagePartQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["message", "number"], name="sms_part_numbered"),
            models.UniqueConstraint(
                fields=["carrier_sid"], condition=~Q(carrier_sid=""), name="sms_part_one_per_sid"
            ),
            # Texts to one person leave one after the other, so a lost answer is about one of them.
            models.UniqueConstraint(
                fields=["thread"],
                condition=Q(status__in=["sending", "unknown"]),
                name="sms_part_one_unsettled_per_thread",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(status="waiting"), name="sms_part_waiting"),
            models.Index(
                fields=["thread", "id"],
                condition=Q(status__in=["waiting", "sending", "unknown"]),
                name="sms_part_unsent",
            ),
            models.Index(
                fields=["check_at"], condition=Q(check_at__isnull=False), name="sms_part_to_check"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.message_id}#{self.number}"


class Pace(models.Model):
    """When a number, or an account, may send its next segment."""

    key = models.CharField(max_length=40, unique=True)
    next_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key
