"""Phone menus on outbound calls: when to listen, when to ask the model, when to give up (spec
6.7.3).

A menu talks in sentences with pauses and hears only keys. So in menu mode the agent lets the whole
announcement go by, neither yields to it nor asks whether anybody is there, and forgets what was
said before its keys were pressed: that was the menu before.
"""

from calls.live import LiveCall

SETTLED_MS = 1_200  # this long after its last word an announcement is over
LONGEST_ANNOUNCEMENT_MS = 20_000  # answered even if it goes on
LONGEST_S = 240


class Menu:
    """Menu mode. It begins with a tag of the model or with what the menu says, and ends with a
    tag, a person's voice, or the time set for it.
    """

    def __init__(self, call: LiveCall) -> None:
        self.open = False
        self.hangs_up = bool(call.extras.get("hangup_on_ivr"))
        self._longest_ms = 1_000 * int(call.extras.get("ivr_timeout_s") or LONGEST_S)
        self._until = 0
        self._pressed_at = 0
        self._ask_at: int | None = None
        self._unanswered_since = 0

    def enter(self, t: int) -> None:
        self.open, self._until, self._ask_at = True, t + self._longest_ms, None

    def leave(self) -> None:
        self.open, self._ask_at = False, None

    def hear_words(self, t: int) -> None:
        """It goes on speaking."""
        if self._ask_at is not None:
            self._wait(t)

    def hear_turn(self, t: int, since: int) -> None:
        """It fell silent after words that began at ``since``."""
        if since < self._pressed_at:
            return
        if self._ask_at is None:
            self._unanswered_since = since
        self._wait(t)

    def pressed(self, t: int) -> None:
        """Our keys were heard at ``t``: what it said before is of no use any more."""
        self._pressed_at = t
        if self._unanswered_since < t:
            self._ask_at = None

    def asked(self) -> None:
        """The model was asked about all that was said."""
        self._ask_at = None

    def asks(self, t: int) -> bool:
        """Whether the model is to be asked now."""
        return self._ask_at is not None and t >= self._ask_at

    def expired(self, t: int) -> bool:
        return self.open and t >= self._until

    def wake_at(self, *, busy: bool) -> int | None:
        """When something is due: the end of the announcement (if the agent is not ``busy``), or of
        the menu's time.
        """
        if not self.open:
            return None
        due = None if busy else self._ask_at
        return self._until if due is None else min(due, self._until)

    def _wait(self, t: int) -> None:
        self._ask_at = min(t + SETTLED_MS, max(t, self._unanswered_since + LONGEST_ANNOUNCEMENT_MS))
