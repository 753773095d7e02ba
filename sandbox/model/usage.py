"""Token counts and prompt caching, accounted as the service bills them."""

import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.model.catalogue import Model

_PIECE = re.compile(r"\s*\w{1,5}|\s*[^\w\s]|\s+$")
_TTL_S = {"5m": 300.0, "1h": 3600.0}
_MOST_PREFIXES = 2000


def pieces(text: str) -> list[str]:
    """Cut text into token-sized pieces that join to the text again; about 4 characters each."""
    return _PIECE.findall(text) if text.strip() else ([text] if text else [])


def count(text: str) -> int:
    """How many tokens the simulator bills for a text."""
    return len(pieces(text))


@dataclass
class Usage:
    """What a request cost on the input side, in tokens."""

    fresh: int
    written: int
    read: int

    def body(self, output_tokens: int) -> dict[str, Any]:
        """The ``usage`` object of a message."""
        return {
            "input_tokens": self.fresh,
            "cache_creation_input_tokens": self.written,
            "cache_read_input_tokens": self.read,
            "output_tokens": output_tokens,
            "service_tier": "standard",
        }


def request_blocks(body: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Every prompt block in cache order (tools, system, messages) with its cache TTL, if marked."""
    for tool in body.get("tools", []):
        yield _block(tool)
    system = body.get("system") or []
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        yield _block(block)
    for message in body["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            text, ttl = _block(block)
            yield f"{message['role']}: {text}", ttl


def _block(block: dict[str, Any]) -> tuple[str, str | None]:
    marker = block.get("cache_control")
    bare = {key: value for key, value in block.items() if key != "cache_control"}
    text = bare["text"] if bare.get("type") == "text" else json.dumps(bare, sort_keys=True)
    return str(text), marker.get("ttl", "5m") if isinstance(marker, dict) else None


def count_input(body: dict[str, Any]) -> int:
    """Input tokens of a whole request."""
    return sum(count(text) + 3 for text, _ in request_blocks(body))


class PromptCache:
    """Prefixes seen before, per key and model, kept as long as their TTL and read to renew it."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str, str], tuple[float, float]] = OrderedDict()

    def account(self, body: dict[str, Any], model: Model, api_key: str) -> Usage:
        """Split a request's input into fresh, written and read tokens, and remember its prefixes.

        A marked prefix shorter than ``model.cache_min`` is silently not cached.
        """
        now = time.monotonic()
        digest = hashlib.sha256()
        total = 0
        marked: list[tuple[int, str, float]] = []
        blocks = list(request_blocks(body))
        top = body.get("cache_control")
        for index, (text, ttl) in enumerate(blocks):
            if isinstance(top, dict) and index == len(blocks) - 1:
                ttl = ttl or top.get("ttl", "5m")
            digest.update(text.encode() + b"\0")
            total += count(text) + 3
            if ttl and total >= model.cache_min:
                marked.append((total, digest.hexdigest(), _TTL_S.get(ttl, 300.0)))
        read = 0
        for tokens, prefix, ttl_s in marked:
            key = (api_key, model.id, prefix)
            if key in self._seen and self._seen[key][0] > now:
                read = tokens
            self._seen[key] = (now + ttl_s, ttl_s)
            self._seen.move_to_end(key)
        while len(self._seen) > _MOST_PREFIXES:
            self._seen.popitem(last=False)
        cached = marked[-1][0] if marked else 0
        return Usage(fresh=total - cached, written=cached - read, read=read)
