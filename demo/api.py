"""The public REST API as a developer uses it."""

from typing import Any

import httpx
from django.conf import settings


class DemoFailed(Exception):
    """Something the demo needs went wrong; the message says what, and what to do."""


def ask(http: httpx.Client, method: str, path: str, **what: Any) -> httpx.Response:
    """Send a request; raises ``DemoFailed`` where no answer comes."""
    try:
        return http.request(method, path, **what)
    except httpx.RequestError as error:
        raise DemoFailed(
            f"{method} {error.request.url}: no answer ({type(error).__name__}). The lines "
            "above are the last that the processes said; then start the demo again."
        ) from error


class Api:
    """``get``, ``post`` … return the answer's JSON and raise ``DemoFailed`` on an error."""

    def __init__(self, key: str) -> None:
        self._http = httpx.Client(
            base_url=f"{settings.PUBLIC_URL}/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30.0,
        )

    def get(self, path: str) -> Any:
        return self._answer(ask(self._http, "GET", path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._answer(ask(self._http, "POST", path, json=body))

    def put(self, path: str, body: dict[str, Any]) -> Any:
        return self._answer(ask(self._http, "PUT", path, json=body))

    def delete(self, path: str) -> bool:
        """Return whether there was something to delete."""
        response = ask(self._http, "DELETE", path)
        if response.status_code != httpx.codes.NOT_FOUND:
            self._answer(response)
        return response.is_success

    def refusal(self, path: str, body: dict[str, Any]) -> str:
        """Post, and return the code of the error it was refused with; "" if it was not."""
        response = ask(self._http, "POST", path, json=body)
        return str(response.json()["error"]["code"]) if response.is_error else ""

    def _answer(self, response: httpx.Response) -> Any:
        if response.is_error:
            error = response.json()["error"]
            raise DemoFailed(f"{response.request.url.path}: {error['code']}: {error['message']}")
        return response.json()
