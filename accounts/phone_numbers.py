"""Telephone numbers are E.164 strings, and real ones."""

import re
from functools import lru_cache
from typing import Any

import phonenumbers

from accounts.errors import ApiError, missing_field

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
# Numbers set aside for stories and tests that the numbering plan does not list as assigned:
# the sandbox's people live there, and nobody else's phone can ring.
_RESERVED = re.compile(r"\+1[2-9][0-9]{2}55501[0-9]{2}", re.ASCII)


def parse_e164(value: Any, field: str = "phone_number") -> str:
    """Return ``value`` if it is a real number in E.164, as ``+447446466847``.

    Nothing is guessed: no spaces, no national form. Raises ApiError ``missing_field`` for nothing,
    ``invalid_phone_format`` (its message says what is wrong) for anything else.
    """
    if value is None or value == "":
        raise missing_field(field)
    if not isinstance(value, str):
        raise _invalid(field, 'must be a string in E.164, as "+447446466847".')
    if not _E164.fullmatch(value):
        raise _invalid(field, _what_is_wrong(value))
    if _RESERVED.fullmatch(value):
        return value
    try:
        number = parsed(value)
    except phonenumbers.NumberParseException as error:
        raise _invalid(field, "has a country code that does not exist.") from error
    if not phonenumbers.is_valid_number(number):
        raise _invalid(field, _why_not_valid(number))
    # What the plan writes otherwise (a national prefix inside, as +4407…) is not E.164.
    if f"+{number.country_code}{phonenumbers.national_significant_number(number)}" != value:
        raise _invalid(
            field,
            "is not in E.164: leave out the national prefix after the country code.",
        )
    return value


@lru_cache(maxsize=16)
def parsed(value: str) -> phonenumbers.PhoneNumber:
    """Return a number in E.164 as the numbering plans see it; not to be changed. Whoever reads many
    asks several things of each. Raises NumberParseException."""
    return phonenumbers.parse(value)


def _why_not_valid(number: phonenumbers.PhoneNumber) -> str:
    match phonenumbers.is_possible_number_with_reason(number):
        case phonenumbers.ValidationResult.TOO_SHORT:
            return f"is too short for country code +{number.country_code}."
        case phonenumbers.ValidationResult.TOO_LONG:
            return f"is too long for country code +{number.country_code}."
    return f"is not a number of the numbering plan of country code +{number.country_code}."


def is_e164(text: str) -> bool:
    """Return whether ``text`` has the form of E.164; callers who withhold theirs have none."""
    return _E164.fullmatch(text) is not None


def number_in_path(text: str) -> str:
    """Return the number of a URL path, also where a client turned its plus into a space."""
    return f"+{text[1:]}" if text.startswith(" ") else text


def _what_is_wrong(value: str) -> str:
    if not value.startswith("+"):
        return "must be in E.164: begin with + and the country code, as +447446466847."
    if not re.fullmatch(r"\+[0-9]*", value, re.ASCII):
        return "must be in E.164: only digits after the +, as +447446466847."
    if value.startswith("+0"):
        return "must be in E.164: a country code does not begin with 0."
    if len(value) > 16:
        return "is too long: E.164 has at most 15 digits."
    return "is too short for a telephone number."


def _invalid(field: str, why: str) -> ApiError:
    return ApiError("invalid_phone_format", f"{field} {why}", details={"field": field})
