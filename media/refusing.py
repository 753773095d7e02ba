"""Somebody says "don't call me again": entered in the ledger, whatever the model makes of it."""

from accounts.refusals import Refusal, acknowledgement, find_refusal, question
from agents.tools.readback import is_yes


class Refusing:
    """Judges what the caller says, turn by turn. A certain refusal counts at once; for a likely one
    we ask, and enter it on a yes.
    """

    def __init__(self) -> None:
        self._asked: Refusal | None = None
        self._words = ""
        self._ends = False

    def hear(self, text: str) -> Refusal | None:
        """Take what the caller said in one turn; return the refusal to enter, if it is one."""
        self._words, self._ends = "", False
        asked, self._asked = self._asked, None
        refusal = find_refusal(text)
        if refusal is None and asked is not None and is_yes(asked.language, text):
            refusal = asked
        elif refusal is not None and refusal.needs_confirmation and asked is None:
            self._asked, self._words = refusal, question(refusal.language)
            return None
        if refusal is not None:
            self._words, self._ends = acknowledgement(refusal.language), True
        return refusal

    @property
    def answer(self) -> tuple[str, str] | None:
        """What to say to it word for word, and why the call ends after it (or ``""``)."""
        return (self._words, "completed" if self._ends else "") if self._words else None
