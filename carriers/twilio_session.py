"""One request to Twilio: where it goes, how long it may take, and what its failure means.

Synchronous, one fresh connection a request: the SDK's asynchronous client sends a create-call up to
three times after a 5xx, and a pooled connection that died in between makes a harmless failure look
like a sent request.
"""

import logging
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from django.conf import settings
from django.utils import timezone
from twilio.base.exceptions import TwilioException
from twilio.base.version import Version
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    SSLError,
)

from carriers.errors import Ambiguous, CarrierError, Refused, Unavailable

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 15.0
TOO_MANY_REQUESTS = 20429
_FIRST_CODE = 10000
_SDK_PREFIX = re.compile(r"^Unable to \w+ record: ")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Account:
    """Credentials of one Twilio account: ``AC…`` and its auth token."""

    sid: str
    token: str = field(repr=False)


class _Http(TwilioHttpClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's transport, sent to ``TWILIO_API_URL``, with time-outs (the SDK's own default is to
    wait for ever)."""

    def __init__(self) -> None:
        super().__init__(pool_connections=True, max_retries=0)
        self.timeout = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        self.ahead = timedelta()  # our clock of the carrier's, by its last answer
        if urlsplit(settings.TWILIO_API_URL).hostname in _LOOPBACK:
            self.session.trust_env = False  # no proxy stands between us and ourselves

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        asked_at = timezone.now()
        response = super().request(method, here(url), *args, **kwargs)
        self.ahead = _ahead(response, asked_at, timezone.now())
        return response

    def log_request(self, kwargs: dict[str, Any]) -> None:
        """Nothing: the SDK would log queries, which hold phone numbers."""


def _ahead(response: Response, asked_at: datetime, answered_at: datetime) -> timedelta:
    """Return by how much our clock is ahead of the carrier's, going by the Date of its answer: the
    least that it may be."""
    try:
        theirs = parsedate_to_datetime((response.headers or {}).get("Date", ""))
    except ValueError:
        return timedelta()
    if theirs.tzinfo is None:
        return timedelta()
    least = asked_at - theirs - timedelta(seconds=1)  # it is cut to whole seconds
    return max(least, timedelta()) or min(answered_at - theirs, timedelta())


def here(url: str) -> str:
    """Return ``url`` with every twilio.com product domain replaced by ``TWILIO_API_URL``, if that
    is elsewhere."""
    base, asked = urlsplit(settings.TWILIO_API_URL), urlsplit(url)
    ours = (base.hostname or "").endswith("twilio.com")
    if ours or not (asked.hostname or "").endswith(".twilio.com"):
        return url
    path = base.path.rstrip("/") + asked.path
    return urlunsplit((base.scheme, base.netloc, path, asked.query, ""))


class Session:
    """One SDK client for one request, its connection closed and its failures translated.

    ``creates`` says that sending the request twice would do the thing twice: then only an answer
    that carries the carrier's own error code, or a connection that never came up, counts as
    "nothing happened".
    """

    def __init__(self, account: Account, *, creates: bool = False) -> None:
        self._http = _Http()
        self._client = Client(account.sid, account.token, http_client=self._http)
        self._creates = creates

    def __enter__(self) -> Client:
        return self._client

    def __exit__(self, _: object, failure: BaseException | None, __: object) -> None:
        self._http.session.close()
        if failure is None or not isinstance(failure, Exception):
            return
        raise _translated(failure, creates=self._creates) from failure


def _translated(failure: Exception, *, creates: bool) -> Exception:
    if isinstance(failure, CarrierError):
        return failure
    if isinstance(failure, TwilioException):
        match failure.args:
            case (_, Response() as answer):  # a list's failure has nothing of the answer read
                failure = Version.exception("GET", "", answer, "")
        status = int(getattr(failure, "status", 0) or 0)
        code = int(getattr(failure, "code", 0) or 0)
        words = str(getattr(failure, "msg", "") or getattr(failure, "detail", "") or "")
        words = _SDK_PREFIX.sub("", words).removeprefix(": ")
        if status == HTTPStatus.TOO_MANY_REQUESTS or code == TOO_MANY_REQUESTS:
            return Unavailable(f"{TOO_MANY_REQUESTS}: {words}")
        is_client_error = 400 <= status < 500 and status != HTTPStatus.REQUEST_TIMEOUT
        # Without an error code in the body (the SDK then repeats the status) a proxy may have
        # answered.
        if is_client_error and (code >= _FIRST_CODE or not creates):
            return Refused(code or status, words, status)
        return Ambiguous(f"HTTP {status}") if creates else Unavailable(f"HTTP {status}")
    if isinstance(failure, requests.RequestException) and _was_never_sent(failure):
        return Unavailable(type(failure).__name__)
    if creates:
        return Ambiguous(type(failure).__name__)
    if isinstance(failure, (requests.RequestException, ValueError)):
        return Unavailable(type(failure).__name__)
    return failure


def _was_never_sent(failure: requests.RequestException) -> bool:
    if isinstance(failure, requests.ConnectTimeout):
        return True
    cause = failure.args[0] if failure.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(reason, SSLError):
        return bool(reason.args) and isinstance(reason.args[0], SSLCertVerificationError)
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


# The SDK's transport logs each response's headers at INFO.
logging.getLogger("twilio.http_client").setLevel(logging.WARNING)
