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
# What is, or was until 2019, put before a mobile's ten digits from abroad, and left out by many:
# Argentina's 9, Mexico's 1. The ten are one line's, with it and without.
_MARKED = (
    (re.compile(r"(\+54)9?([1-3][0-9]{9})"), "9"),
    (re.compile(r"(\+52)1?([2-9][0-9]{9})"), "1"),
)

# Fewer digits at a number's end are many people's.
_FEWEST_DIGITS = 6

# What people and spreadsheets put around and between digits.
_DRESSING = re.compile(r"[\s().\-‐-―/\u200e\u200f\u202a-\u202e\ufeff]+")
_FORMULA = re.compile(r"""=\s*(?:T\()?\s*"?\s*([^"()]*)"?\s*\)?""", re.IGNORECASE)
_SCIENTIFIC = re.compile(r"[0-9]+([.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)


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


def undress(cell: str, region: str | None = None) -> tuple[str, str]:
    """Return a telephone number without what spreadsheets and people put around it, and what is
    wrong with it, else ""; whether it is a real number is for ``parse_e164``."""
    text = cell.strip().lstrip("'’")
    if match := _FORMULA.fullmatch(text):
        text = match[1].strip()
    if _SCIENTIFIC.fullmatch(text):
        return cell, (
            f"phone was changed to {text} by a spreadsheet, and its last digits are lost. "
            "Format the column as text."
        )
    digits = _DRESSING.sub("", text.replace("(0)", ""))
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    if region and digits.isascii() and digits.isdigit():
        try:
            number = phonenumbers.parse(digits, region)
        except phonenumbers.NumberParseException:
            return digits, ""
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), ""
    return digits, ""


def may_mean(cell: str, number: str) -> bool:
    """Return whether what somebody wrote where a telephone number belongs may mean ``number``
    (E.164): its own digits without the country's code, or a part of them that no area code leads.
    """
    written = "".join(str(int(sign)) for sign in cell if sign.isdecimal()).lstrip("0")
    if len(written) < _FEWEST_DIGITS:
        return False
    return any(_national(one) in written or one.endswith(written) for one in spellings(number))


def _national(number: str) -> str:
    return phonenumbers.national_significant_number(parsed(number)).lstrip("0")


def spellings(number: str) -> tuple[str, ...]:
    """Return ``number`` and, where its line goes by another number in E.164 too, that one."""
    for pattern, mark in _MARKED:
        if match := pattern.fullmatch(number):
            plain, marked = f"{match[1]}{match[2]}", f"{match[1]}{mark}{match[2]}"
            return (number, marked if number == plain else plain)
    return (number,)


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
