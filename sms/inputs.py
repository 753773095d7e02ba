"""What the API takes in for texts."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from accounts.errors import invalid_field, require
from accounts.fields import E164, Flag, Object, Text, Whole
from accounts.parsing import time_in_query
from sms.models import Message, MessageQuerySet, ThreadQuerySet

# Every generation's names of the same thing; the first one given counts.
_NAMES = {
    "to_number": ("to_number", "to"),
    "body": ("body", "message"),
    "from_number": ("from_number", "from"),
}


def renamed(data: Mapping[str, Any], names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return ``data`` with the first given of each field's names under the field's own."""
    given = dict(data)
    for field, spellings in names.items():
        values = [given.pop(name) for name in spellings if name in given]
        present = [value for value in values if value not in (None, "")]
        if present or values:
            given[field] = (present or values)[0]
    return given


class NewText(serializers.Serializer[Any]):
    """One text. ``to`` and ``message`` are other names of ``to_number`` and ``body``."""

    agent_id = Text(max_length=64)
    to_number = E164()
    from_number = E164(required=False, allow_null=True)
    body = Text()
    context_prompt = Text(required=False, allow_null=True, max_length=8000)
    context = Object(  # type: ignore[assignment]  # a serializer's own property has this name
        required=False, allow_null=True, help_text='{"reply_context": "…"}'
    )
    reply_window_hours = Whole(1, 720, required=False, allow_null=True)
    plain_punctuation = Flag(
        required=False, help_text="Curly quotes, dashes … as GSM-7 look-alikes: fewer segments."
    )
    metadata = Object(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        data = renamed(data, _NAMES)
        require(data, "agent_id", "to_number", "body")
        if data.get("from_number") == "":
            data["from_number"] = None
        given: dict[str, Any] = super().to_internal_value(data)
        context = (given.get("context") or {}).get("reply_context") or ""
        if not isinstance(context, str):
            raise invalid_field("context.reply_context", "must be a string.")
        return {
            "agent_id": given["agent_id"],
            "to_number": given["to_number"],
            "from_number": given.get("from_number"),
            "body": given["body"],
            "context_prompt": (given.get("context_prompt") or context).strip(),
            "reply_window_hours": given.get("reply_window_hours"),
            "plain_punctuation": given.get("plain_punctuation", False),
            "metadata": given.get("metadata") or {},
        }


def filtered_threads(threads: ThreadQuerySet, query: Mapping[str, str]) -> ThreadQuerySet:
    """Return the threads that a list's query asks for. A value that cannot be read is a 400."""
    if theirs := _number(query, "to_number", "to", "their_number"):
        threads = threads.filter(their_number=theirs)
    if ours := _number(query, "from_number", "our_number"):
        threads = threads.filter(our_number=ours)
    if agent_id := _given(query, "agent_id"):
        threads = threads.filter(agent__agent_id=agent_id)
    if wanted := _given(query, "window_open"):
        threads = threads.filter(window_open=_flag("window_open", wanted))
    if wanted := _given(query, "needs_human"):
        flagged = threads.exclude(needs_human="")
        threads = flagged if _flag("needs_human", wanted) else threads.filter(needs_human="")
    if wanted := _given(query, "unread"):
        unread = _flag("unread", wanted)
        threads = threads.filter(unread__gt=0) if unread else threads.filter(unread=0)
    return _between(threads, "last_message_at", query)


def filtered_messages(messages: MessageQuerySet, query: Mapping[str, str]) -> MessageQuerySet:
    """Return the texts that a list's query asks for. A value that cannot be read is a 400."""
    for names, field in (
        (("to_number", "to"), "to_number"),
        (("from_number", "from"), "from_number"),
    ):
        if value := _number(query, *names):
            messages = messages.filter(**{field: value})
    for name, field in (
        ("agent_id", "agent_public_id"),
        ("campaign_id", "campaign_id"),
        ("call_id", "call_id"),
    ):
        if value := _given(query, name):
            messages = messages.filter(**{field: value})
    for name, choices in (
        ("status", Message.Status.values),
        ("direction", Message.Direction.values),
        ("origin", Message.Origin.values),
        ("reply", Message.Reply.values),
    ):
        if value := _given(query, name):
            if value not in choices:
                raise invalid_field(name, f"must be one of: {', '.join(choices)}.")
            messages = messages.filter(**{name: value})
    return _between(messages, "created_at", query)


def _given(query: Mapping[str, str], name: str) -> str:
    return query.get(name, "").replace("\0", "").strip()


def _number(query: Mapping[str, str], *names: str) -> str:
    value = next((found for name in names if (found := _given(query, name))), "")
    # In a query a raw plus is a space.
    return f"+{value}" if value[:1].isdigit() and len(value) > 6 else value


def _flag(name: str, value: str) -> bool:
    if value.lower() not in {"true", "false", "1", "0"}:
        raise invalid_field(name, "must be true or false.")
    return value.lower() in {"true", "1"}


def _between[Rows: QuerySet[Any]](rows: Rows, field: str, query: Mapping[str, str]) -> Rows:
    if since := _given(query, "since"):
        rows = rows.filter(**{f"{field}__gte": time_in_query(since, "since")})
    if until := _given(query, "until"):
        rows = rows.filter(**{f"{field}__lt": time_in_query(until, "until")})
    return rows
