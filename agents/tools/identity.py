"""The tool that opens private notes: the caller must say what is on file (DESIGN, memory)."""

import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agents.history import Private
from agents.tools.base import Outcome, Tool

NAME = "confirm_identity"
MOST_TRIES = 3


def identity_tool(private: Private, *, tries: int = 0) -> Tool:
    """Return the tool by which a call gets ``private.text``, once the caller said the right thing.

    ``tries`` were made before.
    The answer is compared here, not by the model, and a name counts only if the caller spoke it.
    """
    return Tool(
        name=NAME,
        description="Check who the caller is before anything private is used. Give exactly what "
        "they said when asked; never fill in what they did not say.",
        input_schema={
            "type": "object",
            "properties": {"answer": {"type": "string", "description": "Their words."}},
            "required": ["answer"],
        },
        use=_check(private, tries),
    )


def _check(private: Private, tries: int) -> Callable[[Mapping[str, Any], str], Awaitable[Outcome]]:
    async def use(arguments: Mapping[str, Any], said: str) -> Outcome:
        nonlocal tries
        tries += 1
        if tries > MOST_TRIES:
            return Outcome("Not confirmed, and no further try is allowed in this call.")
        answer = str(arguments.get("answer", ""))
        if not matches(private.check, answer, private.expected) or (
            private.check == "name" and not _words(private.expected) <= _words(said)
        ):
            return Outcome("Not confirmed. Do not use or mention anything private.")
        return Outcome(f"Confirmed. On record about them:\n{private.text}")

    return use


def matches(check: str, answer: str, expected: str) -> bool:
    """Whether an answer is the value on file: in a name all words count, else letters and
    digits."""
    if check == "name":
        return bool(_words(answer)) and _words(answer) == _words(expected)
    return bool(_letters(answer)) and _letters(answer) == _letters(expected)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", _plain(text)))


def _letters(text: str) -> str:
    return "".join(char for char in _plain(text) if char.isalnum())
