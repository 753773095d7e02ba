"""What the agent did with its tools while it answered a text."""

from typing import ClassVar

from django.db import models


class ToolRound(models.Model):
    """What the model asked of its tools at once, and what came of it.

    Committed before any tool is used, so that none is used again, whoever dies: of a use without a
    result nobody knows the outcome. Later answers in the thread read it as the model wrote it.
    """

    # the newest of the texts that were being answered
    message = models.ForeignKey("sms.Message", on_delete=models.CASCADE, related_name="tool_rounds")
    number = models.PositiveSmallIntegerField()
    asked = models.JSONField(help_text="the model's own blocks")
    results = models.JSONField(
        default=dict, blank=True, help_text="by the id of each use: content, failed"
    )
    bookings = models.JSONField(default=list, blank=True)

    # A write that waits for the person's yes: the call with its arguments, and the text that asks.
    proposal = models.TextField(blank=True)
    question = models.OneToOneField(
        "sms.Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="asks_about"
    )
    confirmed_at = models.DateTimeField(null=True, blank=True, help_text="and done, once")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["message_id", "number"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["message", "number"], name="sms_toolround_numbered")
        ]

    def __str__(self) -> str:
        return f"{self.message_id}/{self.number}"
