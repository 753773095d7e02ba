"""Anthropic's Messages API on loopback: the HTTP routes of the simulated model."""

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sandbox import fault_settings, faults
from sandbox.model import engine, usage
from sandbox.model.catalogue import MODELS, Model
from sandbox.model.errors import ApiError, bad_request
from sandbox.model.stream import Events, message_body
from sandbox.model.validation import check_request

_VERSIONS = {"2023-01-01", "2023-06-01", "2026-10-21"}
_MAX_BODY = 32 * 1024 * 1024

REQUEST_ID = web.RequestKey("request_id", str)
API_KEY = web.RequestKey("api_key", str)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes() -> list[web.RouteDef]:
    """The simulated model's routes; each call makes a model with an empty prompt cache."""
    api = MessagesApi()
    return [
        web.post("/v1/messages", _guarded(api.create)),
        web.post("/v1/messages/count_tokens", _guarded(api.count_tokens)),
        web.get("/v1/models", _guarded(api.list_models)),
        web.get("/v1/models/{model_id}", _guarded(api.retrieve_model)),
    ]


def _guarded(handler: Handler) -> Handler:
    """Answer refusals as the service does, and label every response as simulated."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        request[REQUEST_ID] = f"req_{secrets.token_hex(12)}"
        try:
            request[API_KEY] = _api_key(request)
            response = await handler(request)
        except ApiError as refusal:
            response = web.json_response(
                refusal.body(request[REQUEST_ID]), status=refusal.status, headers=refusal.headers
            )
        if not response.prepared:
            response.headers.update(_labels(request))
        return response

    return guarded


def _labels(request: web.Request) -> dict[str, str]:
    return {"request-id": request[REQUEST_ID], "x-sandbox-simulation": "1"}


def _api_key(request: web.Request) -> str:
    """The caller's key from ``Authorization: Bearer`` (SDK 2.x) or ``x-api-key``."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    key = request.headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
    if not key.strip():
        raise ApiError(401, "authentication_error", "x-api-key header is required")
    if key.strip() == "invalid":
        raise ApiError(401, "authentication_error", "invalid x-api-key")
    version = request.headers.get("anthropic-version")
    if version is None:
        raise bad_request("anthropic-version: header is required")
    if version not in _VERSIONS:
        raise bad_request(f'"{version}" is not a valid version for the anthropic-version header')
    return key.strip()


def _wait_s(name: str, default_ms: float) -> float:
    return float(os.environ.get(name, default_ms)) / 1000


class MessagesApi:
    """The handlers, which share one prompt cache."""

    def __init__(self) -> None:
        self._cache = usage.PromptCache()

    async def create(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/messages``: whole, or as server-sent events when ``stream`` is true."""
        body = await self._read(request)
        model = check_request(body)
        about = f"{body['model']} {_text_of(body.get('system'))}"
        newest = (body["messages"] or [{}])[-1].get("content")
        fault = faults.strike(
            "model", *fault_settings.KINDS["model"], about=about, asked=_text_of(newest)
        )
        _refuse_by_fault(fault)
        spent = self._cache.account(body, model, request[API_KEY])
        if spent.fresh + spent.written + spent.read > model.max_input_tokens:
            raise bad_request("prompt is too long")
        loop = asyncio.get_running_loop()
        reply = await loop.run_in_executor(None, engine.reply_to, body)
        message = message_body(reply, body, model, spent)
        if fault.get("kind") == "refusal":
            message |= {"content": [], "stop_reason": "refusal", "stop_sequence": None}
        if not body.get("stream"):
            await asyncio.sleep(_wait_s("SANDBOX_MODEL_TTFT_MS", 150))
            tokens = message["usage"]["output_tokens"]
            await asyncio.sleep(tokens * _wait_s("SANDBOX_MODEL_TOKEN_MS", 10))
            return web.json_response(message)
        return await self._stream(request, message, fault)

    async def _stream(
        self, request: web.Request, message: dict[str, Any], fault: dict[str, Any]
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
                **_labels(request),
            }
        )
        with contextlib.suppress(ConnectionError):  # who is interrupted stops listening to us
            await response.prepare(request)
            await self._send(request, response, message, fault)
        return response

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        message: dict[str, Any],
        fault: dict[str, Any],
    ) -> None:
        token_s = _wait_s("SANDBOX_MODEL_TOKEN_MS", 10)
        accident = _Accident(fault)
        sent = 0
        for name, data, is_token in Events(message):
            if is_token:
                await asyncio.sleep(_wait_s("SANDBOX_MODEL_TTFT_MS", 150) if not sent else token_s)
            match accident.before(data, is_token, sent):
                case "error_mid_stream":
                    busy = ApiError(529, "overloaded_error", "Overloaded").body(request[REQUEST_ID])
                    await response.write(f"event: error\ndata: {json.dumps(busy)}\n\n".encode())
                    break
                case "stall":
                    await asyncio.sleep(float(fault.get("seconds", 60)))
                case "drop":
                    if request.transport is not None:
                        request.transport.abort()
                    return
            sent += is_token
            await response.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        await response.write_eof()

    async def count_tokens(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/messages/count_tokens``."""
        body = await self._read(request)
        check_request(body, counting=True)
        return web.json_response({"input_tokens": usage.count_input(body)})

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/models``, newest first, with the service's cursor paging."""
        ids = list(MODELS)
        after = request.query.get("after_id")
        start = ids.index(after) + 1 if after in MODELS else 0
        asked = request.query.get("limit", "20")
        if not asked.isdecimal() or not 1 <= int(asked) <= 1000:
            raise bad_request("limit: Input should be between 1 and 1000")
        limit = int(asked)
        page = ids[start : start + limit]
        return web.json_response(
            {
                "data": [MODELS[model_id].info() for model_id in page],
                "first_id": page[0] if page else None,
                "last_id": page[-1] if page else None,
                "has_more": start + limit < len(ids),
            }
        )

    async def retrieve_model(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/models/{id}``; 404 ``not_found_error`` for a model nobody knows."""
        model: Model | None = MODELS.get(request.match_info["model_id"])
        if model is None:
            raise ApiError(404, "not_found_error", f"model: {request.match_info['model_id']}")
        return web.json_response(model.info())

    async def _read(self, request: web.Request) -> Any:
        raw = await request.read()
        if len(raw) > _MAX_BODY:
            raise ApiError(413, "request_too_large", "Request exceeds the maximum size")
        try:
            return json.loads(raw)
        except ValueError as broken:
            raise bad_request(f"The request body is not valid JSON: {broken}") from None


def _text_of(content: Any) -> str:
    """The text of instructions or a message, whether it came whole or in blocks."""
    if isinstance(content, str):
        return content
    return " ".join(block.get("text", "") for block in content or [])


class _Accident:
    """Where in the stream a fault strikes: once so many tokens and this text have been sent."""

    def __init__(self, fault: dict[str, Any]) -> None:
        self._kind = str(fault.get("kind", ""))
        self._text = str(fault.get("after_text", ""))
        self._tokens = int(fault.get("after_tokens", 0 if self._text else 3))
        self._said = ""

    def before(self, data: dict[str, Any], is_token: bool, sent: int) -> str:
        """Return the kind of what happens instead of this event, at most once; else ``""``."""
        come = (is_token or sent) and sent >= self._tokens and self._text in self._said
        if come:
            kind, self._kind = self._kind, ""
            return kind
        self._said += data.get("delta", {}).get("text", "")
        return ""


def _refuse_by_fault(fault: dict[str, Any]) -> None:
    """Refusals that ``/_sandbox/faults`` asked for, before any token is written."""
    if fault.get("kind") == "overloaded":
        raise ApiError(529, "overloaded_error", "Overloaded")
    if fault.get("kind") == "rate_limited":
        raise ApiError(
            429,
            "rate_limit_error",
            "This request would exceed your organization's rate limit",
            {"retry-after": str(fault.get("retry_after", 1))},
        )
