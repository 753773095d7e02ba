"""Refusals in the service's own words and shape."""

from typing import Any


class ApiError(Exception):
    """A refusal that the client sees: HTTP status, error type, and what is wrong and where."""

    def __init__(
        self, status: int, kind: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON error body, which quotes the request's id."""
        return {
            "type": "error",
            "error": {"type": self.kind, "message": self.message},
            "request_id": request_id,
        }


def bad_request(message: str) -> ApiError:
    """400 ``invalid_request_error``."""
    return ApiError(400, "invalid_request_error", message)
