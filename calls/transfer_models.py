"""A call that is put through to a person."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


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
    caller seemed to have left before. A warm one that seemed bridged fails after all where the
    carrier says in the end that the two were never connected.
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

    call = models.ForeignKey("calls.Call", on_delete=models.CASCADE, related_name="transfers")
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
