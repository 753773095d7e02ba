"""What stands between a call that is to be placed and the carrier's: attempts, and their pace."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.models import Account, CarrierAccount


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

    call = models.ForeignKey("calls.Call", on_delete=models.CASCADE, related_name="attempts")
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
