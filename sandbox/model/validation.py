"""What the real service checks before it generates a single token."""

import re
from typing import Any

from sandbox.model.catalogue import MODELS, Model
from sandbox.model.errors import ApiError, bad_request

_FIELDS = {
    "model", "messages", "max_tokens", "system", "stream", "stop_sequences", "tools",
    "tool_choice", "thinking", "output_config", "cache_control", "metadata", "service_tier",
    "container", "diagnostics", "inference_geo", "speed", "temperature", "top_p", "top_k",
    "context_management", "mcp_servers", "user_profile_id",
}  # fmt: skip
_BLOCKS = {
    "user": {"text", "image", "document", "tool_result", "search_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking", "fallback"},
    "system": {"text"},
}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_SAMPLING = {"temperature": 1, "top_p": 1, "top_k": None}
_MAX_BREAKPOINTS = 4


def check_request(body: Any, *, counting: bool = False) -> Model:
    """Return the model asked for, or raise ``ApiError`` naming the first field that is wrong.

    ``counting`` leaves out what ``/v1/messages/count_tokens`` does not take (``max_tokens``).
    """
    if not isinstance(body, dict):
        raise bad_request("Input should be a valid dictionary")
    for field in ("model", "messages", *(() if counting else ("max_tokens",))):
        if field not in body:
            raise bad_request(f"{field}: Field required")
    for field in body:
        if field not in _FIELDS:
            raise bad_request(f"{field}: Extra inputs are not permitted")
    if not isinstance(body["model"], str):
        raise bad_request("model: Input should be a valid string")
    model = MODELS.get(body["model"])
    if model is None:
        raise ApiError(404, "not_found_error", f"model: {body['model']}")
    if not counting:
        _check_limits(body, model)
    _check_system(body.get("system"))
    _check_tools(body, model)
    _check_messages(body["messages"])
    _check_thinking(body, model)
    _check_output_config(body)
    found = count_breakpoints(body)
    if found > _MAX_BREAKPOINTS:
        raise bad_request(
            f"A maximum of 4 blocks with cache_control may be provided. Found {found}."
        )
    return model


def count_breakpoints(value: Any) -> int:
    """How many ``cache_control`` markers a request carries, at any depth."""
    if isinstance(value, list):
        return sum(count_breakpoints(item) for item in value)
    if isinstance(value, dict):
        own = 1 if isinstance(value.get("cache_control"), dict) else 0
        return own + sum(
            count_breakpoints(item)
            for key, item in value.items()
            if key not in ("input", "input_schema", "output_config")
        )
    return 0


def _check_limits(body: dict[str, Any], model: Model) -> None:
    limit = body["max_tokens"]
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise bad_request("max_tokens: Input should be a valid integer")
    if limit < 0:
        raise bad_request("max_tokens: Input should be greater than or equal to 0")
    if limit > model.max_tokens:
        raise bad_request(
            f"max_tokens: {limit} > {model.max_tokens}, which is the maximum allowed number of "
            f"output tokens for {model.id}"
        )
    if "stream" in body and not isinstance(body["stream"], bool):
        raise bad_request("stream: Input should be a valid boolean")
    stops = body.get("stop_sequences", [])
    if not isinstance(stops, list) or not all(isinstance(s, str) and s.strip() for s in stops):
        raise bad_request("stop_sequences: each stop sequence must contain non-whitespace")
    for field, default in _SAMPLING.items():
        if field in body and not model.sampling and body[field] != default:
            raise bad_request(f"{field}: non-default values are not supported by {model.id}")


def _check_system(system: Any) -> None:
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        raise bad_request("system: Input should be a valid list")
    for index, block in enumerate(system):
        if not isinstance(block, dict) or block.get("type") != "text":
            raise bad_request(f"system.{index}.type: Input should be 'text'")
        if not isinstance(block.get("text"), str) or not block["text"].strip():
            raise bad_request(f"system.{index}: text content blocks must be non-empty")


def _check_tools(body: dict[str, Any], model: Model) -> None:
    tools = body.get("tools", [])
    if not isinstance(tools, list):
        raise bad_request("tools: Input should be a valid list")
    names: set[str] = set()
    for index, tool in enumerate(tools):
        where = f"tools.{index}"
        if not isinstance(tool, dict):
            raise bad_request(f"{where}: Input should be a valid dictionary")
        if tool.get("type", "custom") != "custom":
            raise bad_request(f"{where}: the sandbox runs no server tools, only custom ones")
        name = tool.get("name")
        if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
            raise bad_request(
                f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            )
        if name in names:
            raise bad_request("tools: Tool names must be unique.")
        names.add(name)
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            raise bad_request(f"{where}.input_schema: Field required")
        if schema.get("type") != "object":
            raise bad_request(f"{where}.input_schema.type: Input should be 'object'")
    choice = body.get("tool_choice")
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in ("auto", "any", "tool", "none"):
        raise bad_request("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if not tools:
        raise bad_request("tool_choice: may only be specified while providing tools")
    if kind == "tool" and choice.get("name") not in names:
        raise bad_request(f"tool_choice.name: Tool '{choice.get('name')}' not found in tools")
    if kind in ("any", "tool") and model.thinking in ("between_tools", "always"):
        raise bad_request(f"tool_choice: forced tool use is not supported by {model.id}")


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise bad_request("messages: at least one message is required")
    open_ids: list[str] = []
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        if not isinstance(message, dict):
            raise bad_request(f"{where}: Input should be a valid dictionary")
        role = message.get("role")
        if role not in _BLOCKS:
            raise bad_request(f"{where}.role: Input should be 'user', 'assistant' or 'system'")
        if index == 0 and role != "user":
            raise bad_request('messages: first message must use the "user" role')
        results, uses = _check_content(message.get("content"), role, where)
        missing = [use for use in open_ids if use not in results]
        if missing:
            raise bad_request(
                f"{where}: `tool_use` ids were found without `tool_result` blocks immediately "
                f"after: {', '.join(missing)}. Each `tool_use` block must have a corresponding "
                "`tool_result` block in the next message."
            )
        for unknown in (result for result in results if result not in open_ids):
            raise bad_request(
                f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {unknown}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous "
                "message."
            )
        open_ids = uses
    if messages[-1]["role"] != "user":
        raise bad_request(
            "This model does not support assistant message prefill. The conversation must end "
            "with a user message."
        )


def _check_content(content: Any, role: str, where: str) -> tuple[list[str], list[str]]:
    """Return the ids of the tool results and of the tool uses in one message's content."""
    if isinstance(content, str):
        if not content.strip():
            raise bad_request(f"{where}: {role} messages must have non-empty content")
        return [], []
    if not isinstance(content, list):
        raise bad_request(f"{where}.content: Input should be a valid list")
    if not content:
        raise bad_request(f"{where}: {role} messages must have non-empty content")
    results: list[str] = []
    uses: list[str] = []
    for number, block in enumerate(content):
        at = f"{where}.content.{number}"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in _BLOCKS[role]:
            raise bad_request(f"{at}.type: '{kind}' is not allowed in a {role} message")
        if kind == "text" and not str(block.get("text") or "").strip():
            raise bad_request(f"{at}: text content blocks must be non-empty")
        if kind == "tool_result":
            if not isinstance(block.get("tool_use_id"), str):
                raise bad_request(f"{at}.tool_use_id: Field required")
            results.append(block["tool_use_id"])
        if kind == "tool_use":
            for field, sort in (("id", str), ("name", str), ("input", dict)):
                if not isinstance(block.get(field), sort):
                    raise bad_request(f"{at}.{field}: Field required")
            if block["id"] in uses:
                raise bad_request("messages: `tool_use` ids must be unique")
            uses.append(block["id"])
    return results, uses


def _check_thinking(body: dict[str, Any], model: Model) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ("enabled", "adaptive", "disabled", "between_tools"):
        raise bad_request("thinking.type: unknown thinking configuration")
    if kind == "disabled" and model.thinking in ("between_tools", "always"):
        raise bad_request(f"thinking.type: 'disabled' is not supported by {model.id}")
    if kind == "between_tools" and model.thinking != "between_tools":
        raise bad_request(f"thinking.type: 'between_tools' is not supported by {model.id}")


def _check_output_config(body: dict[str, Any]) -> None:
    config = body.get("output_config")
    if config is None:
        return
    if not isinstance(config, dict):
        raise bad_request("output_config: Input should be a valid dictionary")
    if config.get("effort") not in (None, "low", "medium", "high", "xhigh", "max"):
        raise bad_request("output_config.effort: unknown effort level")
    wanted = config.get("format")
    if wanted is None:
        return
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        raise bad_request("output_config.format.type: Input should be 'json_schema'")
    if not isinstance(wanted.get("schema"), dict):
        raise bad_request("output_config.format.schema: Field required")
    _check_closed(wanted["schema"])


def _check_closed(schema: Any) -> None:
    """Structured output takes only objects that close themselves to unknown keys."""
    if isinstance(schema, list):
        for item in schema:
            _check_closed(item)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise bad_request(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be "
            "explicitly set to false"
        )
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, dict):
            for inner in value.values():
                _check_closed(inner)
        elif key in ("items", "anyOf", "oneOf", "allOf"):
            _check_closed(value)
