"""One TLS context for every socket to the speech service.

The SDK gives its sockets none, so that each would make its own: 1 MiB of certificates for as long
as it is open, and some 50 ms in which the event loop reads them and no call is heard.
"""

import ssl
from functools import cache
from typing import Any

import deepgram.listen.v1.client
import deepgram.listen.v2.client
import deepgram.speak.v1.client

_CLIENTS: tuple[Any, ...] = (
    deepgram.listen.v1.client,
    deepgram.listen.v2.client,
    deepgram.speak.v1.client,
)


@cache
def context() -> ssl.SSLContext:
    """What certificates are checked against: the system's list, or ``SSL_CERT_FILE``."""
    return ssl.create_default_context()


@cache
def share() -> None:
    """Have the SDK's sockets use ``context``; those without TLS stay as they are."""
    for client in _CLIENTS:
        client.websockets_client_connect = _sharing(client.websockets_client_connect)


def _sharing(connect: Any) -> Any:
    def shared(url: str, **options: Any) -> Any:
        if url.startswith("wss:"):
            options["ssl"] = context()
        return connect(url, **options)

    return shared
