"""What the carrier brought and no worker has taken in yet: people's texts, and its reports on ours;
and what it is not to bring again.

Committed before the carrier has its answer, and deleted in the transaction that takes it in. So a
row that is here is still to be taken in, and one that is not was taken in once.
"""

from django.db import models
from django.utils import timezone

from accounts.models import Account
from agents.models import PhoneNumber


class Waiting(models.Model):
    """A row that is work left to do (``sms/queue.py``)."""

    at = models.DateTimeField(default=timezone.now)
    # After a failure it waits.
    due_at = models.DateTimeField(default=timezone.now)
    failures = models.PositiveSmallIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.model_name} {self.pk}"


class Arrival(Waiting):
    """A text as its carrier brought it. While it waits, so do the same person's later ones."""

    number = models.ForeignKey(PhoneNumber, on_delete=models.CASCADE, related_name="+")
    carrier_sid = models.CharField(max_length=64)
    from_number = models.CharField(max_length=64)
    body = models.TextField(blank=True)
    media = models.JSONField(default=list, blank=True)
    opt_out_type = models.CharField(max_length=20, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["number", "carrier_sid"], name="sms_arrival_one_per_sid"
            )
        ]
        indexes = [models.Index(fields=["number", "from_number", "id"], name="sms_arrival_of_pair")]


class Report(Waiting):
    """What the carrier said of a text of ours, in its own word. It may say so twice, and both may
    be here: a status only rises."""

    part = models.ForeignKey("sms.MessagePart", on_delete=models.CASCADE, related_name="+")
    carrier_sid = models.CharField(max_length=64)
    word = models.CharField(max_length=20)
    error_code = models.IntegerField(null=True, blank=True)

    class Meta:
        ordering = ["id"]


class ErasedText(models.Model):
    """A text that somebody wrote and that was erased here. The carrier's list still has it, and it
    is not to come back (``sms/recovery.py``)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    carrier_sid = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "carrier_sid"], name="sms_erasedtext_one_per_sid"
            )
        ]

    def __str__(self) -> str:
        return f"erased {self.pk}"
