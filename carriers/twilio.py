"""Twilio's door. Nothing else in the product imports the twilio SDK (its neighbours aside).

Synchronous; what a request may come to, and how it goes out, is in ``twilio_session``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from carriers.errors import Ambiguous, Refused
from carriers.twilio_session import Account as Account
from carriers.twilio_session import Session

CALL_IS_OVER = 21220  # "Call is not in-progress. Cannot redirect."
_PAGE = 50
_MEDIA_AT_MOST = 10  # of one text


@dataclass(frozen=True, slots=True)
class OwnedNumber:
    """A number that the account holds, and the webhooks to which its calls and texts come. The
    application and trunk, where set, override these."""

    sid: str
    phone_number: str
    voice: bool
    sms: bool
    voice_url: str = ""
    sms_url: str = ""
    status_url: str = ""
    voice_application_sid: str = ""
    sms_application_sid: str = ""
    trunk_sid: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands with the carrier: ``active``, ``suspended`` or ``closed``. A trial
    calls only numbers that were verified in the carrier's console."""

    status: str
    is_trial: bool


@dataclass(frozen=True, slots=True)
class CarrierCall:
    """A call as the carrier has it. ``status`` is one of Twilio's words; times are aware UTC."""

    sid: str
    status: str
    to: str
    from_: str
    duration_s: int | None
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    answered_by: str


@dataclass(frozen=True, slots=True)
class CarrierMessage:
    """A text as the carrier has it. ``status`` is one of Twilio's words; times are aware UTC."""

    sid: str
    status: str
    to: str
    from_: str
    body: str
    error_code: int | None
    created_at: datetime | None
    media: tuple[dict[str, str], ...] = ()  # of received ones: url, content_type


# --- the account --------------------------------------------------------------------------------


def standing(account: Account) -> Standing:
    """Return how the account stands. Raises ``Refused`` (``is_wrong_credentials`` tells a wrong SID
    or token) and ``Unavailable``."""
    with Session(account) as client:
        found = client.api.v2010.accounts(account.sid).fetch()
        return Standing(status=str(found.status or ""), is_trial=str(found.type) == "Trial")


# --- numbers ------------------------------------------------------------------------------------


def find_number(account: Account, phone_number: str) -> OwnedNumber | None:
    """Return the account's number ``phone_number`` (E.164), or None if it holds no such number.

    Raises ``Refused`` (``is_wrong_credentials`` tells a wrong SID or token) and ``Unavailable``.
    """
    with Session(account) as client:
        found = client.incoming_phone_numbers.list(phone_number=phone_number, limit=_PAGE)
        for number in found:
            if number.phone_number == phone_number:  # the filter also matches parts
                return _owned(number)
    return None


def owned_numbers(account: Account) -> list[OwnedNumber]:
    """Return every number that the account holds."""
    with Session(account) as client:
        return [
            _owned(number) for number in client.incoming_phone_numbers.list(page_size=20 * _PAGE)
        ]


def _owned(number: Any) -> OwnedNumber:
    able = number.capabilities or {}
    return OwnedNumber(
        sid=number.sid or "",
        phone_number=number.phone_number or "",
        voice=bool(_of(able, "voice")),
        sms=bool(_of(able, "sms")),
        voice_url=number.voice_url or "",
        sms_url=number.sms_url or "",
        status_url=number.status_callback or "",
        voice_application_sid=number.voice_application_sid or "",
        sms_application_sid=number.sms_application_sid or "",
        trunk_sid=number.trunk_sid or "",
    )


def _of(capabilities: Any, name: str) -> Any:
    return capabilities.get(name) if isinstance(capabilities, dict) else getattr(capabilities, name)


def point_number_at(
    account: Account,
    number_sid: str,
    *,
    voice_url: str,
    status_url: str,
    sms_url: str | None = None,
) -> None:
    """Have the carrier bring the number's calls to these URLs by POST, and its texts unless
    ``sms_url`` is None. An empty URL clears.

    An application or trunk on the number would override the URLs, so they are cleared.
    """
    texts = (
        {"sms_url": sms_url, "sms_method": "POST", "sms_application_sid": ""}
        if sms_url is not None
        else {}
    )
    with Session(account) as client:
        client.incoming_phone_numbers(number_sid).update(
            voice_url=voice_url,
            voice_method="POST",
            voice_application_sid="",
            trunk_sid="",
            status_callback=status_url,
            status_callback_method="POST",
            **texts,
        )


# --- calls --------------------------------------------------------------------------------------


def dial(
    account: Account,
    *,
    to: str,
    from_: str,
    voice_url: str,
    status_url: str,
    amd_url: str | None,
    ring_timeout_s: int,
    time_limit_s: int,
) -> str:
    """Have the carrier ring ``to`` and return its id of the call. Not idempotent: every request is
    a phone ringing.

    Raises ``Refused`` (nothing rings, and never will), ``Unavailable`` (nothing rings; later
    perhaps) and ``Ambiguous`` (it may be ringing: find out, never ask again).
    """
    detection: dict[str, Any] = (
        {
            "machine_detection": "Enable",
            "async_amd": "true",  # the SDK wants the word
            "async_amd_status_callback": amd_url,
            "async_amd_status_callback_method": "POST",
        }
        if amd_url
        else {}
    )
    with Session(account, creates=True) as client:
        call = client.calls.create(
            to=to,
            from_=from_,
            url=voice_url,
            method="POST",
            status_callback=status_url,
            status_callback_method="POST",
            # Not "initiated": the answer to this request says that, and "ringing" follows at once.
            status_callback_event=["ringing", "answered", "completed"],
            timeout=ring_timeout_s,
            time_limit=time_limit_s,
            **detection,
        )
        if not call.sid:
            raise Ambiguous("the answer names no call")
        return str(call.sid)


def fetch_call(account: Account, sid: str) -> CarrierCall:
    """Return the call as the carrier has it now (eventually consistent: callbacks are newer)."""
    with Session(account) as client:
        return _seen(client.calls(sid).fetch())


def calls_within(account: Account, sid: str) -> list[CarrierCall]:
    """Return the legs that the call ``sid`` dialled, in the carrier's order."""
    with Session(account) as client:
        return [_seen(call) for call in client.calls.list(parent_call_sid=sid, limit=_PAGE)]


def list_calls(account: Account, to: str, from_: str, since: datetime) -> list[CarrierCall]:
    """Return the account's calls from ``from_`` to ``to`` that were created at or after ``since``,
    oldest first, ``created_at`` by our clock.

    The carrier's own time filter is by start, which a queued call has not got yet.
    """
    with Session(account) as client:
        listed = client.calls.list(to=to, from_=from_, limit=_PAGE, page_size=_PAGE)
        ahead = client.http_client.ahead
        calls = [
            replace(one, created_at=one.created_at and one.created_at + ahead)
            for one in map(_seen, listed)
        ]
    recent = [call for call in calls if call.created_at and call.created_at >= since]
    return sorted(recent, key=lambda call: (call.created_at, call.sid))


def _seen(call: Any) -> CarrierCall:
    return CarrierCall(
        sid=call.sid or "",
        status=str(call.status or ""),
        to=call.to or "",
        from_=call._from or "",
        duration_s=int(call.duration) if call.duration else None,
        created_at=call.date_created,
        started_at=call.start_time,
        ended_at=call.end_time,
        answered_by=call.answered_by or "",
    )


def hang_up(account: Account, sid: str) -> None:
    """End the call, whatever it is doing. A call that is over, or unknown, counts as ended."""
    try:
        with Session(account) as client:
            client.calls(sid).update(status="completed")
    except Refused as refusal:
        if refusal.code != CALL_IS_OVER and not refusal.is_not_found:
            raise


def redirect(
    account: Account, sid: str, *, twiml: str = "", url: str = "", time_limit_s: int | None = None
) -> None:
    """Have a live call do something else now: ``twiml`` (at most 4,000 characters) or what ``url``
    answers. From now on it may last ``time_limit_s``, if given.

    Its media stream ends. Raises ``Refused`` with 21220 if the call is over.
    """
    program = {"twiml": twiml} if twiml else {"url": url, "method": "POST"}
    limit = {} if time_limit_s is None else {"time_limit": time_limit_s}
    with Session(account) as client:
        client.calls(sid).update(**program, **limit)


# --- texts --------------------------------------------------------------------------------------


def send_message(
    account: Account, *, to: str, from_: str, body: str, status_url: str
) -> CarrierMessage:
    """Have the carrier text ``body`` (at most 1,600 characters) and return it as accepted. Not
    idempotent: every request is a text.

    The first state is in the answer alone, later ones come to ``status_url``. Raises ``Refused``
    (not sent, and never will be; 21610: the person opted out), ``Unavailable`` (not sent; later
    perhaps) and ``Ambiguous`` (it may be sent: find out, never ask again).
    """
    with Session(account, creates=True) as client:
        message = client.messages.create(to=to, from_=from_, body=body, status_callback=status_url)
        if not message.sid:
            raise Ambiguous("the answer names no message")
        return _read(message)


def fetch_message(account: Account, sid: str) -> CarrierMessage:
    """Return the text as the carrier has it now."""
    with Session(account) as client:
        return _read(client.messages(sid).fetch())


def list_messages(account: Account, to: str, from_: str, since: datetime) -> list[CarrierMessage]:
    """Return the account's texts from ``from_`` to ``to`` that were created at or after ``since``,
    oldest first, ``created_at`` by our clock."""
    with Session(account) as client:
        listed = client.messages.list(to=to, from_=from_, limit=_PAGE, page_size=_PAGE)
        ahead = client.http_client.ahead
        messages = [
            replace(one, created_at=one.created_at and one.created_at + ahead)
            for one in map(_read, listed)
        ]
    recent = [one for one in messages if one.created_at and one.created_at >= since]
    return sorted(recent, key=lambda one: (one.created_at, one.sid))


def received_messages(account: Account, to: str, since: datetime) -> list[CarrierMessage]:
    """Return the texts that people sent to ``to`` at or after ``since``, oldest first; of very many
    the newest."""
    with Session(account) as client:
        messages = [
            replace(_read(message), media=_media(client, message))
            for message in client.messages.list(
                to=to, date_sent_after=since, limit=20 * _PAGE, page_size=20 * _PAGE
            )
            if message.direction == "inbound"
        ]
    return sorted(messages, key=lambda one: (str(one.created_at), one.sid))


def _media(client: Client, message: Any) -> tuple[dict[str, str], ...]:
    if message.num_media in {None, "", "0"}:
        return ()
    return tuple(
        {
            "url": f"{settings.TWILIO_API_URL}{str(one.uri).removesuffix('.json')}",
            "content_type": str(one.content_type),
        }
        for one in client.messages(message.sid).media.list(limit=_MEDIA_AT_MOST)
    )


def _read(message: Any) -> CarrierMessage:
    return CarrierMessage(
        sid=message.sid or "",
        status=str(message.status or ""),
        to=message.to or "",
        from_=message.from_ or "",
        body=message.body or "",
        error_code=int(message.error_code) if message.error_code else None,
        created_at=message.date_created,
    )


# --- signatures ---------------------------------------------------------------------------------


def verify_signature(token: str, url: str, params: Mapping[str, Any], signature: str) -> bool:
    """Say whether Twilio, holding ``token``, signed a form POST to exactly ``url`` (query
    included)."""
    if not (token and signature):
        return False
    return bool(RequestValidator(token).validate(url, params, signature))


def verify_socket_signature(token: str, signature: str) -> bool:
    """Say whether Twilio, holding ``token``, signed the handshake of a media stream.

    The address is the one our TwiML names (``MEDIA_STREAM_URL``), with or without its default
    port: the SDK's own variant adds :80 to wss, so both are tried here.
    """
    if not (token and signature):
        return False
    url = settings.MEDIA_STREAM_URL
    asked, urls = urlsplit(url), {url}
    if asked.scheme == "wss" and asked.port in {None, 443}:
        urls |= {
            urlunsplit(asked._replace(netloc=netloc))
            for netloc in (asked.hostname or "", f"{asked.hostname}:443")
        }
    validator = RequestValidator(token)
    return any(bool(validator.validate(candidate, {}, signature)) for candidate in sorted(urls))
