"""One assistant message as a whole body, and as the exact sequence of server-sent events."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from typing import Any

from sandbox.model.catalogue import Model
from sandbox.model.reply import Reply
from sandbox.model.usage import Usage, count, pieces

_THOUGHT = "(Simulated: a real model would think here.)"


def message_body(reply: Reply, body: dict[str, Any], model: Model, spent: Usage) -> dict[str, Any]:
    """The finished message, cut at ``max_tokens`` or at the first stop sequence.

    A model that thinks unless told otherwise gets a thinking block first, and its tokens count
    towards ``max_tokens``, as on the real service.
    """
    budget: int = body["max_tokens"]
    content: list[dict[str, Any]] = []
    stop_reason, stop_sequence = "end_turn", None
    spent_out = 0
    if _thinks(body, model):
        content.append({"type": "thinking", "thinking": _THOUGHT, "signature": "c2ltdWxhdGVk"})
        spent_out += count(_THOUGHT)
    text = reply.text
    for stop in body.get("stop_sequences") or []:
        if stop in text:
            text, stop_reason, stop_sequence = text.split(stop)[0], "stop_sequence", stop
    words = pieces(text)
    if spent_out + len(words) > budget:
        words = words[: max(0, budget - spent_out)]
        stop_reason, stop_sequence = "max_tokens", None
    if words:
        content.append({"type": "text", "text": "".join(words)})
    spent_out += len(words)
    if stop_reason == "end_turn":
        for number, tool in enumerate(reply.tools):
            cost = count(json.dumps(tool.input)) + 8
            if spent_out + cost > budget:
                stop_reason = "max_tokens"
                break
            use_id = _tool_id(body, number)
            content.append(
                {"type": "tool_use", "id": use_id, "name": tool.name, "input": tool.input}
            )
            spent_out += cost
            stop_reason = "tool_use"
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": model.id,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": spent.body(min(spent_out, budget)),
    }


def _thinks(body: dict[str, Any], model: Model) -> bool:
    asked = (body.get("thinking") or {}).get("type")
    if body["max_tokens"] == 0 or asked == "disabled":
        return False
    if model.thinking == "always" or asked in ("enabled", "adaptive"):
        return True
    low = (body.get("output_config") or {}).get("effort") == "low"
    return model.thinking == "optional" and asked is None and not low


def _tool_id(body: dict[str, Any], number: int) -> str:
    seed = json.dumps(body["messages"], sort_keys=True) + str(number)
    return f"toolu_{hashlib.sha256(seed.encode()).hexdigest()[:24]}"


class Events:
    """Iterates ``(event name, data, is a token)`` in the order the service sends them."""

    def __init__(self, message: dict[str, Any]) -> None:
        self._message = message

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any], bool]]:
        message = self._message
        start = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
        start["usage"] = {**message["usage"], "output_tokens": 1}
        yield _event("message_start", message=start)
        for index, block in enumerate(message["content"]):
            yield from self._block(index, block)
        yield _event(
            "message_delta",
            delta={
                "stop_reason": message["stop_reason"],
                "stop_sequence": message["stop_sequence"],
            },
            usage=message["usage"],
        )
        yield _event("message_stop")

    def _block(
        self, index: int, block: dict[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any], bool]]:
        kind = block["type"]
        empty: dict[str, dict[str, Any]] = {
            "text": {"text": ""},
            "thinking": {"thinking": "", "signature": ""},
            "tool_use": {"id": block.get("id"), "name": block.get("name"), "input": {}},
        }
        opened = {"type": kind, **empty[kind]}
        yield _event("content_block_start", index=index, content_block=opened)
        if index == 0:
            yield _event("ping")
        deltas: list[dict[str, Any]]
        if kind == "tool_use":
            parts = ["", *pieces(json.dumps(block["input"]))]
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        else:
            delta, key = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", kind)}[
                kind
            ]
            deltas = [{"type": delta, key: part} for part in pieces(block[key])]
        for one in deltas:
            yield _event("content_block_delta", True, index=index, delta=one)
        if kind == "thinking":
            signed = {"type": "signature_delta", "signature": block["signature"]}
            yield _event("content_block_delta", index=index, delta=signed)
        yield _event("content_block_stop", index=index)


def _event(name: str, is_token: bool = False, **data: Any) -> tuple[str, dict[str, Any], bool]:
    return name, {"type": name, **data}, is_token
