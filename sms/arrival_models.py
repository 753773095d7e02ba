"""Texts that came in and that no worker has taken in yet."""

from django.db import models
from django.utils import timezone

from agents.models import PhoneNumber


class Arrival(models.Model):
    """A text as its carrier brought it: committed before the carrier has its answer, deleted in the
    transaction that stores it in its thread. So one that is here is still to be taken in, and one
    that is not was taken in once.
    """

    number = models.ForeignKey(PhoneNumber, on_delete=models.CASCADE, related_name="+")
    carrier_sid = models.CharField(max_length=64)
    from_number = models.CharField(max_length=64)
    body = models.TextField(blank=True)
    media = models.JSONField(default=list, blank=True)
    opt_out_type = models.CharField(max_length=20, blank=True)
    at = models.DateTimeField(default=timezone.now)
    # After a failure a text waits, and with it what the same person wrote later.
    due_at = models.DateTimeField(default=timezone.now)
    failures = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["number", "carrier_sid"], name="sms_arrival_one_per_sid"
            )
        ]
        indexes = [models.Index(fields=["number", "from_number", "id"], name="sms_arrival_of_pair")]

    def __str__(self) -> str:
        return f"arrival {self.pk}"
