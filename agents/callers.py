"""What one number knows of one caller: set over the API, learned in calls (spec 3.5, 6.5).

An omitted field is kept, null removes it, and nothing empty ever erases.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from accounts.errors import ApiError, invalid_field, missing_field, not_found_error
from accounts.models import Account
from accounts.phone_numbers import parse_e164
from agents.history import is_person
from agents.models import Caller, PhoneNumber

MOST_ROWS = 1_000
_SPACES = re.compile(r"\s+")


def find_own_number(account: Account, phone_number: str) -> PhoneNumber:
    """Return the account's number; ApiError ``phone_number_not_found`` (404) otherwise."""
    number = None
    if "\0" not in phone_number:
        number = PhoneNumber.objects.of(account).filter(phone_number=phone_number).first()
    if number is None:
        raise not_found_error(
            "phone_number_not_found", "There is no such phone number in this account."
        )
    return number


def find_caller(number: PhoneNumber, caller_number: str) -> Caller:
    """Return what the number knows of a caller; ApiError ``caller_not_found`` (404) if nothing."""
    caller = None
    if "\0" not in caller_number:
        caller = Caller.objects.filter(number=number, caller_number=caller_number).first()
    if caller is None:
        raise not_found_error("caller_not_found", "Nothing is known about this caller.")
    return caller


def checked_fields(given: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the settable fields of an API body; None means remove.

    Raises ApiError ``engine_only_field``, ``unknown_field``, ``invalid_email``, ``field_too_long``,
    ``invalid_request`` (not a string), ``missing_field`` (no field at all).
    """
    if not given:
        raise ApiError(
            "missing_field",
            f"Send at least one of {', '.join(Caller.SETTABLE)}.",
            details={"fields": [*Caller.SETTABLE]},
        )
    return {name: _checked(name, value) for name, value in given.items()}


def _checked(name: str, value: Any) -> str | None:
    if name in Caller.LEARNED_ONLY:
        raise invalid_field(
            name, "is learned from calls and cannot be set.", code="engine_only_field"
        )
    if name not in Caller.SETTABLE:
        raise invalid_field(
            name, f"is unknown. Fields: {', '.join(Caller.SETTABLE)}.", code="unknown_field"
        )
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid_field(name, "must be a string or null.")
    text = _SPACES.sub(" ", value).strip()
    longest = Caller.SETTABLE[name]
    if len(text) > longest:
        raise ApiError(
            "field_too_long",
            f"{name} is {len(text)} characters long; at most {longest} are allowed.",
            details={"field": name, "max_length": longest, "length": len(text)},
        )
    if name == "email" and text and not _is_email(text):
        raise invalid_field(name, "is not a valid address.", code="invalid_email")
    return text


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


@transaction.atomic
def set_caller(number: PhoneNumber, caller_number: str, fields: Mapping[str, str | None]) -> Caller:
    """Write checked fields to a caller's record, which is made if it is new."""
    _hold(number)
    caller = Caller.objects.filter(number=number, caller_number=caller_number).first()
    caller = caller or Caller(number=number, caller_number=caller_number)
    _apply(caller, fields, {"by": "api", "at": timezone.now().isoformat()})
    caller.save()
    return caller


def delete_caller(number: PhoneNumber, caller_number: str) -> None:
    """Delete a caller's record, whoever wrote it; ApiError ``caller_not_found``."""
    find_caller(number, caller_number).delete()


def import_callers(number: PhoneNumber, rows: Any) -> int:
    """Write 1 to 1,000 rows ``{"caller_number", …fields}``, all or none; return how many callers.

    Of several rows of one caller the last wins, field by field. Errors as of ``checked_fields``,
    with the row's number (from 1) in front, and ``invalid_body``, ``too_many_rows``,
    ``invalid_phone_format``.
    """
    if not isinstance(rows, list) or not rows:
        raise ApiError("invalid_body", "callers must be an array of 1 to 1,000 objects.")
    if len(rows) > MOST_ROWS:
        raise ApiError(
            "too_many_rows",
            f"callers has {len(rows)} rows; at most {MOST_ROWS} are allowed in one request.",
            details={"max_rows": MOST_ROWS, "rows": len(rows)},
        )
    merged: dict[str, dict[str, str | None]] = {}
    for place, row in enumerate(rows, start=1):
        caller_number, fields = _row(place, row)
        so_far = merged.setdefault(caller_number, {})
        so_far |= {name: value for name, value in fields.items() if value != ""}
    with transaction.atomic():
        _hold(number)
        known = Caller.objects.filter(number=number, caller_number__in=merged)
        on_file = {caller.caller_number: caller for caller in known}
        source = {"by": "api", "at": timezone.now().isoformat()}
        for caller_number, fields in merged.items():
            caller = on_file.get(caller_number) or Caller(
                number=number, caller_number=caller_number
            )
            _apply(caller, fields, source)
            on_file[caller_number] = caller
        Caller.objects.bulk_create(
            on_file.values(),
            update_conflicts=True,
            unique_fields=["number", "caller_number"],
            update_fields=[*Caller.SETTABLE, "sources", "updated_at"],
        )
    return len(merged)


def _row(place: int, row: Any) -> tuple[str, dict[str, str | None]]:
    if not isinstance(row, dict):
        raise ApiError("invalid_body", f"Row {place}: must be an object.", details={"row": place})
    try:
        caller_number = row.get("caller_number")
        if isinstance(caller_number, str) and caller_number[:1].isdigit():
            caller_number = f"+{caller_number}"
        number = parse_e164(caller_number, "caller_number")
        rest = {name: value for name, value in row.items() if name != "caller_number"}
        if not rest:
            raise missing_field("a field besides caller_number")
        return number, checked_fields(rest)
    except ApiError as error:
        raise ApiError(
            error.code,
            f"Row {place}: {error.message}",
            error.status,
            {**error.details, "row": place},
        ) from error


@transaction.atomic
def learn(
    number: PhoneNumber,
    caller_number: str,
    facts: Mapping[str, str],
    *,
    call_id: str,
    at: datetime,
    turns: Mapping[str, int] | None = None,
) -> Caller | None:
    """Keep what a person said of themselves in a call: any of ``Caller.FIELDS``.

    ``turns`` tells in which turn (its sequence number) each was said. Nothing empty erases, what is
    too long is cut, an address that is none is left out, and a call older than what is on file
    changes nothing of it. Safe to run twice. None for a withheld number, or nothing to keep.
    """
    told = {name: _SPACES.sub(" ", facts.get(name) or "").strip() for name in Caller.FIELDS}
    if not _is_email(told["email"]):
        told["email"] = ""
    told = {name: text[: _longest(name)] for name, text in told.items() if text}
    if not told or not is_person(caller_number):
        return None
    moment = at.astimezone(UTC).isoformat()
    _hold(number)
    caller = Caller.objects.filter(number=number, caller_number=caller_number).first()
    caller = caller or Caller(number=number, caller_number=caller_number)
    for name, text in told.items():
        if caller.sources.get(name, {}).get("at", "") > moment:
            continue
        source: dict[str, Any] = {"by": "call", "at": moment, "call_id": call_id}
        if turns and name in turns:
            source["turn"] = turns[name]
        _apply(caller, {name: text}, source)
    caller.save()
    return caller


def _longest(name: str) -> int:
    return Caller.SETTABLE.get(name, 400)


def _apply(caller: Caller, fields: Mapping[str, str | None], source: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if value is None:
            setattr(caller, name, "")
            caller.sources.pop(name, None)
        elif value:
            setattr(caller, name, value)
            caller.sources[name] = dict(source)


def _hold(number: PhoneNumber) -> None:
    """One writer at a time per number; rows that refer to the number are not held up."""
    PhoneNumber.objects.select_for_update(no_key=True).get(pk=number.pk)
