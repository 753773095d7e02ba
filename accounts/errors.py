"""Every way the API says no: one exception, one envelope (spec section 8), JSON all over /v1."""

import math
from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.core.signals import got_request_exception
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response

log = structlog.get_logger(__name__)

DOCS_URL = "https://docs.nixflex.com/errors/"
# The official SDK picks its exception by status; ``type`` says the same to everybody else.
_TYPES = {
    401: "authentication_error",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    409: "conflict",
    429: "rate_limit",
}


class ApiError(Exception):
    """A refusal the caller can act on. ``message`` says what is wrong, where, and what to do.

    ``details`` must be JSON and hold no secret. Anything below ``api.py`` may raise it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = dict(details or {})
        self.headers = dict(headers or {})


def missing_field(field: str) -> ApiError:
    """A required field that is absent, null or empty."""
    return ApiError("missing_field", f"{field} is required.", details={"field": field})


def require(data: Mapping[str, Any], *fields: str) -> None:
    """Raise ``missing_field`` for the first that is absent, null or blank: presence comes before
    form (spec 3.2).
    """
    for field in fields:
        value = data.get(field)
        if value is None or (isinstance(value, str) and not value.strip()):
            raise missing_field(field)


def invalid_field(field: str, why: str, code: str = "invalid_request") -> ApiError:
    """A field whose value cannot be used; ``why`` goes on from the field's name."""
    return ApiError(code, f"{field} {why}", details={"field": field})


def not_found_error(code: str, message: str, field: str = "") -> ApiError:
    """A thing that does not exist, or belongs to somebody else: the answer is the same.

    ``field`` is where the body names it, if it does.
    """
    return ApiError(code, message, 404, {"field": field} if field else None)


def error_type(status: int) -> str:
    return "server_error" if status >= 500 else _TYPES.get(status, "invalid_request")


def envelope(error: ApiError) -> dict[str, Any]:
    """Return the body that every refusal has."""
    return {
        "error": {
            "type": error_type(error.status),
            "code": error.code,
            "message": error.message,
            "doc_url": f"{DOCS_URL}{error.code}",
            "details": error.details,
        }
    }


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """DRF's hook: whatever a view raised becomes the envelope; a surprise is logged, a 500."""
    error = _as_api_error(exc, context.get("view"))
    if error is None:
        log.error("unhandled_error", view=type(context.get("view")).__name__, exc_info=exc)
        request = context.get("request")
        # Debug tooling (and Django's test client) still learns of it.
        got_request_exception.send(
            sender=type(context.get("view")),
            request=getattr(request, "_request", request),
        )
        error = _surprise()
    return Response(envelope(error), status=error.status, headers=error.headers)


def _as_api_error(exc: Exception, view: Any = None) -> ApiError | None:
    match exc:
        case ApiError():
            return exc
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return ApiError(
                "unauthorized",
                "Invalid or missing API key. Send 'Authorization: Bearer <key_id>:<key_secret>'.",
                401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        case exceptions.PermissionDenied() | PermissionDenied():
            return ApiError("permission_denied", "This key may not do that.", 403)
        case exceptions.NotFound() | Http404():
            return ApiError("not_found", "There is nothing at this address.", 404)
        case exceptions.MethodNotAllowed():
            wrong = str(exc.detail)
            if view is not None:
                takes = ", ".join(sorted({*view.allowed_methods} - {"OPTIONS"}))
                wrong += f" This address takes {takes}."
            return ApiError("method_not_allowed", wrong, 405)
        case exceptions.Throttled():
            # An integer: the SDK reads anything else as 0.
            wait = max(1, math.ceil(getattr(exc, "wait", None) or 1))
            return ApiError(
                "rate_limit_exceeded",
                f"Too many requests. Try again in {wait} s.",
                429,
                {"retry_after": wait},
                {"Retry-After": str(wait)},
            )
        case exceptions.ValidationError():
            return _first_complaint(exc.detail)
        case exceptions.ParseError():
            return ApiError("invalid_json", str(exc.detail))
        case exceptions.APIException():
            code = str(exc.default_code)
            return ApiError(code, str(exc.detail), exc.status_code)
        case OperationalError() | InterfaceError():
            log.error("database_unavailable", error=type(exc).__name__)
            return ApiError(
                "service_unavailable",
                "The database cannot be reached. Nothing was changed; try again shortly.",
                503,
                headers={"Retry-After": "5"},
            )
        case DataError():
            log.warning("unstorable_value")
            return ApiError("invalid_request", "A value is out of range or cannot be stored.")
    return None


def _first_complaint(detail: Any, path: str = "") -> ApiError:
    """One clear complaint of DRF's tree, with the path of its field (``recipients.0.phone``)."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            if inner:
                name = path if key == "non_field_errors" else f"{path}.{key}" if path else str(key)
                return _first_complaint(inner, name)
    if isinstance(detail, list):
        for index, inner in enumerate(detail):
            if isinstance(inner, (Mapping, list)) and inner:
                return _first_complaint(inner, f"{path}.{index}" if path else str(index))
            if inner and not isinstance(inner, (Mapping, list)):
                return _complaint(inner, path)
    return _complaint(detail, path)


def _complaint(detail: Any, path: str) -> ApiError:
    if not path:
        return ApiError("invalid_request", str(detail))
    if getattr(detail, "code", "") == "required":
        return missing_field(path)
    if getattr(detail, "code", "") == "null":
        return invalid_field(path, "must not be null.")
    text = str(detail)
    return invalid_field(path, f"is not valid: {text[:1].lower()}{text[1:]}")


def _surprise() -> ApiError:
    return ApiError(
        "server_error",
        "Something went wrong on our side. Quote the x-request-id of this answer.",
        500,
    )


def _is_api(request: HttpRequest) -> bool:
    return request.path == "/v1" or request.path.startswith("/v1/")


def _json(error: ApiError) -> JsonResponse:
    return JsonResponse(envelope(error), status=error.status, headers=error.headers)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    return _json(ApiError("invalid_request", "The request could not be read."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.permission_denied(request, exception)
    return _json(ApiError("permission_denied", "This key may not do that.", 403))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.page_not_found(request, exception)
    return _json(ApiError("not_found", f"There is no {request.method} {request.path}.", 404))


def server_error(request: HttpRequest) -> HttpResponse:
    return _json(_surprise()) if _is_api(request) else defaults.server_error(request)


@csrf_exempt
def no_such_endpoint(request: HttpRequest) -> HttpResponse:
    """What answers under ``/v1/`` where nothing else does, in debug mode too."""
    return not_found(request, Http404())
