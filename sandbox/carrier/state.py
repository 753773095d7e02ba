"""What the carrier knows: one account, its numbers, calls, messages and recordings.

``ACCOUNT_SID``, ``AUTH_TOKEN`` and ``OWNED_NUMBERS`` are the documented test account.
"""

import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from .signing import new_sid

ACCOUNT_SID = os.environ.get("SANDBOX_ACCOUNT_SID", "AC5a2d0b0c5a2d0b0c5a2d0b0c5a2d0b0c")
AUTH_TOKEN = os.environ.get("SANDBOX_AUTH_TOKEN", "5a2db0c05a2db0c05a2db0c05a2db0c0")
OWNED_NUMBERS = (
    "+447446466847",
    *(f"+1202555{100 + n:04}" for n in range(int(os.environ.get("SANDBOX_NUMBERS", "11")) - 1)),
)

E164 = re.compile(r"\+[1-9]\d{6,14}")
API = "/2010-04-01"
TERMINAL = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
COUNTRIES = {
    "+1": "US",
    "+44": "GB",
    "+33": "FR",
    "+34": "ES",
    "+49": "DE",
    "+61": "AU",
    "+91": "IN",
}


def now() -> datetime:
    return datetime.now(UTC)


def rfc2822(moment: datetime | None) -> str | None:
    """``Tue, 31 Aug 2010 20:36:28 +0000``, as every date in the API."""
    return None if moment is None else format_datetime(moment.replace(microsecond=0))


def country(number: str) -> str:
    """Two-letter country of an E.164 number, ``""`` for one we do not know."""
    return next((name for prefix, name in COUNTRIES.items() if number.startswith(prefix)), "")


def formatted(number: str) -> str:
    """``(202) 555-0100`` for the North American plan, else the number as it is."""
    if number.startswith("+1") and len(number) == 12:
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number


def account_uri(sid: str) -> str:
    return f"{API}/Accounts/{sid}"


@dataclass
class Number:
    """An IncomingPhoneNumber."""

    account_sid: str
    phone_number: str
    sid: str = field(default_factory=lambda: new_sid("PN"))
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    settings: dict[str, Any] = field(default_factory=dict)
    """What ``POST …/IncomingPhoneNumbers/{sid}.json`` wrote, by API field name."""

    def setting(self, name: str) -> str:
        return str(self.settings.get(name) or "")

    def resource(self) -> dict[str, Any]:
        """The JSON of the API."""
        fields: dict[str, Any] = {
            "account_sid": self.account_sid,
            "address_requirements": "none",
            "address_sid": None,
            "api_version": "2010-04-01",
            "beta": False,
            "bundle_sid": None,
            "capabilities": {
                "voice": True,
                "sms": True,
                "mms": self.phone_number.startswith("+1"),
                "fax": False,
            },
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "emergency_address_sid": None,
            "emergency_address_status": "unregistered",
            "emergency_status": "Active",
            "friendly_name": formatted(self.phone_number),
            "identity_sid": None,
            "origin": "twilio",
            "phone_number": self.phone_number,
            "sid": self.sid,
            "sms_application_sid": "",
            "sms_fallback_method": "POST",
            "sms_fallback_url": "",
            "sms_method": "POST",
            "sms_url": "",
            "status": "in-use",
            "status_callback": "",
            "status_callback_method": "POST",
            "subresource_uris": {},
            "trunk_sid": None,
            "type": "mobile" if self.phone_number.startswith("+447") else "local",
            "uri": f"{account_uri(self.account_sid)}/IncomingPhoneNumbers/{self.sid}.json",
            "voice_application_sid": "",
            "voice_caller_id_lookup": False,
            "voice_fallback_method": "POST",
            "voice_fallback_url": "",
            "voice_method": "POST",
            "voice_receive_mode": "voice",
            "voice_url": "",
        }
        return fields | self.settings


@dataclass
class Call:
    """One leg, as the API shows it."""

    account_sid: str
    to: str
    from_: str
    direction: str
    phone_number_sid: str | None = None
    parent_sid: str | None = None
    sid: str = field(default_factory=lambda: new_sid("CA"))
    status: str = "queued"
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    started: datetime | None = None
    answered: datetime | None = None
    ended: datetime | None = None
    answered_by: str | None = None
    queue_time_ms: int = 0

    @property
    def over(self) -> bool:
        return self.status in TERMINAL

    @property
    def seconds(self) -> int:
        """Whole seconds of conversation, 0 for a call that was not answered."""
        if self.answered is None:
            return 0
        return round(((self.ended or now()) - self.answered).total_seconds())

    def move(self, status: str) -> None:
        self.status = status
        self.updated = now()
        if self.over:
            self.ended = self.updated

    def resource(self) -> dict[str, Any]:
        """The JSON of the API."""
        uri = f"{account_uri(self.account_sid)}/Calls/{self.sid}"
        return {
            "account_sid": self.account_sid,
            "annotation": None,
            "answered_by": self.answered_by,
            "api_version": "2010-04-01",
            "caller_name": None,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "direction": self.direction,
            "duration": str(self.seconds) if self.over else None,
            "end_time": rfc2822(self.ended),
            "forwarded_from": None,
            "from": self.from_,
            "from_formatted": formatted(self.from_),
            "group_sid": None,
            "parent_call_sid": self.parent_sid,
            "phone_number_sid": self.phone_number_sid,
            "price": None,
            "price_unit": "USD",
            "queue_time": str(self.queue_time_ms),
            "sid": self.sid,
            "start_time": rfc2822(self.started),
            "status": self.status,
            "subresource_uris": {
                "recordings": f"{uri}/Recordings.json",
                "streams": f"{uri}/Streams.json",
            },
            "to": self.to,
            "to_formatted": formatted(self.to),
            "trunk_sid": None,
            "uri": f"{uri}.json",
        }


@dataclass
class Message:
    """One text."""

    account_sid: str
    to: str
    from_: str
    body: str
    direction: str
    status: str
    num_segments: int
    num_media: int = 0
    sid: str = field(default_factory=lambda: new_sid("SM"))
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    sent: datetime | None = None
    error_code: int | None = None
    error_message: str | None = None

    def resource(self) -> dict[str, Any]:
        """The JSON of the API."""
        uri = f"{account_uri(self.account_sid)}/Messages/{self.sid}"
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": rfc2822(self.created),
            "date_sent": rfc2822(self.sent),
            "date_updated": rfc2822(self.updated),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": self.error_message,
            "from": self.from_,
            "messaging_service_sid": None,
            "num_media": str(self.num_media),
            "num_segments": str(self.num_segments),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.to,
            "uri": f"{uri}.json",
        }


@dataclass
class Account:
    """The one customer of this carrier, with everything that belongs to it."""

    sid: str = ACCOUNT_SID
    auth_token: str = AUTH_TOKEN
    created: datetime = field(default_factory=now)
    numbers: dict[str, Number] = field(default_factory=dict)
    """By E.164 number."""
    calls: dict[str, Call] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    opted_out: set[tuple[str, str]] = field(default_factory=set)
    """(our number, their number) after a STOP keyword."""

    def __post_init__(self) -> None:
        for number in OWNED_NUMBERS:
            self.numbers.setdefault(number, Number(self.sid, number))

    def resource(self) -> dict[str, Any]:
        """The JSON of the API. The token is shown, as Twilio shows it to its owner."""
        uri = account_uri(self.sid)
        parts = ("calls", "messages", "recordings", "incoming_phone_numbers")
        return {
            "auth_token": self.auth_token,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.created),
            "friendly_name": "Sandbox (simulation)",
            "owner_account_sid": self.sid,
            "sid": self.sid,
            "status": "active",
            "subresource_uris": {
                part: f"{uri}/{part.title().replace('_', '')}.json" for part in parts
            },
            "type": "Full",
            "uri": f"{uri}.json",
        }
