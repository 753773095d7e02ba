"""Write text the way it is read aloud, where the synthesiser would read it wrongly.

The synthesiser reads dates, clock times and money well, but takes telephone numbers for
quantities, runs e-mail addresses together and guesses at acronyms and codes.
"""

import re
import unicodedata

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DOMAIN_END = "com|net|org|info|biz|edu|gov|io|ai|app|dev|co|eu|us|uk|ie|de|fr|es|it|nl"
_DOMAIN = rf"(?:[A-Za-z0-9-]+\.)+(?:{_DOMAIN_END})\b"
_EMAIL = re.compile(rf"\b[A-Za-z0-9._%+-]+@{_DOMAIN}")
_URL = re.compile(rf"\b(?:https?://)?({_DOMAIN})((?:/[\w.~%-]*)*)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
# Seven digits or more with the usual separators; not part of a decimal, amount or longer word.
_PHONE = re.compile(r"(?<![\w.,$€£])\+?\(?\d(?:[ ().-]{0,2}\d){6,}(?![\w])(?!\.\d)")
_LONG_NUMBER = re.compile(r"(?<![\w.,$€£+-])(?:0\d{2,}|\d{6,})(?![\w%])(?![.,:]\d)")
_CODE = re.compile(r"\b(?=[A-Z0-9]*[A-Z])(?=(?:[A-Z]*\d){2})[A-Z0-9]{4,}\b")
_ACRONYM = re.compile(r"\b(?:FAQ|ASAP|API|URL|IVR|ETA|DOB|SMS|AI|VAT|ATM|HR|IT)(s?)\b")
_SYMBOLS = {"“": '"', "”": '"', "‘": "'", "’": "'", "–": ", ", "—": ", ", "…": ".", "→": " to "}


def _digits(text: str) -> str:
    return " ".join(_DIGITS[int(d)] for d in text if d.isdigit())


def _phone(match: re.Match[str]) -> str:
    text = match[0]
    if _DATE.fullmatch(text):
        return text
    groups = re.findall(r"\d+", text)
    if len(groups) == 1 and len(groups[0]) > 7:  # +12025550123: threes, and four at the end
        head, tail = groups[0][:-4], groups[0][-4:]
        first = len(head) % 3 or 3
        groups = [head[:first], *(head[i : i + 3] for i in range(first, len(head), 3)), tail]
    spoken = ", ".join(_digits(g) for g in groups)
    return f"plus {spoken}" if text.startswith("+") else spoken


def _address(text: str) -> str:
    named = {".": " dot ", "@": " at ", "_": " underscore ", "-": " dash ", "/": " slash "}
    named |= {"+": " plus ", "%": " percent "}
    spoken = "".join(named.get(c) or (f" {_DIGITS[int(c)]} " if c.isdigit() else c) for c in text)
    return " ".join(spoken.replace("www", "double u double u double u").split())


def _letters(match: re.Match[str]) -> str:
    letters = ".".join(match[0].removesuffix("s")) + "."
    return f"{letters}'s" if match[0].endswith("s") else letters


def readable(text: str) -> str:
    """Return ``text`` as it should be read aloud; empty when nothing in it can be spoken."""
    text = "".join(_SYMBOLS.get(c, c) for c in text)
    # Emoji and other pictures are silent.
    text = "".join(
        c if unicodedata.category(c) not in ("So", "Cs", "Cn", "Co") else " " for c in text
    )
    text = re.sub(r"[*`#~|<>{}\[\]]+", " ", text)
    text = _EMAIL.sub(lambda m: _address(m[0]), text)
    text = _URL.sub(lambda m: _address((m[1] + m[2]).rstrip("./")), text)
    text = text.replace("24/7", "twenty four seven")
    text = _PHONE.sub(_phone, text)
    text = _LONG_NUMBER.sub(lambda m: _digits(m[0]), text)
    text = _CODE.sub(lambda m: " ".join(_DIGITS[int(c)] if c.isdigit() else c for c in m[0]), text)
    text = _ACRONYM.sub(_letters, text)
    text = " ".join(text.split())
    return text if any(c.isalnum() and ord(c) < 0x250 for c in text) else ""
