"""The way in: do the carrier's requests and sockets to our public address arrive at us?

Asked from here. Whether the whole world gets in, too, only a call from outside shows.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.sync.client import connect

from nixflex.doctor.finding import Finding

TIMEOUT_S = 6.0
# Our own refusal of a request that the carrier did not sign (``carriers.knocks``).
UNSIGNED = 403
PROXY = "Let the proxy send"


def public_address() -> Iterator[Finding]:
    """``PUBLIC_URL`` leads to our pages, a webhook's POST to our check of its signature, and
    ``MEDIA_URL`` to a media process."""
    if settings.PUBLIC_IS_LOOPBACK and not settings.SANDBOX:
        yield Finding(
            "PUBLIC_URL",
            problem=f"{settings.PUBLIC_URL} is this machine itself: the carrier cannot reach it",
            remedy="Write the https address of your proxy or tunnel to PUBLIC_URL.",
        )
        return
    try:
        with httpx.Client(
            timeout=TIMEOUT_S, trust_env=not settings.PUBLIC_IS_LOOPBACK, follow_redirects=False
        ) as client:
            yield _pages(client.get(f"{settings.PUBLIC_URL}/healthz"))
            yield _webhooks(client.post(f"{settings.PUBLIC_URL}/twilio/voice/", data={"a": "b"}))
    except httpx.HTTPError as error:
        yield _no_answer("PUBLIC_URL", settings.PUBLIC_URL, error)
    yield _sockets()


def _pages(answer: httpx.Response) -> Finding:
    if answer.status_code == httpx.codes.BAD_REQUEST:
        return Finding(
            "PUBLIC_URL",
            problem=f"{answer.url} answers 400: requests carry a host name that is not expected",
            remedy="Let the proxy pass the Host header on, or write that name to ALLOWED_HOSTS.",
        )
    if answer.status_code != httpx.codes.OK or '"ok"' not in answer.text:
        return Finding(
            "PUBLIC_URL",
            problem=f"{answer.url} answers {answer.status_code}, and not as `web` does",
            remedy=f"{PROXY} / to `web` (port {settings.PORT}).",
        )
    return Finding("PUBLIC_URL", f"{settings.PUBLIC_URL} leads here")


def _webhooks(answer: httpx.Response) -> Finding:
    if answer.status_code != UNSIGNED or "signature" not in answer.text:
        return Finding(
            "Webhooks",
            problem=f"a POST to {answer.url} is answered {answer.status_code}, not by us",
            remedy=f"{PROXY} POSTs to /twilio/ to `web` as they are, without a login or challenge.",
        )
    return Finding("Webhooks", "what the carrier did not sign is refused, by us")


def _sockets() -> Finding:
    address = settings.MEDIA_STREAM_URL
    here = urlsplit(address).hostname in {"127.0.0.1", "localhost", "::1"}
    try:
        # No pass is shown, so no call begins: a media process accepts, then hears us leave.
        with connect(
            address,
            proxy=None if here else True,
            open_timeout=TIMEOUT_S,
            close_timeout=TIMEOUT_S,
            compression=None,
        ):
            return Finding("Audio sockets", f"{address} opens")
    except InvalidHandshake as error:
        said = error.response.status_code if isinstance(error, InvalidStatus) else "something else"
        return Finding(
            "Audio sockets",
            problem=f"{address} answers {said} to a WebSocket",
            remedy=f"{PROXY} /media/ as WebSockets to `media` (port {settings.MEDIA_PORT}).",
        )
    except (OSError, EOFError) as error:
        return _no_answer("Audio sockets", address, error)


def _no_answer(what: str, address: str, error: Exception) -> Finding:
    words = str(error).lower()
    if "certificate" in words or "ssl" in words or "tls" in words:
        return Finding(
            what,
            problem=f"{address}: its TLS certificate is not one that others would trust",
            remedy="Install a valid certificate, with its chain, for this name at the proxy.",
        )
    return Finding(
        what,
        problem=f"{address} cannot be reached from here ({type(error).__name__})",
        remedy="Start the proxy and the processes behind it; look at the name's DNS entry.",
    )
