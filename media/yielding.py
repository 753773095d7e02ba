"""Making way for a voice before its words are known: when to fall silent, when to go on.

A transcriber needs some 300 ms for its first word; a person who is talked over hears that. So the
agent stops at the voice itself, keeps what it was saying, and goes on where it was cut if the voice
was a sound of listening, a cough or a noise.
"""

from calls.live import LiveCall
from media.caller import Caller

# Below this ``interruption_sensitivity`` only words interrupt.
LEAST_SENSITIVITY = 25
# So many stops for nothing in a row, and only words interrupt: this line is noisy, or its caller
# likes to murmur.
MOST_FOR_NOTHING = 3
# Stopping this short before the end would be more noticeable than not to.
LEAST_LEFT_MS = 300
# A voice that was gone this soon, with the 120 ms that show it, was a cough, a click or a "mm".
SHORT_MS = 440
# After the voice is gone (240 ms ago), how long its words may still take to come.
WORDS_MAY_COME_MS = 400
# A voice, or words that amount to nothing, without an end.
LONGEST_MS = 2_000


class Yielding:
    """Whether to make way now, and since when. The speech itself is held by ``Speaking``."""

    def __init__(self, call: LiveCall) -> None:
        self.since: int | None = None
        self._sensitivity = call.interruption_sensitivity
        self._for_nothing = 0

    def may_begin(self, left_ms: int) -> bool:
        return (
            self.since is None
            and self._sensitivity >= LEAST_SENSITIVITY
            and self._for_nothing < MOST_FOR_NOTHING
            and left_ms >= LEAST_LEFT_MS
        )

    def begin(self, t: int) -> None:
        self.since = t

    def was_short(self, t: int) -> bool:
        """Whether the voice that is gone at ``t`` was too short to wait for its words: if they are
        more than a sound of listening, they interrupt when they come.
        """
        return self.since is not None and t - self.since <= SHORT_MS

    def end(self, *, for_nothing: bool) -> None:
        if self.since is not None:
            self._for_nothing = self._for_nothing + 1 if for_nothing else 0
        self.since = None

    def until(self, caller: Caller) -> int | None:
        """When to go on if nothing else comes of it."""
        if self.since is None:
            return None
        latest = self.since + LONGEST_MS
        if caller.loud or caller.speaks:
            return latest
        return min(latest, max(self.since, caller.voice_changed_at) + WORDS_MAY_COME_MS)
