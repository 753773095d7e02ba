"""Tools that belong to a number."""

import secrets
from typing import Any, ClassVar

from django.db import models

from accounts.encryption import EncryptedTextField


def new_function_id() -> str:
    return f"fn_{secrets.token_hex(8)}"


class CustomFunction(models.Model):
    """A customer's own HTTP tool, which the agent may use in mid-call (spec 3.7)."""

    MOST_PER_NUMBER: ClassVar[int] = 15

    class Method(models.TextChoices):
        GET = "GET"
        POST = "POST"
        PUT = "PUT"
        PATCH = "PATCH"
        DELETE = "DELETE"

    number = models.ForeignKey(
        "agents.PhoneNumber", on_delete=models.CASCADE, related_name="custom_functions"
    )
    function_id = models.CharField(
        max_length=32, unique=True, default=new_function_id, editable=False
    )
    name = models.CharField(max_length=64)
    description = models.TextField()
    url = models.TextField()
    method = models.CharField(max_length=6, choices=Method, default=Method.POST)
    # JSON of an object of strings; encrypted, since it is where keys are sent.
    headers_json = EncryptedTextField(default="", blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    timeout_ms = models.PositiveIntegerField(default=5_000)
    speak_during = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["number", "name"], name="agents_customfunction_one_per_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def schema(self) -> dict[str, Any]:
        """The parameters as the model's provider takes them."""
        return {"type": "object", "properties": {}, **self.parameters}


class Calendar(models.Model):
    """A number's Cal.com calendar, into which its agent books (spec 6.9)."""

    number = models.OneToOneField(
        "agents.PhoneNumber", on_delete=models.CASCADE, related_name="calendar"
    )
    api_key = EncryptedTextField()
    username = models.CharField(max_length=120)
    event_slug = models.CharField(max_length=120)
    default_timezone = models.CharField(max_length=64, default="Europe/London")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.username}/{self.event_slug}"
