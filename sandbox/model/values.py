"""Values in what a caller says: names, days, times, numbers, addresses of mail."""

import datetime as dt
import re

_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_MONTHS = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
]  # fmt: skip
_NUMBERS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
]  # fmt: skip
_NUMBER_WORD = "|".join(_NUMBERS)
_MONTH, _WEEKDAY = "|".join(_MONTHS), "|".join(_DAYS)
_DAY = re.compile(
    rf"\b(\d{{4}}-\d{{2}}-\d{{2}}|(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:{_MONTH})|"
    rf"(?:{_MONTH})\s+(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?\b|(?:(?:next|this|on)\s+)?(?:{_WEEKDAY})|"
    r"(?:the\s+)?day after tomorrow|today|tomorrow|tonight|next week|this week|next month|"
    r"the \d{1,2}(?:st|nd|rd|th))\b",
    re.I,
)
_TIME = re.compile(
    r"\b((?:at\s+|around\s+|about\s+)?(?:\d{1,2}[:.]\d{2}\s*(?:[ap]\.?m\b\.?)?|"
    rf"(?:\d{{1,2}}|{_NUMBER_WORD})\s*(?:[ap]\.?\s?m\b\.?|o'?clock(?:\s+in the \w+)?)|"
    rf"(?:\d{{1,2}}|{_NUMBER_WORD})(?: (?:thirty|fifteen|forty[- ]five))? in the "
    r"(?:morning|afternoon|evening)|"
    rf"half[- ]past (?:\d{{1,2}}|{_NUMBER_WORD})|quarter (?:past|to) (?:\d{{1,2}}|{_NUMBER_WORD})|"
    rf"(?:{_NUMBER_WORD}) (?:thirty|fifteen|forty[- ]five))|"
    r"(?:in the )?(?:early |late |mid )?(?:morning|afternoon|evening)|noon|midday|lunchtime)"
    r"(?=\W|$)",
    re.I,
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_SPOKEN_EMAIL = re.compile(
    r"\b([\w+-]+(?:(?: dot |\.)[\w+-]+)*) at ([\w-]+(?:(?: dot |\.)[\w-]+)+)", re.I
)
_PHONE = re.compile(r"\+?\d[\d ()-]{5,}\d")
_NAME = re.compile(
    r"\b(?i:my (?:full )?name(?:'s| is)|i am called|you can call me|name is|speaking with|"
    r"this is|it's|it is|i'm|i am)\s+((?!(?:Is|The|A|An|Not|For|About|I|On|In)\b)[A-Z][\w'’-]+"
    r"(?:\s+(?!(?:And|I|From|Speaking|Here)\b)[A-Z][\w'’-]+){0,2})"
)
_NAME_LOWER = re.compile(
    r"\bmy (?:full )?name(?:'s| is)\s+([a-z][\w'-]+(?:\s+[a-z][\w'-]+)?)", re.I
)
_FILLER = re.compile(
    r"^(?:(?:well|um+|uh+|er|so|oh|yes|yeah|sure|okay|ok|of course|please|hi|hello|it's|it is|"
    r"it would be|that's|that would be|i think|i guess|let's say|maybe|make it|for|how about|"
    r"i'd like|i would like|i'd prefer|my name is|my name's|this is|i'm|i am|on|at)\b[\s,.!]*)+",
    re.I,
)


def day(text: str) -> str | None:
    """The first day named, in the speaker's own words."""
    found = _DAY.search(text)
    return re.sub(r"^on\s+", "", found.group(), flags=re.I) if found else None


def clock(text: str) -> str | None:
    """The first time of day named, in the speaker's own words."""
    found = _TIME.search(text)
    return re.sub(r"^at\s+", "", found.group().strip(), flags=re.I) if found else None


def email(text: str) -> str | None:
    """An e-mail address, written or spoken ("jo at example dot com")."""
    if found := _EMAIL.search(text):
        return found.group().rstrip(".").lower()
    if found := _SPOKEN_EMAIL.search(text):
        return re.sub(r" dot ", ".", f"{found[1]}@{found[2]}", flags=re.I).lower()
    return None


def phone(text: str) -> str | None:
    """A telephone number of at least seven digits, as it was written."""
    for found in _PHONE.finditer(text):
        if len(re.sub(r"\D", "", found.group())) >= 7 and not _iso(found.group()):
            return found.group().strip()
    return None


def name(text: str) -> str | None:
    """A name the speaker gives as their own; an address of mail, letter by letter, is none."""
    text = _EMAIL.sub(" ", _SPOKEN_EMAIL.sub(" ", text))
    for found in _NAME.finditer(text):
        if not _DAY.fullmatch(found[1]):
            return found[1]
    found_lower = _NAME_LOWER.search(text)
    return found_lower[1].title() if found_lower else None


def number(text: str) -> float | None:
    """The first number, in digits or as a word up to twenty."""
    found = re.search(r"(?<![\w+:-])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w+:.])\d+(?:\.\d+)?", text)
    if found:
        return float(found.group().replace(",", ""))
    word = re.search(rf"\b({_NUMBER_WORD})\b", text, re.I)
    return float(_NUMBERS.index(word.group().lower())) if word else None


def bare(text: str) -> str:
    """An answer without its fillers and its final stop: "Um, it's Ada." → "Ada"."""
    return _FILLER.sub("", text.strip()).strip(" .!?,") or text.strip(" .!?,")


def _iso(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        return None


def today_in(prompt: str) -> dt.date | None:
    """The current date as a prompt states it, ISO or in words; None where it does not."""
    for line in prompt.splitlines():
        if not re.search(r"\b(today|current|date|now)\b", line, re.I):
            continue
        if (found := re.search(r"\d{4}-\d{2}-\d{2}", line)) and (iso := _iso(found.group())):
            return iso
        months = "|".join(_MONTHS)
        found = re.search(rf"\b({months}) (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})", line, re.I)
        if found:
            return dt.date(int(found[3]), _MONTHS.index(found[1].lower()) + 1, int(found[2]))
        found = re.search(rf"\b(\d{{1,2}})(?:st|nd|rd|th)? ({months}),? (\d{{4}})", line, re.I)
        if found:
            return dt.date(int(found[3]), _MONTHS.index(found[2].lower()) + 1, int(found[1]))
    return None


def iso_day(words: str, today: dt.date | None) -> str | None:
    """A spoken day as ``YYYY-MM-DD``; None when it cannot be known without today's date."""
    said = words.lower()
    if found := re.search(r"\d{4}-\d{2}-\d{2}", said):
        return found.group()
    if today is None:
        return None
    if "after tomorrow" in said:
        return (today + dt.timedelta(days=2)).isoformat()
    if "tomorrow" in said:
        return (today + dt.timedelta(days=1)).isoformat()
    if "today" in said or "tonight" in said:
        return today.isoformat()
    for index, month in enumerate(_MONTHS, 1):
        found = re.search(r"\d{1,2}", said)
        if month in said and found:
            return _next_date(today, index, int(found.group()))
    for index, weekday in enumerate(_DAYS):
        if weekday in said:
            ahead = (index - today.weekday()) % 7 or 7
            return (today + dt.timedelta(days=ahead)).isoformat()
    return None


def _next_date(today: dt.date, month: int, number_of_day: int) -> str | None:
    try:
        date = dt.date(today.year, month, number_of_day)
        return (date if date >= today else date.replace(year=today.year + 1)).isoformat()
    except ValueError:
        return None


def iso_time(words: str) -> str | None:
    """A spoken time as ``HH:MM``; None for a part of the day. Office hours decide am or pm."""
    said = words.lower().replace(".m", "m").replace(".", ":").replace("half-past", "half past")
    for index, word in enumerate(_NUMBERS):
        said = re.sub(rf"\b{word}\b", str(index), said)
    if ("noon" in said and "after" not in said) or "midday" in said:
        return "12:00"
    found = re.search(r"(\d{1,2})(?::(\d{2})| (thirty|fifteen))?", said)
    if not found:
        return None
    hour = int(found[1])
    minute = int(found[2] or {"thirty": 30, "fifteen": 15}.get(found[3] or "", 0))
    if "half past" in said:
        minute = 30
    elif "quarter past" in said:
        minute = 15
    elif "quarter to" in said:
        hour, minute = hour - 1, 45
    written = found[2] is not None and len(found[1]) == 2
    pm = re.search(r"\d\s*pm|afternoon|evening", said)
    am = re.search(r"\d\s*am|morning", said)
    if (pm and hour < 12) or (not pm and not am and not written and hour < 8):
        hour += 12
    elif am and hour == 12:
        hour = 0
    return f"{hour % 24:02d}:{minute:02d}"


def spoken_date(iso: str) -> str:
    """``2026-05-22`` as it is said: "Friday, 22 May"."""
    date = dt.date.fromisoformat(iso)
    weekday, month = _DAYS[date.weekday()].title(), _MONTHS[date.month - 1].title()
    return f"{weekday}, {date.day} {month}"


def spoken_time(written: str) -> str:
    """``15:30`` as it is said: "3:30 pm"; ``12:00`` is "noon"."""
    hour, minute = int(written[:2]), written[3:5]
    if (hour, minute) == (12, "00"):
        return "noon"
    half = "am" if hour < 12 else "pm"
    return f"{hour % 12 or 12}{'' if minute == '00' else f':{minute}'} {half}"
