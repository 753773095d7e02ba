"""What a text's listeners are told, written into the outbox with the change itself."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from accounts.models import Account
from sms.models import Message
from webhooks import outbox
from webhooks.models import Endpoint

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

# So many of the newest texts tell what a booking was about.
_SHOWN = 20


def tell_received(messages: Iterable[Message]) -> None:
    """Write ``sms.received`` of many texts, in the caller's transaction."""
    of_accounts: dict[Account, list[Message]] = defaultdict(list)
    for message in messages:
        of_accounts[message.account].append(message)
    for account, texts in of_accounts.items():
        among = outbox.endpoints_of(account, {text.to_number for text in texts})
        for text in texts:
            tell(text, among)


def tell(message: Message, among: Sequence[Endpoint] | None = None) -> None:
    """Write ``sms.<status>`` of a text, in the caller's transaction: ``sms.received``,
    ``sms.sent``, ``sms.delivered``, ``sms.undelivered``, ``sms.failed``. ``among``: as
    ``outbox.emit`` has it.
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
        among=among,
    )


def tell_booking(answered: Message, booking: Mapping[str, Any]) -> None:
    """Write ``sms.booking``, in the caller's transaction: the agent booked, moved or cancelled
    something while it answered the text ``answered``."""
    thread, agent = answered.thread, answered.agent
    texts = thread.messages.filter(created_at__lte=answered.created_at).newest_first()[:_SHOWN]
    event = "sms.booking"
    body = {
        "event": event,
        "from": thread.their_number,
        "to": thread.our_number,
        "agent_id": answered.agent_public_id or None,
        "conversation": [
            {
                "role": "user" if text.direction == Message.Direction.INBOUND else "assistant",
                "text": text.body,
            }
            for text in reversed(texts)
        ],
        "booking": dict(booking),
        "message_id": answered.message_id,
        "at": _iso(timezone.now()),
    }
    outbox.emit(
        answered.account,
        event,
        body,
        subject=answered.message_id,
        phone_number=thread.our_number,
        agent_id=answered.agent_public_id,
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
