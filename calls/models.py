"""One phone conversation, from intent to after-care."""

from datetime import datetime
from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q

from accounts.ids import new_call_id
from accounts.models import Account
from agents.models import Agent, PhoneNumber
from calls.aftercare_models import Aftercare as Aftercare
from calls.dial_models import DialAttempt as DialAttempt
from calls.dial_models import Pace as Pace
from calls.record_models import CallEvent as CallEvent
from calls.record_models import FlightLog as FlightLog
from calls.record_models import Turn as Turn
from calls.transfer_models import Transfer as Transfer

# A call from a web page has these instead of the carrier's id and the caller's number (spec 6.14).
BROWSER_SID = "WEB"
BROWSER_CALLER = "web"


class CallQuerySet(models.QuerySet["Call"]):
    def of(self, account: Account) -> "CallQuerySet":
        return self.filter(account=account)

    def unfinished(self) -> "CallQuerySet":
        return self.exclude(status__in=Call.TERMINAL)

    def waiting(self, now: datetime) -> "CallQuerySet":
        """Calls to dial that nobody is dialling, and that may be dialled at ``now``."""
        return (
            self.filter(status=Call.Status.QUEUED, direction=Call.Direction.OUTBOUND)
            .filter(Q(dial_after__isnull=True) | Q(dial_after__lte=now))
            .filter(Q(dial_before__isnull=True) | Q(dial_before__gt=now))
            .exclude(Exists(DialAttempt.objects.open().filter(call=OuterRef("pk"))))
            .exclude(
                Exists(
                    DialAttempt.objects.unsettled().filter(
                        account=OuterRef("account"),
                        from_number=OuterRef("from_number"),
                        to_number=OuterRef("to_number"),
                    )
                )
            )
        )

    def too_late(self, now: datetime) -> "CallQuerySet":
        """Calls that waited past the time until which they might be dialled, and ring nowhere."""
        return self.filter(status=Call.Status.QUEUED, dial_before__lte=now).exclude(
            Exists(DialAttempt.objects.open().filter(call=OuterRef("pk")))
        )

    def on_the_line(self) -> "CallQuerySet":
        """Calls that a carrier has: all that are unfinished but those waiting to be dialled."""
        return self.unfinished().filter(
            ~Q(status=Call.Status.QUEUED)
            | Exists(DialAttempt.objects.open().filter(call=OuterRef("pk")))
        )

    def occupying(self) -> "CallQuerySet":
        """Calls that hold one of our lines: those on the line but the ones that people have taken
        over from an agent.
        """
        taken = Transfer.objects.bridged().filter(call=OuterRef("pk"))
        return self.on_the_line().exclude(Exists(taken))


class Call(models.Model):
    """One phone conversation, from the request to dial until the line is free.

    queued → initiated → ringing → in-progress → completed, and from each of them to an ending. The
    carrier repeats and reorders its callbacks, so a step that ``NEXT`` does not allow is old news.
    """

    class Direction(models.TextChoices):
        INBOUND = "inbound"
        OUTBOUND = "outbound"

    class Status(models.TextChoices):
        QUEUED = "queued"
        INITIATED = "initiated"
        RINGING = "ringing"
        IN_PROGRESS = "in-progress"
        COMPLETED = "completed"
        BUSY = "busy"
        NO_ANSWER = "no-answer"
        FAILED = "failed"
        CANCELED = "canceled"

    class EndedReason(models.TextChoices):
        """Spec 6.2."""

        COMPLETED = "completed"
        CALLER_HANGUP = "caller_hangup"
        CALLEE_HANGUP = "callee_hangup"
        SILENCE_TIMEOUT = "silence_timeout"
        MAX_DURATION_REACHED = "max_duration_reached"
        TRANSFERRED = "transferred"
        VOICEMAIL_DETECTED = "voicemail_detected"
        IVR_TIMEOUT = "ivr_timeout"
        BALANCE_INSUFFICIENT = "balance_insufficient"
        BUSY = "busy"
        NO_ANSWER = "no-answer"
        FAILED = "failed"
        CANCELED = "canceled"
        CONCURRENCY_LIMIT = "concurrency_limit"
        STUCK_WS_DISCONNECT = "stuck_ws_disconnect"
        SERVER_RESTART = "server_restart"

    class VoicemailAction(models.TextChoices):
        HANGUP = "hangup"
        LEAVE_MESSAGE = "leave_message"
        IGNORE = "ignore"

    TERMINAL: ClassVar[frozenset[str]] = frozenset(
        {Status.COMPLETED, Status.BUSY, Status.NO_ANSWER, Status.FAILED, Status.CANCELED}
    )
    NEXT: ClassVar[dict[str, frozenset[str]]] = {
        Status.QUEUED: frozenset({Status.INITIATED, Status.RINGING, Status.IN_PROGRESS}) | TERMINAL,
        Status.INITIATED: frozenset({Status.RINGING, Status.IN_PROGRESS}) | TERMINAL,
        Status.RINGING: frozenset({Status.IN_PROGRESS}) | TERMINAL,
        Status.IN_PROGRESS: TERMINAL,  # whatever ending the carrier names, it is one
    }

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="calls")
    call_id = models.CharField(max_length=32, unique=True, default=new_call_id, editable=False)
    carrier_sid = models.CharField(max_length=64, blank=True)
    # A call outlives its agent and number: the public ids stay beside the keys.
    agent = models.ForeignKey(Agent, on_delete=models.SET_NULL, null=True, related_name="calls")
    agent_public_id = models.CharField(max_length=32, blank=True)
    number = models.ForeignKey(
        PhoneNumber, on_delete=models.SET_NULL, null=True, related_name="calls"
    )
    direction = models.CharField(max_length=8, choices=Direction)
    from_number = models.CharField(max_length=64)
    to_number = models.CharField(max_length=64)
    campaign_id = models.CharField(max_length=32, blank=True)

    # what was asked for
    prompt = models.TextField(blank=True)
    variables = models.JSONField(default=dict, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    voicemail_message = models.TextField(null=True, blank=True)  # noqa: DJ001 (null: as number or agent)
    voicemail_action = models.CharField(max_length=16, choices=VoicemailAction, blank=True)

    # where it stands
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    ended_reason = models.CharField(max_length=24, choices=EndedReason, blank=True)
    # What the engine means before it hangs up; a terminal callback makes it the ended_reason.
    intended_reason = models.CharField(max_length=24, choices=EndedReason, blank=True)
    error_code = models.IntegerField(null=True, blank=True, help_text="the carrier's")
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # After an attempt that reached nobody at the carrier; null: at once.
    dial_after = models.DateTimeField(null=True, blank=True)
    # Not dialled from then on: the person's calling hours are over. null: at any time.
    dial_before = models.DateTimeField(null=True, blank=True)
    # When the sweep last asked the carrier about it.
    carrier_checked_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(default=0, help_text="connected time")
    charged_minutes = models.DecimalField(max_digits=8, decimal_places=2, default=0)

    # live audio: the socket with the highest generation speaks
    media_generation = models.PositiveIntegerField(default=0)
    media_seen_at = models.DateTimeField(null=True, blank=True)
    system_prompt_used = models.TextField(blank=True)
    # What the agent was told of the person: notes and fields by source, held back or not.
    memory_used = models.JSONField(default=list, blank=True)

    # what it left
    call_summary = models.TextField(blank=True)
    caller_sentiment = models.CharField(max_length=12, blank=True)
    call_successful = models.BooleanField(null=True, blank=True)
    extracted_data = models.JSONField(default=dict, blank=True)
    # Where each extracted value was said: {"party_size": {"turn": 4, "at_ms": 12300}}.
    extracted_from = models.JSONField(default=dict, blank=True)
    bookings = models.JSONField(default=list, blank=True)
    caller_name = models.CharField(max_length=120, blank=True)
    call_reason = models.TextField(blank=True)
    recording_file = models.CharField(max_length=200, blank=True)
    recording_duration_s = models.PositiveIntegerField(null=True, blank=True)
    voicemail_detected = models.BooleanField(default=False)
    voicemail_detection_method = models.CharField(max_length=20, blank=True)
    amd_result = models.CharField(max_length=24, blank=True)
    avg_latency_ms = models.PositiveIntegerField(null=True, blank=True)

    objects = CallQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["carrier_sid"], condition=~Q(carrier_sid=""), name="calls_call_one_per_sid"
            ),
            models.CheckConstraint(
                # An ending has a reason, a time, and only an ending has them.
                condition=(
                    Q(
                        status__in=["completed", "busy", "no-answer", "failed", "canceled"],
                        ended_at__isnull=False,
                    )
                    & ~Q(ended_reason="")
                )
                | (
                    Q(ended_reason="", ended_at__isnull=True)
                    & ~Q(status__in=["completed", "busy", "no-answer", "failed", "canceled"])
                ),
                name="calls_call_ended_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-created_at"], name="calls_call_newest"),
            # The sweep looks only at calls that are not over: few rows of many.
            models.Index(
                fields=["created_at"],
                condition=~Q(status__in=["completed", "busy", "no-answer", "failed", "canceled"]),
                name="calls_call_unfinished",
            ),
        ]

    def __str__(self) -> str:
        return self.call_id

    @property
    def is_over(self) -> bool:
        return self.status in self.TERMINAL

    @property
    def is_browser(self) -> bool:
        """Whether somebody talks from a web page: there is no carrier to ask or to tell."""
        return self.carrier_sid.startswith(BROWSER_SID)

    @property
    def our_number(self) -> str:
        return self.from_number if self.direction == self.Direction.OUTBOUND else self.to_number

    @property
    def their_number(self) -> str:
        return self.to_number if self.direction == self.Direction.OUTBOUND else self.from_number

    @property
    def recording_path(self) -> Path | None:
        return settings.RECORDINGS_DIR / self.recording_file if self.recording_file else None


class MediaTicket(models.Model):
    """A one-time pass for a media socket, bound to a call; only its SHA-256 is stored."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="media_tickets")
    token_sha256 = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"ticket {self.pk}"


class UsageMonth(models.Model):
    """What an account used in one month (UTC). It outlives the calls it counts."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="usage_months")
    month = models.DateField(help_text="its first day")
    calls = models.PositiveIntegerField(default=0, help_text="that left, or came in")
    minutes = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    cost_micros = models.PositiveBigIntegerField(default=0, help_text="micro-dollars")
    rejected_at_cap = models.PositiveIntegerField(default=0, help_text="inbound, no line free")

    class Meta:
        ordering = ["-month"]
        constraints = [
            models.UniqueConstraint(fields=["account", "month"], name="calls_usagemonth_one")
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
