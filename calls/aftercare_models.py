"""What is still to be done for a call that is over."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


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

    call = models.OneToOneField("calls.Call", on_delete=models.CASCADE, related_name="aftercare")
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
