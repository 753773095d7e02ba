"""A thread as the model takes it: texts as turns, and what tools did in between."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.utils import timezone

from sms.models import Message, Thread
from sms.tool_models import ToolRound

# As SQL, which is ready at once: both are asked for each answer.
_TEXTS = """
    SELECT id, direction, body FROM sms_message AS text
    WHERE thread_id = %s AND created_at <= %s
        AND status NOT IN ('failed', 'undelivered') AND origin <> 'opt_out'
        AND NOT EXISTS (
            SELECT 1 FROM sms_messagepart AS part
            WHERE part.message_id = text.id AND part.status = 'waiting' AND part.attempts = 0
                AND part.send_after > %s
        )
    ORDER BY created_at DESC, id DESC
    LIMIT %s
"""
_ROUNDS = "SELECT * FROM sms_toolround WHERE message_id = ANY(%s) ORDER BY message_id, number"

RECENT = 20  # texts of the thread that the model sees
UNKNOWN = "It is not known what became of this. Do not claim it and do not repeat it: look it up."


def conversation(thread: Thread, newest: Message) -> list[dict[str, Any]]:
    """Return the newest texts up to ``newest``, the person's, as messages of the model's provider:
    roles alternate, the first and last are the user's.

    Ours that never reached them, or whose time has not come, are left out. The tools that were used
    stand where they were used.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TEXTS, [thread.pk, newest.created_at, timezone.now(), RECENT])
        texts = cursor.fetchall()
    rounds: dict[int, list[ToolRound]] = defaultdict(list)
    for one in ToolRound.objects.raw(_ROUNDS, [[pk for pk, *_ in texts]]):
        rounds[one.message_id].append(one)
    messages: list[dict[str, Any]] = []
    for pk, direction, body in reversed(texts):
        role = "user" if direction == Message.Direction.INBOUND else "assistant"
        _add(messages, role, body.strip() or "[a picture or file, which you cannot see]")
        for one in rounds[pk]:
            # Thoughts belong to the answer they led to.
            asked = [
                block
                for block in one.asked
                if pk == newest.pk or block["type"] in {"text", "tool_use"}
            ]
            _add(messages, "assistant", asked)
            _add(messages, "user", _results(one))
    if messages and messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": "[You texted first.]"})
    return messages


def _add(messages: list[dict[str, Any]], role: str, content: str | list[dict[str, Any]]) -> None:
    if not messages or messages[-1]["role"] != role:
        messages.append({"role": role, "content": content})
        return
    before = messages[-1]["content"]
    if isinstance(before, str) and isinstance(content, str):
        messages[-1]["content"] = f"{before}\n{content}"
    else:
        messages[-1]["content"] = [*_blocks(before), *_blocks(content)]


def _blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _results(one: ToolRound) -> list[dict[str, Any]]:
    lost = {"content": UNKNOWN, "failed": True}
    return [
        {
            "type": "tool_result",
            "tool_use_id": block["id"],
            "content": (result := one.results.get(block["id"], lost))["content"],
            "is_error": result["failed"],
        }
        for block in one.asked
        if block["type"] == "tool_use"
    ]


def words_of_person(messages: list[Mapping[str, Any]] | list[dict[str, Any]]) -> str:
    """Return what the person wrote, a text a line."""
    lines = []
    for message in messages:
        if message["role"] == "user":
            lines += [b["text"] for b in _blocks(message["content"]) if b["type"] == "text"]
    return "\n".join(lines)
