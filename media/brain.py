"""The model's door: a reply as it is being written."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import anthropic
import httpx2
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
) -> AsyncIterator[str | ToolCall]:
    """Yield the reply's text as it arrives, then the tools it wants used. Raises
    :class:`ModelFailed`; cancelling stops the writing.

    Tools and the stable part of the prompt are cached by the provider, so they must not change
    during a call: where no more tools may be used, the model still sees them.
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
        async with model_client().messages.stream(
            model=model,
            max_tokens=MAX_TOKENS,
            messages=cast(list[MessageParam], list(messages)),
            **options,
        ) as stream:
            async for event in stream:
                if event.type == "text":
                    yield event.text
            message = await stream.get_final_message()
        if message.stop_reason == "refusal":
            raise ModelFailed("refusal")
        if message.stop_reason == "tool_use":  # else a call may lack half of its arguments
            for block in message.content:
                if block.type == "tool_use":
                    yield ToolCall(block.id, block.name, cast(dict[str, Any], block.input))
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
