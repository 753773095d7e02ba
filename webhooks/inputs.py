"""What may be asked for: the API and the dashboard check an endpoint here."""

from typing import Any

from rest_framework import serializers

from accounts.errors import invalid_field, missing_field
from accounts.fields import Text
from accounts.net import url_problem

# Every type that an endpoint of an account may choose (docs/webhooks.md).
EVENT_TYPES = (
    "call.started",
    "call.completed",
    "call.analyzed",
    "sms.received",
    "sms.sent",
    "sms.delivered",
    "sms.undelivered",
    "sms.failed",
    "sms.booking",
    "campaign.scheduled",
    "campaign.running",
    "campaign.paused",
    "campaign.completed",
    "campaign.canceled",
    "campaign.failed",
    "webhook.disabled",
)


class Url(Text):
    """An https address that customers may have us ask, else ``invalid_url``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2_000, allow_blank=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        url = super().to_internal_value(data)
        if (problem := url_problem(url)) is not None:
            raise invalid_field(self.field_name or "url", problem, "invalid_url")
        return url


class EndpointInput(serializers.Serializer[Any]):
    url = Url()
    events = serializers.ListField(
        child=Text(max_length=40), required=False, max_length=50, help_text="Empty: all events."
    )


def required_url(given: dict[str, Any], *names: str, field: str) -> str:
    """Return the URL that a body gives under one of ``names``; complaints name ``field``."""
    value = next((given[name] for name in names if given.get(name)), None)
    if value is None:
        raise missing_field(field)
    reader = Url()
    reader.field_name = field
    url: str = reader.to_internal_value(value)
    return url
