"""The model's door: a reply as it is being written."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, cast

import anthropic
import httpx2
import orjson
from anthropic import AsyncAnthropic
from anthropic.types import MessageParam, TextBlockParam

from agents.model import ModelFailed, thinking_for
from agents.tools.base import ToolCall
from media.providers import model_client

MAX_TOKENS = 400  # half a minute of speech is more than anybody wants to hear


async def write_reply(
    *,
    model: str,
    system_stable: str,
    system_call: str,
    messages: Sequence[dict[str, Any]],
    tools: Sequence[dict[str, Any]] = (),
    may_use_tools: bool = True,
    client: AsyncAnthropic | None = None,
) -> AsyncIterator[str | ToolCall]:
    """Yield the reply's text as it arrives, then the tools it wants used. Raises
    :class:`ModelFailed`; cancelling stops the writing.

    Tools and the stable part of the prompt are cached by the provider, so they must not change
    during a call: where no more tools may be used, the model still sees them. Without a ``client``
    it is the process's own that asks.
    """
    system: list[TextBlockParam] = []
    if system_stable:
        system.append(
            {"type": "text", "text": system_stable, "cache_control": {"type": "ephemeral"}}
        )
    if system_call:
        system.append({"type": "text", "text": system_call})
    options: dict[str, Any] = {"system": system} if system else {}
    if tools:
        options["tools"] = list(tools)
        if not may_use_tools:
            options["tool_choice"] = {"type": "none"}
    if (thinking := thinking_for(model)) is not None:
        options["thinking"] = thinking
    try:
        async with (client or model_client()).messages.with_streaming_response.create(
            model=model,
            max_tokens=MAX_TOKENS,
            messages=cast(list[MessageParam], list(messages)),
            stream=True,
            **options,
        ) as response:
            tools_wanted = _ToolsWanted()
            stopped = ""
            async for event in _events(response.iter_bytes()):
                match event:
                    case {"type": "content_block_delta", "delta": {"type": "text_delta"} as delta}:
                        yield delta["text"]
                    case {"type": "message_delta", "delta": {"stop_reason": str(reason)}}:
                        stopped = reason
                    case {"type": "error", "error": {"type": str(kind)}}:
                        raise ModelFailed(kind)
                    case _:
                        tools_wanted.take(event)
        if stopped == "refusal":
            raise ModelFailed("refusal")
        if not stopped:
            raise ModelFailed("broken off")
        if stopped == "tool_use":  # else a call may lack half of its arguments
            for call in tools_wanted.calls():
                yield call
    except anthropic.APIStatusError as error:
        raise ModelFailed(error.type or f"status {error.status_code}") from error
    except anthropic.APITimeoutError as error:
        raise ModelFailed("time-out") from error
    except anthropic.APIError as error:
        raise ModelFailed("connection") from error
    except httpx2.TimeoutException as error:  # mid-stream the SDK lets these through
        raise ModelFailed("stalled") from error
    except httpx2.HTTPError as error:
        raise ModelFailed("broken off") from error
    except ValueError as error:
        raise ModelFailed("unreadable") from error


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The events of a streamed answer as they are on the wire.

    The SDK's own reading builds and validates several objects for each, which at a token every few
    hundredths of a second was an eighth of a media process's work.
    """
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield orjson.loads(line[5:])


class _ToolsWanted:
    """Puts together the tools that a streamed answer asks for."""

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[str, str, list[str]]] = {}

    def take(self, event: dict[str, Any]) -> None:
        match event:
            case {"type": "content_block_start", "content_block": {"type": "tool_use"} as block}:
                self._blocks[event["index"]] = (block["id"], block["name"], [])
            case {"type": "content_block_delta", "delta": {"type": "input_json_delta"} as delta}:
                self._blocks[event["index"]][2].append(delta["partial_json"])

    def calls(self) -> Iterator[ToolCall]:
        for block_id, name, pieces in self._blocks.values():
            yield ToolCall(block_id, name, orjson.loads("".join(pieces) or "{}"))
