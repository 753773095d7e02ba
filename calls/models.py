"""One phone conversation, from intent to after-care."""

from datetime import datetime
from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.ids import new_call_id
from accounts.models import Account, CarrierAccount
from agents.models import Agent, PhoneNumber

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


class Pace(models.Model):
    """The carrier's calls per second: when the next call may be handed to it on an account.

    Read and written under the lock of ``calls.admission``, so that any number of workers keep one
    pace.
    """

    carrier_account = models.OneToOneField(
        CarrierAccount, on_delete=models.CASCADE, related_name="pace"
    )
    next_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"pace of {self.carrier_account_id}"


class DialAttemptQuerySet(models.QuerySet["DialAttempt"]):
    def open(self) -> "DialAttemptQuerySet":
        """Attempts by which a phone rings, may ring or did ring: no second one may be made."""
        return self.filter(status__in=DialAttempt.OPEN)

    def unsettled(self) -> "DialAttemptQuerySet":
        """Attempts of which nobody knows yet whether they ring a phone."""
        return self.filter(status__in=DialAttempt.UNSETTLED)


class DialAttempt(models.Model):
    """One create-call request to the carrier, committed before it is sent (DESIGN decision 4).

    pending → accepted | refused | unknown; unknown → accepted | lost. The carrier's create-call is
    not idempotent: a request whose answer did not arrive is ``unknown`` and is never simply sent
    again.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        ACCEPTED = "accepted"
        REFUSED = "refused"
        UNKNOWN = "unknown"
        LOST = "lost"

    NEXT: ClassVar[dict[str, frozenset[str]]] = {
        Status.PENDING: frozenset({Status.ACCEPTED, Status.REFUSED, Status.UNKNOWN}),
        Status.UNKNOWN: frozenset({Status.ACCEPTED, Status.LOST}),
    }
    OPEN: ClassVar[frozenset[str]] = frozenset({Status.PENDING, Status.UNKNOWN, Status.ACCEPTED})
    UNSETTLED: ClassVar[frozenset[str]] = frozenset({Status.PENDING, Status.UNKNOWN})

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="attempts")
    # The call's, beside it so that the database can hold the constraint on them.
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="dial_attempts")
    from_number = models.CharField(max_length=64)
    to_number = models.CharField(max_length=64)
    number = models.PositiveSmallIntegerField(default=1)
    # Rides in every callback URL, so that any callback binds the carrier's call to this row.
    token = models.CharField(max_length=64, unique=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    carrier_sid = models.CharField(max_length=64, blank=True)
    error_code = models.IntegerField(null=True, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = DialAttemptQuerySet.as_manager()

    class Meta:
        indexes = [
            # The sweep looks for the few whose outcome is not known yet.
            models.Index(
                fields=["created_at"],
                condition=Q(status__in=["pending", "unknown"]),
                name="calls_dialattempt_unsettled",
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["call", "number"], name="calls_dialattempt_numbered"),
            models.UniqueConstraint(
                fields=["call"],
                condition=Q(status__in=["pending", "unknown", "accepted"]),
                name="calls_dialattempt_one_open_per_call",
            ),
            models.UniqueConstraint(
                # The carrier's list cannot tell two such calls apart: the second one waits.
                fields=["account", "from_number", "to_number"],
                condition=Q(status__in=["pending", "unknown"]),
                name="calls_dialattempt_one_unsettled_per_pair",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.call_id}#{self.number}"


class TransferQuerySet(models.QuerySet["Transfer"]):
    def open(self) -> "TransferQuerySet":
        """Transfers of which it is not settled yet whether somebody takes the call."""
        return self.filter(status__in=Transfer.OPEN)

    def bridged(self) -> "TransferQuerySet":
        return self.filter(status=Transfer.Status.BRIDGED)

    def out_of_our_hands(self) -> "TransferQuerySet":
        """Transfers that the carrier carries out: the call rings somewhere, or people talk."""
        return self.exclude(status__in=[Transfer.Status.ASKED, *Transfer.OVER])


class Transfer(models.Model):
    """A live call is put through to a person: committed before the carrier is told (spec 6.7.1).

    asked → ringing → whispering (warm) → bridged, or failed, or the caller hung up first. The
    carrier reorders its callbacks: one that says the two have talked is believed even when the
    caller seemed to have left before.
    """

    class Kind(models.TextChoices):
        COLD = "cold"
        WARM = "warm"

    class Status(models.TextChoices):
        ASKED = "asked"
        RINGING = "ringing"
        WHISPERING = "whispering"
        BRIDGED = "bridged"
        FAILED = "failed"
        CALLER_GONE = "caller_gone"

    NEXT: ClassVar[dict[str, frozenset[str]]] = {
        Status.ASKED: frozenset(
            {
                Status.RINGING,
                Status.WHISPERING,
                Status.BRIDGED,
                Status.FAILED,
                Status.CALLER_GONE,
            }
        ),
        Status.RINGING: frozenset(
            {Status.WHISPERING, Status.BRIDGED, Status.FAILED, Status.CALLER_GONE}
        ),
        Status.WHISPERING: frozenset({Status.BRIDGED, Status.FAILED, Status.CALLER_GONE}),
        Status.CALLER_GONE: frozenset({Status.BRIDGED}),
    }
    OPEN: ClassVar[frozenset[str]] = frozenset({Status.ASKED, Status.RINGING, Status.WHISPERING})
    OVER: ClassVar[frozenset[str]] = frozenset({Status.FAILED, Status.CALLER_GONE})

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="transfers")
    number = models.PositiveSmallIntegerField(help_text="1 for the call's first")
    # Rides in every callback URL.
    token = models.CharField(max_length=64, unique=True)
    to_number = models.CharField(max_length=32)
    kind = models.CharField(max_length=4, choices=Kind)
    status = models.CharField(max_length=12, choices=Status, default=Status.ASKED)
    # Why nobody took it: no-answer, busy, declined (hung up during the whisper), canceled, failed.
    failure = models.CharField(max_length=24, blank=True)
    # The sequence number of the last turn before it; what follows knows how it went.
    after_turn = models.PositiveIntegerField(default=0)
    whisper = models.TextField(blank=True, help_text="what the colleague hears first, if warm")
    carrier_sid = models.CharField(max_length=64, blank=True, help_text="of the colleague's leg")
    asked_at = models.DateTimeField(default=timezone.now)
    ringing_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    bridged_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TransferQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["call", "number"], name="calls_transfer_numbered"),
            models.UniqueConstraint(
                # What is open, or succeeded, is the call's last.
                fields=["call"],
                condition=Q(status__in=["asked", "ringing", "whispering", "bridged"]),
                name="calls_transfer_one_per_call",
            ),
            models.CheckConstraint(
                condition=Q(status="bridged", bridged_at__isnull=False)
                | (~Q(status="bridged") & Q(bridged_at__isnull=True)),
                name="calls_transfer_bridged_at",
            ),
        ]
        indexes = [
            # The sweep looks for the few that are not settled.
            models.Index(
                fields=["asked_at"],
                condition=Q(status__in=["asked", "ringing", "whispering"]),
                name="calls_transfer_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.call_id}→{self.number}"

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN


class MediaTicket(models.Model):
    """A one-time pass for a media socket, bound to a call; only its SHA-256 is stored."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="media_tickets")
    token_sha256 = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"ticket {self.pk}"


class Turn(models.Model):
    """What one side said, once it is committed. An agent's turn holds only what was heard."""

    class Role(models.TextChoices):
        AGENT = "agent"
        CALLER = "caller"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="turns")
    sequence = models.PositiveIntegerField()
    role = models.CharField(max_length=8, choices=Role)
    text = models.TextField()
    # What the agent meant to say where it was interrupted, else empty.
    full_text = models.TextField(blank=True)
    started_ms = models.PositiveIntegerField(help_text="ms since the call's audio began")
    ended_ms = models.PositiveIntegerField(help_text="ms since the call's audio began")
    interrupted = models.BooleanField(default=False)
    # From the end of the caller's speech to the first audio frame of this answer.
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    timings = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["sequence"]
        constraints = [
            models.UniqueConstraint(fields=["call", "sequence"], name="calls_turn_in_sequence")
        ]

    def __str__(self) -> str:
        return f"{self.role} #{self.sequence}"


class CallEvent(models.Model):
    """Something that happened to a call, as it happened; never changed afterwards."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=40)
    data = models.JSONField(default=dict, blank=True)
    # Who writes events twice (the media process, after a lost answer) gives each a key of its own.
    key = models.CharField(max_length=40, blank=True)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["call", "key"], condition=~Q(key=""), name="calls_callevent_one_per_key"
            )
        ]
        indexes = [models.Index(fields=["call", "at"], name="calls_callevent_in_order")]

    def __str__(self) -> str:
        return self.kind


class FlightLog(models.Model):
    """A piece of what a media socket's conversation machine was told and decided, compressed.

    ``generation`` is the socket's, ``number`` the piece's place in it, from 0.
    """

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="flight_logs")
    generation = models.PositiveIntegerField()
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ["generation", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["call", "generation", "number"], name="calls_flightlog_in_order"
            )
        ]

    def __str__(self) -> str:
        return f"{self.generation}:{self.number}"


class AftercareQuerySet(models.QuerySet["Aftercare"]):
    def due(self, now: datetime) -> "AftercareQuerySet":
        """After-care to do now, the longest due first."""
        return self.filter(due_at__lte=now).order_by("due_at", "pk")


class Aftercare(models.Model):
    """What is still to be done for a call that is over: written with its ending, so never lost.

    The analysis goes pending → done | skipped | failed, and back to pending where it is asked for
    again; the call's listeners are told once.
    """

    class Analysis(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        SKIPPED = "skipped"
        FAILED = "failed"

    NEXT: ClassVar[dict[str, frozenset[str]]] = {
        Analysis.PENDING: frozenset({Analysis.DONE, Analysis.SKIPPED, Analysis.FAILED}),
        Analysis.DONE: frozenset({Analysis.PENDING}),
        Analysis.SKIPPED: frozenset({Analysis.PENDING}),
        Analysis.FAILED: frozenset({Analysis.PENDING}),
    }

    call = models.OneToOneField(Call, on_delete=models.CASCADE, related_name="aftercare")
    analysis = models.CharField(max_length=8, choices=Analysis, default=Analysis.PENDING)
    # When to go on; while somebody does, when to if they never come back. Null: all is done.
    due_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    tries = models.PositiveIntegerField(default=0)
    # Since when the analysis is wanted: the call's end, or when it was asked for again.
    wanted_at = models.DateTimeField(default=timezone.now)
    error = models.CharField(max_length=60, blank=True, help_text="of the last try")
    told_at = models.DateTimeField(null=True, blank=True, help_text="call.completed was written")

    objects = AftercareQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "after-care"
        indexes = [
            # What is to be done is few rows of many.
            models.Index(
                fields=["due_at"], condition=Q(due_at__isnull=False), name="calls_aftercare_due"
            )
        ]

    def __str__(self) -> str:
        return f"after {self.call_id}"


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
