"""What a text's listeners are told, written into the outbox with the change itself."""

from datetime import UTC, datetime
from typing import Any

from sms.models import Message
from webhooks import outbox

# What is worth telling; a text that merely waits is not.
_TOLD = frozenset(
    {
        Message.Status.SENT,
        Message.Status.DELIVERED,
        Message.Status.UNDELIVERED,
        Message.Status.FAILED,
        Message.Status.RECEIVED,
    }
)


def tell(message: Message) -> None:
    """Write ``sms.<status>`` of a text, in the caller's transaction: ``sms.received``,
    ``sms.sent``, ``sms.delivered``, ``sms.undelivered``, ``sms.failed``.
    """
    if message.status not in _TOLD:
        return
    agent = message.agent
    event = f"sms.{message.status}"
    outbox.emit(
        message.account,
        event,
        _payload(message, event),
        subject=message.message_id,
        phone_number=message.thread.our_number,
        agent_id=message.agent_public_id,
        agent_url=agent.webhook_url if agent else None,
        api_key=agent.api_key if agent else None,
    )


def _payload(message: Message, event: str) -> dict[str, Any]:
    return {
        "event": event,
        "message_id": message.message_id,
        "agent_id": message.agent_public_id or None,
        "direction": message.direction,
        "from": message.from_number,
        "to": message.to_number,
        "body": message.body,
        "media": message.media,
        "status": message.status,
        "error_code": message.error_code,
        "error_message": message.error_message or None,
        "campaign_id": message.campaign_id or None,
        "call_id": message.call_id or None,
        "created_at": _iso(message.created_at),
        "delivered_at": _iso(message.delivered_at),
        "metadata": message.metadata,
    }


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
