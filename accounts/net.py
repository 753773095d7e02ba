"""Requests to addresses that customers chose (webhooks, tools): the only door to them.

A name is resolved once, every address it has is checked, and the connection goes to one that was
checked, under the name (Host, SNI, certificate): a second answer of the name service cannot move
it. Redirects are not followed, proxies of the environment not used.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import httpx
from asgiref.sync import async_to_sync
from django.conf import settings

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Who can ask these as us can become us: the clouds' metadata and host services. Refused always.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's host, a public address
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google
    )
)
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog"})
# IPv6 addresses that a gateway turns into the IPv4 address in their last four bytes.
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
# What OUTBOUND_ALLOW_PRIVATE opens: this machine and its networks.
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
RESPONSE_AT_MOST = 100 * 1024
# Of their own: a name whose server is silent holds a thread for many seconds, and the loop's few
# are those by which calls find the speech service and the model.
_resolvers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="customers-names")


class RequestFailed(Exception):
    """No answer came, or none that can be used. ``str`` names the failure in a word or two."""


class Forbidden(RequestFailed):
    """The address may not be asked: nothing was sent. Trying again does not help by itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status. ``content`` is at most as long as was asked for."""

    status: int
    headers: httpx.Headers
    content: bytes


async def arequest(
    method: str,
    url: str,
    *,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
    at_most: int = RESPONSE_AT_MOST,
) -> Answer:
    """Send one request and return its answer, redirects and errors included.

    ``timeout_s`` is for everything together. ``at_most`` limits the body in bytes: a longer one
    raises RequestFailed, and with 0 the body is not read at all. Raises ``Forbidden``,
    ``RequestFailed``.
    """
    try:
        async with asyncio.timeout(timeout_s):
            target = _target(url)
            address = await _checked_address(target)
            return await _send(method, target, address, content, headers or {}, at_most, timeout_s)
    except TimeoutError as error:
        raise RequestFailed("time-out") from error
    except httpx.TimeoutException as error:
        raise RequestFailed("time-out") from error
    except httpx.ConnectError as error:
        is_tls = "certificate" in str(error).lower() or "ssl" in str(error).lower()
        raise RequestFailed("TLS" if is_tls else "connection") from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise RequestFailed("broken answer") from error


def request(method: str, url: str, **options: Any) -> Answer:
    """As ``arequest``, for code without an event loop."""
    answer: Answer = async_to_sync(arequest)(method, url, **options)
    return answer


def url_problem(url: str) -> str | None:
    """Say why a URL can never be asked, going on from its field's name; None if it may be.

    Names are not resolved here: what they lead to is checked at each request.
    """
    try:
        target = _target(url)
        literal = _literal(target.host)
        if literal is not None:
            _check(literal)
    except Forbidden as refusal:
        return f"must be an https URL that others can reach: {refusal}."
    return None


def _target(url: str) -> httpx.URL:
    try:
        target = httpx.URL(url)
        port = target.port
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise Forbidden("not a URL") from error
    schemes = {"https", "http"} if settings.OUTBOUND_ALLOW_PRIVATE else {"https"}
    if target.scheme not in schemes:
        raise Forbidden("not https")
    if not target.host:
        raise Forbidden("no host")
    if port is not None and not 0 < port < 65536:
        raise Forbidden("no such port")
    if target.host.rstrip(".").lower() in _METADATA_NAMES:
        raise Forbidden("a metadata address")
    return target


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


async def _checked_address(target: httpx.URL) -> str:
    """Return an address of the target's host, after all of them were found allowed."""
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        # The resolver also reads 2130706433, 0x7f.1 and 017700000001.
        found = await asyncio.get_running_loop().run_in_executor(
            _resolvers,
            partial(
                socket.getaddrinfo,
                target.raw_host.decode("ascii"),
                port,
                type=socket.SOCK_STREAM,
            ),
        )
    except (OSError, UnicodeError) as error:
        raise RequestFailed("unknown host") from error
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if not addresses:
        raise RequestFailed("unknown host")
    for text in addresses:
        address = _literal(text)
        if address is None:
            raise Forbidden("not an address")
        _check(address)
    return addresses[0]


def _check(address: Address) -> None:
    """Raise Forbidden unless ``address``, and any address hidden in it, may be asked."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            address = address.ipv4_mapped
        elif not address.is_loopback and any(address in net for net in _TRANSLATED):
            _check(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _METADATA or address.is_link_local:
        raise Forbidden("a metadata address")
    if any(address.version == net.version and address in net for net in _PRIVATE):
        if not settings.OUTBOUND_ALLOW_PRIVATE:
            raise Forbidden("a private address")
    elif not address.is_global or address.is_multicast or getattr(address, "is_site_local", False):
        raise Forbidden("not a public address")


async def _send(
    method: str,
    target: httpx.URL,
    address: str,
    content: bytes | None,
    headers: Mapping[str, str],
    at_most: int,
    timeout_s: float,
) -> Answer:
    sent = httpx.Headers(headers)
    sent["Host"] = target.netloc.decode("ascii")
    sent["Accept-Encoding"] = "identity"  # the limit is of what arrives, and of what it unpacks to
    async with httpx.AsyncClient(
        verify=_tls(), trust_env=False, follow_redirects=False, timeout=timeout_s
    ) as client:
        asked = client.build_request(
            method,
            target.copy_with(host=address),
            content=content,
            headers=sent,
            extensions={"sni_hostname": target.raw_host.decode("ascii")},
        )
        answer = await client.send(asked, stream=True)
        try:
            body = await _read(answer, at_most) if at_most else b""
        finally:
            await answer.aclose()
    return Answer(answer.status_code, answer.headers, body)


async def _read(answer: httpx.Response, at_most: int) -> bytes:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise RequestFailed("compressed answer")
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > at_most:
            raise RequestFailed("answer too long")
    return bytes(body)


@cache
def _tls() -> ssl.SSLContext:
    """Certificates are checked against certifi's list, or the one in ``SSL_CERT_FILE``."""
    return httpx.create_ssl_context()
