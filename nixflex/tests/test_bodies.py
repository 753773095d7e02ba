"""No stranger's body is taken in for longer than anybody's may be."""

import json
from typing import Any

import pytest

from campaigns.api import LARGEST_CSV
from nixflex import asgi
from nixflex.bodies import largest

MIB = 1024 * 1024


async def ask(path: str, *, length: int | None = None, chunks: int = 0) -> tuple[int, bytes, int]:
    """Send 64 KiB chunks; return the answer's status and content, and how many were taken."""
    taken, sent = 0, []
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    else:
        headers.append((b"transfer-encoding", b"chunked"))

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b" " * 65_536, "more_body": taken < chunks}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    application: Any = asgi.application
    await application(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], content, taken


@pytest.mark.parametrize("path", ["/v1/agents", "/twilio/voice/", "/admin/login/", "/nowhere"])
async def test_a_body_that_says_it_is_too_long_is_refused_unread(path: str):
    status, _, taken = await ask(path, length=17 * MIB, chunks=272)

    assert (status, taken) == (413, 0)


async def test_a_body_that_goes_on_and_on_is_taken_in_no_further_than_its_limit():
    status, content, taken = await ask("/v1/agents", chunks=10_000)

    assert (status, taken) == (413, 16 * MIB // 65_536 + 1)
    assert json.loads(content)["error"]["code"] == "request_too_large"


async def test_a_length_that_is_no_number_is_refused():
    status, _, taken = await ask("/v1/agents", length=-1)

    assert (status, taken) == (413, 0)


def test_files_of_people_may_be_as_long_as_the_api_says():
    assert largest("/v1/campaigns/batchcall_1/recipients") > LARGEST_CSV
    assert largest("/admin/campaigns/campaign/add/") > LARGEST_CSV
    assert largest("/v1/calls/batch") == 16 * MIB
