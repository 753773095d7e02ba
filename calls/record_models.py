"""What is on record of a call: what was said, what happened, what the engine was told."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Turn(models.Model):
    """What one side said, once it is committed. An agent's turn holds only what was heard."""

    class Role(models.TextChoices):
        AGENT = "agent"
        CALLER = "caller"

    call = models.ForeignKey("calls.Call", on_delete=models.CASCADE, related_name="turns")
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

    call = models.ForeignKey("calls.Call", on_delete=models.CASCADE, related_name="events")
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

    call = models.ForeignKey("calls.Call", on_delete=models.CASCADE, related_name="flight_logs")
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
