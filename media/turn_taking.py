"""The caller is heard while the agent has a reply: who of the two goes on.

Nothing here begins a reply; it is paused, resumed or cut, or the caller's words wait for its end.
"""

from collections.abc import Callable

from calls.live import LiveCall
from media.beginning import Beginning
from media.caller import Caller
from media.events import Action, Note, TurnEnded
from media.meeting import Meeting
from media.reply import Reply
from media.silence import Silence
from media.speaking import Speaking
from media.yielding import Yielding

ASKED_AND_ALMOST_DONE_MS = 1_500  # "yes" into the last words of a question answers it


class TurnTaking:
    """Knows both sides. ``store(text, started, ended)`` takes words that call for no answer."""

    def __init__(
        self,
        call: LiveCall,
        agent: Speaking,
        caller: Caller,
        meeting: Meeting,
        beginning: Beginning,
        silence: Silence,
        *,
        do: Callable[[Action], None],
        store: Callable[[str, int, int], None],
    ) -> None:
        self._call = call
        self._agent = agent
        self._caller = caller
        self._meeting = meeting
        self._beginning = beginning
        self._silence = silence
        self._do = do
        self._store = store
        self._yielding = Yielding(call)
        self._later: TurnEnded | None = None  # to be answered when the reply was heard

    # --- a voice ----------------------------------------------------------------------------------

    def hear_rise(self, t: int) -> None:
        """Fall silent for a voice that may become an interruption."""
        agent, reply = self._agent, self._agent.reply
        if self._meeting.in_menu or reply is None or not (agent.begun and reply.may_be_cut):
            return
        if self._yielding.may_begin(agent.playout.play_end - t):
            self._yielding.begin(t)
            agent.pause(t)

    def hear_fall(self, t: int) -> None:
        """A cough and a "mm-hmm" are over before their words are known, if they have any."""
        nothing = not self._caller.speaks or self._is_backchannel(self._caller.words)
        if nothing and self._yielding.was_short(t):
            self.go_on(t)

    def hear_quiet(self, t: int) -> None:
        if self._caller.speaks and self._is_backchannel(self._caller.words):
            self.go_on(t)

    def due(self) -> int | None:
        """When to go on if nothing else comes of a voice."""
        return self._yielding.until(self._caller)

    def look_at_clock(self, t: int) -> None:
        if (due := self.due()) is not None and t >= due:
            self.go_on(t)

    def settle(self) -> None:
        """The line is not silenced any more."""
        if self._agent.playout.paused_at is None:
            self._yielding.end(for_nothing=False)

    def go_on(self, t: int) -> None:
        """It was no interruption: say the rest."""
        if self._yielding.since is not None:
            self._do(Note("false_stop", {"silent_ms": t - self._yielding.since}))
            self._yielding.end(for_nothing=True)
            self._agent.resume(t)

    def interrupt(self, t: int) -> None:
        if self._agent.reply is not None:
            self._do(Note("interrupted", {"reply": self._agent.reply.kind}))
        self._later = None
        self._yielding.end(for_nothing=False)
        self._agent.cut(t)
        self._silence.begin(t)

    # --- words ------------------------------------------------------------------------------------

    def hear_words(self, t: int, text: str) -> None:
        """First words of a turn, said into a reply or before it."""
        reply = self._agent.reply
        if reply is None or reply.hold or not reply.may_be_cut:
            return
        if self._agent.begun:
            if self._interrupts(reply, text):
                self.interrupt(t)
            elif self._is_backchannel(text):
                self.go_on(t)  # should more follow, its words interrupt
        elif not self._is_backchannel(text):
            # The caller goes on: what the model is writing answers half a question.
            self._agent.cut(t)

    def takes_turn(self, event: TurnEnded, since: int) -> bool:
        """Whether a whole turn calls for a new reply; if so the one there is was cut."""
        t, text, reply = event.t, event.text.strip(), self._agent.reply
        if reply is None:
            return True
        if self._beginning.is_hello(text):
            self._store(text, since, event.speech_ended)
            self._beginning.hear_hello(t, event.speech_ended)
            return False
        if not reply.may_be_cut:
            self._store(text, since, event.speech_ended)
            return False
        paused_at = self._agent.playout.paused_at
        left = self._agent.playout.play_end - (t if paused_at is None else paused_at)
        answers = self._agent.begun and reply.asks and left <= ASKED_AND_ALMOST_DONE_MS
        if self._is_backchannel(text):
            if answers and not reply.takes_leave and paused_at is not None:
                self.interrupt(t)
                return True
            if answers and not reply.takes_leave:
                self._later = event
            else:
                self._do(Note("backchannel"))
            return False
        if reply.goes_to is not None and not self._caller.objects(text):
            self._store(text, since, event.speech_ended)
            return False
        if self._agent.begun and self._call.interruption_sensitivity <= 0:
            self._later = event
            return False
        if self._agent.begun:
            self.interrupt(t)
        else:
            self._agent.cut(t)
        return True

    def take_later(self) -> TurnEnded | None:
        """Return, once, the turn that waited for the reply's end."""
        later, self._later = self._later, None
        return later

    def _is_backchannel(self, text: str) -> bool:
        reply = self._agent.reply
        return self._caller.is_backchannel(text, to_goodbye=bool(reply and reply.takes_leave))

    def _interrupts(self, reply: Reply, text: str) -> bool:
        """Whether these first words are meant to stop the reply that is being spoken."""
        if reply.goes_to is not None and not self._caller.objects(text):
            return False
        return self._caller.means_to_interrupt(text, to_goodbye=reply.takes_leave)
