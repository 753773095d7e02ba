"""Nobody says anything: the caller is asked whether they are there, then left."""

from calls.live import LiveCall
from media.caller import Caller
from media.courtesies import Phrases
from media.deafness import Deafness
from media.meeting import Meeting
from media.speaking import Speaking


class Silence:
    """Half of the allowed silence goes by before asking, half before leaving."""

    def __init__(
        self,
        call: LiveCall,
        phrases: Phrases,
        agent: Speaking,
        caller: Caller,
        meeting: Meeting,
        deafness: Deafness,
    ) -> None:
        self._call = call
        self._phrases = phrases
        self._agent = agent
        self._caller = caller
        self._meeting = meeting
        self._deafness = deafness
        self._since = 0
        self._patience = 0  # ms more, as the model wished with [WAIT]
        self._asked = False

    def begin(self, t: int) -> None:
        """Nobody has said anything since ``t``."""
        self._since = t

    def agent_is_done(self, t: int, patience: int) -> None:
        self._since, self._patience = t, patience

    def caller_is_there(self, t: int) -> None:
        self._since, self._patience, self._asked = t, 0, False

    def hear_voice(self, t: int, loud: bool) -> None:
        """Any sound ends a [WAIT]."""
        if loud and self._patience:
            self._since, self._patience = t, 0

    def due(self) -> int | None:
        """When it has lasted too long."""
        caller = self._caller
        busy = self._agent.reply is not None or caller.speaks or caller.enters_digits
        if busy or self._meeting.may_be_silent:
            return None
        half = max(self._call.silence_hangup_s * 500, 1_000)
        quiet_until = self._since + half + max(self._patience, self._meeting.patience)
        return max(quiet_until, caller.noise_until(), self._deafness.excused_until())

    def look_at_clock(self, t: int) -> None:
        if (due := self.due()) is None or t < due:
            return
        if self._asked:
            self._agent.say(t, "farewell", self._phrases.silent_goodbye, ends="silence_timeout")
        else:
            self._asked, self._patience = True, 0
            self._agent.say(t, "nudge", self._phrases.still_there)
