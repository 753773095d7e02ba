"""The caller's side of the conversation machine: their voice, their running turn and their keys."""

from dataclasses import replace

from calls.live import LiveCall
from media.courtesies import Phrases, begins_with, length_of, made_of, words_of
from media.events import TurnEnded

LOST_END_MS = 3_000  # words whose end the transcriber never announced
# Where the agent allows longer pauses than that: so much after one.
AFTER_LONGEST_PAUSE_MS = 1_000
LONGEST_NOISE_MS = 10_000  # a noise that lasts longer is no voice
KEYPAD_PAUSE_MS = 3_000
KEYS = frozenset("0123456789*#ABCD")
UNSURE = 0.4  # below this confidence words are not acted upon


class Caller:
    """What was heard of the caller so far. Decides nothing but what their words amount to."""

    def __init__(self, call: LiveCall, phrases: Phrases) -> None:
        self.loud = False
        self.loud_since = 0
        self.voice_changed_at = 0
        self.words = ""  # of the running turn
        self.words_from = 0
        self.unclear = 0  # turns in a row that could not be understood
        self._call = call
        self._phrases = phrases
        self._words_at: int | None = None
        self._lost_end_ms = max(
            LOST_END_MS, (call.stt_max_silence_ms or 0) + AFTER_LONGEST_PAUSE_MS
        )
        # A turn that we ended: its words as the transcriber has them, and when.
        self._told = ""
        self._taken: list[str] = []
        self._taken_at = 0
        self._digits = ""
        self._digits_at = 0

    # --- voice ------------------------------------------------------------------------------------

    def hear_voice(self, t: int, loud: bool) -> None:
        if loud and not self.loud:
            self.loud_since = t
        self.loud, self.voice_changed_at = loud, t

    def noise_until(self) -> int:
        """A voice may still become words; a noise that goes on and on is none."""
        return self.loud_since + LONGEST_NOISE_MS if self.loud else 0

    # --- words ------------------------------------------------------------------------------------

    @property
    def speaks(self) -> bool:
        """Whether a turn is running of which words have been heard."""
        return self._words_at is not None

    def fresh(self, text: str) -> str:
        """Return ``text`` without the words of a turn that we had to end ourselves.

        The transcriber may tell of that turn all the same, late or with more words.
        """
        self._told = text
        left, taken = text.split(), list(self._taken)
        while left and taken:
            words = words_of(left[0])
            if words != taken[: len(words)]:
                self._taken = []
                return text
            left, taken = left[1:], taken[len(words) :]
        if not left and self.loud_since > self._taken_at:
            return text  # a new voice says it again
        return " ".join(left)

    def fresh_turn(self, event: TurnEnded) -> TurnEnded:
        """Likewise, with the end of the turn: from here on the transcriber is done with it."""
        fresh = replace(event, text=self.fresh(event.text.strip()))
        self._taken = []
        return fresh

    def hear_words(self, t: int, text: str) -> None:
        if not self.words:
            # The first words come some 300 ms after the voice that speaks them.
            recent = self.loud and t - self.loud_since <= LOST_END_MS
            self.words_from = self.loud_since if recent else t
        self.words, self._words_at = text, t

    def end_turn(self) -> int:
        """Forget the running turn; return when it began."""
        since = self.words_from if self.words else self.loud_since
        self.words, self._words_at = "", None
        return since

    def lost_end_at(self) -> int | None:
        """When a turn ends whose end nobody announced."""
        if self._words_at is None:
            return None
        return max(self._words_at + self._lost_end_ms, self.noise_until())

    def lost_turn(self, t: int) -> TurnEnded:
        """End the running turn; what the transcriber still says of it is no new one."""
        lost = TurnEnded(t, self.words, min(t, self._words_at or t))
        self._taken, self._taken_at = words_of(self._told), t
        return lost

    def is_unclear(self, event: TurnEnded) -> bool:
        """Whether the turn is too uncertain to be acted upon; ``unclear`` counts them."""
        if event.confidence >= float(self._call.extras.get("stt_confidence") or UNSURE):
            self.unclear = 0
            return False
        self.unclear += 1
        return True

    def is_backchannel(self, text: str, *, to_goodbye: bool) -> bool:
        """Whether these are mere sounds of listening, or of leaving where the agent takes leave."""
        entries = self._phrases.backchannels
        return made_of(text, entries | self._phrases.farewells if to_goodbye else entries)

    def means_to_interrupt(self, text: str, *, to_goodbye: bool) -> bool:
        """Whether these first words are meant to stop the agent.

        ``interruption_sensitivity``: 0 never; below 25 three words, below 75 two, else one;
        backchannels never, and a word such as "stop" or "no" at once.
        """
        sensitivity = self._call.interruption_sensitivity
        if sensitivity <= 0 or self.is_backchannel(text, to_goodbye=to_goodbye):
            return False
        if begins_with(text, self._phrases.interruptions):
            return True
        least = 3 if sensitivity < 25 else 2 if sensitivity < 75 else 1
        return length_of(text) >= least

    def objects(self, text: str) -> bool:
        """Whether the words begin as those of somebody who wants this to stop: "no", "wait" …"""
        return begins_with(text, self._phrases.interruptions)

    # --- keys -------------------------------------------------------------------------------------

    @property
    def enters_digits(self) -> bool:
        return bool(self._digits)

    def press(self, t: int, digit: str) -> None:
        self._digits += digit
        self._digits_at = t

    def take_digits(self) -> str:
        digits, self._digits = self._digits, ""
        return digits

    def digits_due(self) -> int | None:
        """When an entry counts as complete without its ``#``."""
        return self._digits_at + KEYPAD_PAUSE_MS if self._digits else None
