"""Writes that need the caller's yes: the engine reads them back itself, and counts the answer."""

import json

from agents.tools.base import Outcome, Tool, ToolCall
from agents.tools.readback import is_yes

# The mark that says a question was heard comes this much after the ear heard it.
MARK_DELAY_MS = 300

HELD = (
    "Held, nothing was written: the caller is being asked to confirm exactly this. When they have "
    "said yes, call {name} again with the same arguments; if they want something else, use that."
)
ONE_AT_A_TIME = Outcome("Nothing was done: one thing at a time. Wait for the caller's answer.")


class Confirmation:
    """At most one proposal is open. Only its own whole yes lets it through, and only once."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._proposed = ""  # the call that was read back, with its arguments
        self._heard_at: int | None = None
        self._granted = ""

    def question(self, tool: Tool, call: ToolCall) -> str:
        """Return what to ask before ``call``; "" if it may be done now, which uses up the yes."""
        if tool.read_back is None:
            return ""
        this = json.dumps([call.name, dict(call.arguments)], sort_keys=True)
        granted, self._granted = self._granted, ""
        if granted == this:
            self._proposed = ""
            return ""
        try:
            words = tool.read_back(call.arguments)
        except (ValueError, KeyError):
            return ""  # the tool itself says what is wrong with its arguments, and writes nothing
        self._proposed, self._heard_at = this, None
        return words

    def heard(self, t: int) -> None:
        """The question was played to its end: from now on an answer counts."""
        self._heard_at = t if self._proposed else None

    def answered(self, text: str, since: int) -> None:
        """The caller's turn ``text`` began at ``since``; any answer closes the question."""
        if self._heard_at is None:
            return
        in_time = since >= self._heard_at - MARK_DELAY_MS
        if in_time and is_yes(self._language, text):
            self._granted = self._proposed
        self._heard_at = None
