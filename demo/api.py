"""The public REST API as a developer uses it."""

from typing import Any

import httpx
from django.conf import settings


class DemoFailed(Exception):
    """Something the demo needs went wrong; the message says what, and what to do."""


class Api:
    """``get``, ``post`` … return the answer's JSON and raise ``DemoFailed`` on an error."""

    def __init__(self, key: str) -> None:
        self._http = httpx.Client(
            base_url=f"{settings.PUBLIC_URL}/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30.0,
        )

    def get(self, path: str) -> Any:
        return self._answer(self._http.get(path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._answer(self._http.post(path, json=body))

    def put(self, path: str, body: dict[str, Any]) -> Any:
        return self._answer(self._http.put(path, json=body))

    def delete(self, path: str) -> bool:
        """Return whether there was something to delete."""
        response = self._http.delete(path)
        if response.status_code != httpx.codes.NOT_FOUND:
            self._answer(response)
        return response.is_success

    def refusal(self, path: str, body: dict[str, Any]) -> str:
        """Post, and return the code of the error it was refused with; "" if it was not."""
        response = self._http.post(path, json=body)
        return str(response.json()["error"]["code"]) if response.is_error else ""

    def _answer(self, response: httpx.Response) -> Any:
        if response.is_error:
            error = response.json()["error"]
            raise DemoFailed(f"{response.request.url.path}: {error['code']}: {error['message']}")
        return response.json()
