"""The first words of a call: who says them, when, and what they are after a move."""

from calls.live import LiveCall
from media.courtesies import Phrases, length_of
from media.history import History
from media.meeting import Meeting
from media.speaking import Speaking

BEAT_MS = 800  # a person who picks up is given this long before the agent speaks (outbound)
LONGEST_BEAT_MS = 2_500
HELLO_WORDS = 5  # more than this is no mere hello: it wants an answer of its own


class Beginning:
    """Begins the call, and holds an outbound opening back for a beat, or for the person's hello."""

    def __init__(
        self, call: LiveCall, phrases: Phrases, history: History, agent: Speaking, meeting: Meeting
    ) -> None:
        self._call = call
        self._phrases = phrases
        self._history = history
        self._agent = agent
        self._meeting = meeting
        self._at: int | None = None
        self._cap = 0
        self._moved_at: int | None = None  # turns so far when another process had to take over

    def begin(self, t: int) -> None:
        if self._history.ends_with_note():  # nobody took the call; it is ours again
            self._agent.ask(t, "answer")
            return
        if self._history.turns:  # another process lost this call; go on with it
            if not self._meeting.goes_on(t):
                self._moved_at = len(self._history.turns)
                apology = f"{self._phrases.lost_you} {self._phrases.where_were_we}"
                self._agent.say(t, "fallback", apology)
            return
        if not self._call.speaks_first:
            return
        outbound = self._call.direction == "outbound"
        if outbound:
            self._at = t + BEAT_MS
            self._cap = t + LONGEST_BEAT_MS
        # Written while the line is given its beat, so that the beat costs nothing.
        if self._call.opening:
            self._agent.say(t, "opening", self._call.opening, hold=outbound)
        else:
            self._agent.ask(t, "opening", hold=outbound)

    def apology(self) -> str:
        """What is still to be said of a move, where the caller spoke before any of it was heard."""
        if self._moved_at is None or self._meeting.is_machine:
            return ""
        since = self._history.turns[self._moved_at :]
        heard = any(turn.role == "agent" for turn in since)
        return "" if heard else self._phrases.lost_you

    def due(self) -> int | None:
        """When an opening that is held back is to be heard."""
        held = self._agent.reply is not None and self._agent.reply.hold
        return self._at if held else None

    def look_at_clock(self, t: int) -> None:
        if (due := self.due()) is not None and t >= due:
            self._at = None
            self._agent.release(t)

    def hear_voice(self, t: int, loud: bool) -> None:
        """The person is saying hello: wait for its end, but not for ever."""
        if self.due() is not None:
            self._at = self._cap if loud else min(t + BEAT_MS, self._cap)

    def is_hello(self, text: str) -> bool:
        """Whether a turn is the mere hello that an opening waits for."""
        held = self._agent.reply is not None and self._agent.reply.hold
        return held and length_of(text) <= HELLO_WORDS

    def hear_hello(self, t: int, speech_ended: int) -> None:
        self._at = min(max(t, speech_ended + BEAT_MS), self._cap)
