"""What the arguments of action tags mean (spec 6.7)."""

import re

# What a model writes between the keys of a number.
_BETWEEN = re.compile(r"[\s,.\-–]+")
_KEYS = re.compile(r"[0-9*#A-DwW]{1,64}")
_ANY_KEY = re.compile(r"[0-9*#A-D]")
LONGEST_WAIT_S = 120


def keys_of(argument: str) -> str:
    """Return the keys of ``[PRESS: 4827#]`` with their pauses ``w`` and ``W``; "" if it names
    none, or anything else.
    """
    keys = _BETWEEN.sub("", argument)
    return keys if _KEYS.fullmatch(keys) and _ANY_KEY.search(keys) else ""


def wait_ms(argument: str, otherwise_s: int) -> int:
    """Return how much longer ``[WAIT]`` or ``[WAIT:45]`` lets the caller be silent."""
    asked = int(argument) if argument.isascii() and argument.isdigit() else 0
    return 1_000 * (min(asked, LONGEST_WAIT_S) or otherwise_s)
