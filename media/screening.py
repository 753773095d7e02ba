"""A phone's assistant answers and asks who is calling and why: told so once, then the line is held
for the person. It is no voicemail, and nobody hangs up on it.
"""

from media.courtesies import Phrases, contains, made_of

# The engine's note to the model, behind the assistant's question.
NOTE = (
    "[The phone's assistant asks who is calling and why, and lets the person read or hear the "
    "answer. Answer in one short sentence: your name, for whom you call and the reason. Ask "
    "nothing and do not say goodbye: the person may come on the line after it.]"
)
HELD_MS = 45_000  # how much longer than usual the person may take to come


class Screening:
    """From the assistant's question to the first words that are not its own."""

    def __init__(self, phrases: Phrases) -> None:
        self.open = False
        self._asked = False
        self._answered = False
        self._phrases = phrases

    def begin(self) -> None:
        self.open, self._asked, self._answered = True, False, False

    def answer(self) -> None:
        """The model is asked for the answer; until it is heard the assistant may go on asking."""
        self._asked = True

    def agent_began(self) -> None:
        self._answered = self._asked

    def end(self) -> None:
        self.open = False

    @property
    def is_question(self) -> bool:
        """Whether the turn that ended is the assistant's question, to be answered."""
        return self.open and not self._answered

    @property
    def holds_line(self) -> bool:
        """Whether our answer was given, and nobody has come to the phone."""
        return self.open and self._answered

    def holds(self, text: str) -> bool:
        """Whether ``text``, said after our answer, only thanks, or asks to hold the line."""
        if not self.holds_line or text.endswith(("?", "？", "؟")):
            return False
        return contains(text, self._phrases.holds) or made_of(text, self._phrases.farewells)
