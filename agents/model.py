"""The model's door for what is written whole, beside any call: answers to texts, summaries.

One request, one answer, synchronous; live speech has a streaming door of its own in ``media``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings

from agents.tools.base import ToolCall

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.types import MessageParam

# Nobody waits on the line: a slow answer is still an answer.
TIMEOUT_S = 45.0
CONNECT_TIMEOUT_S = 5.0
MAX_TOKENS = 600


class ModelFailed(Exception):
    """The model gave no, or no whole, answer. ``str`` names the failure in one or two words."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote: text, and the tools it wants used (then it is not done yet)."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    content: list[dict[str, Any]] = field(default_factory=list)  # for the next request's history


def thinking_for(model: str) -> dict[str, str] | None:
    """How this model is kept from thinking at length (None: it has no such switch)."""
    if model.startswith("claude-sonnet-5-5"):
        return {"type": "between_tools"}
    if model.startswith(("claude-haiku", "claude-sonnet")):
        return {"type": "disabled"}
    return None


def write(
    *,
    model: str,
    system_stable: str,
    system_now: str = "",
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    schema: Mapping[str, Any] | None = None,
    max_tokens: int = MAX_TOKENS,
    may_use_tools: bool = True,
    within_s: float | None = None,
) -> Written:
    """Return the model's answer to ``messages``, which begin and end with the user's.

    The stable part of the prompt is cached by the provider. Without ``may_use_tools`` the model
    still sees the tools, which ``messages`` may show in use. With a JSON ``schema`` (every object
    of it closed) the answer's text is JSON that fits it. Raises ``ModelFailed``, also for an
    answer that breaks off at ``max_tokens``; a request that failed in passing was tried twice,
    but only once where the answer is wanted ``within_s``.
    """
    # Loading the SDK takes over a second: only a process that asks a model pays for it.
    import anthropic
    import httpx2

    system: list[dict[str, Any]] = [
        {"type": "text", "text": system_stable, "cache_control": {"type": "ephemeral"}}
    ]
    if system_now:
        system.append({"type": "text", "text": system_now})
    options: dict[str, Any] = {"system": system}
    if tools:
        options["tools"] = list(tools)
        if not may_use_tools:
            options["tool_choice"] = {"type": "none"}
    if schema is not None:
        options["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    if (thinking := thinking_for(model)) is not None:
        options["thinking"] = thinking
    client = _client(settings.ANTHROPIC_API_KEY, settings.ANTHROPIC_API_URL)
    if within_s is not None:
        client = client.with_options(timeout=within_s, max_retries=0)
    try:
        answer = client.messages.create(
            model=model,
            max_tokens=max_tokens,
            messages=cast("list[MessageParam]", list(messages)),
            **options,
        )
    except anthropic.APIStatusError as error:
        raise ModelFailed(error.type or f"status {error.status_code}") from error
    except anthropic.APITimeoutError as error:
        raise ModelFailed("time-out") from error
    except (anthropic.APIError, httpx2.HTTPError) as error:
        raise ModelFailed("connection") from error
    if answer.stop_reason in {"refusal", "max_tokens", "model_context_window_exceeded"}:
        raise ModelFailed(answer.stop_reason)
    return Written(
        text="".join(block.text for block in answer.content if block.type == "text").strip(),
        tool_calls=tuple(
            ToolCall(block.id, block.name, cast(Mapping[str, Any], block.input))
            for block in answer.content
            if block.type == "tool_use"
        ),
        content=[block.model_dump(exclude_none=True) for block in answer.content],
    )


def preload() -> None:
    """Load the provider's SDK now: for a process whose children will ask a model."""
    import anthropic.resources.messages  # noqa: F401


@cache
def _client(api_key: str, base_url: str) -> "Anthropic":
    """One for each process: a new one costs 20 ms of reading certificates. Threads may share it."""
    from anthropic import Anthropic, Timeout

    timeout = Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    return Anthropic(api_key=api_key, base_url=base_url, timeout=timeout, max_retries=1)
