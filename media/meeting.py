"""Who is at the other end of an outbound call, and how a machine is met: voicemail is hung up on or
left word, a phone menu is pressed through, an assistant that screens calls is told who calls.
"""

from collections.abc import Callable

from calls.live import LiveCall
from calls.machines import CALL_ASSISTANT, PHONE_MENU, said_by_machine
from media.answering import Answering
from media.courtesies import Phrases
from media.events import Action, FoundVoicemail, Note, TurnEnded
from media.history import History
from media.menus import Menu
from media.screening import HELD_MS, NOTE, Screening
from media.speaking import Speaking
from media.voicemail import Answer

# Stores a turn of the other end: text, began, ended, and a label if a machine said it.
Store = Callable[[str, int, int, str], None]


class Meeting:
    """Takes what the other end says and does before the rules for persons do. ``store`` stores a
    turn, ``hang_up(t, reason)`` ends the call.
    """

    def __init__(
        self,
        call: LiveCall,
        phrases: Phrases,
        history: History,
        agent: Speaking,
        *,
        do: Callable[[Action], None],
        store: Store,
        hang_up: Callable[[int, str], None],
    ) -> None:
        self._call = call
        self._phrases = phrases
        self._history = history
        self._agent = agent
        self._do = do
        self._store = store
        self._hang_up = hang_up
        self._answering = Answering(call)
        self._menu = Menu(call)
        self._screening = Screening(phrases)
        self._loud = False

    @property
    def listens_for_beep(self) -> bool:
        return self._answering.open

    @property
    def leaves_message(self) -> bool:
        """Whether voicemail answered and a message is, or is to be, left."""
        return self._answering.leaves_message

    @property
    def is_machine(self) -> bool:
        """Whether a machine is known to be at the other end."""
        return self.leaves_message or self._menu.open or self._screening.open

    @property
    def in_menu(self) -> bool:
        return self._menu.open

    @property
    def may_be_silent(self) -> bool:
        """Whether nobody need say anything: a menu or a greeting has its own time."""
        return self._menu.open or self._answering.waits

    @property
    def patience(self) -> int:
        """How much longer than usual (ms) a person may take to speak."""
        return HELD_MS if self._screening.holds_line else 0

    # --- what the other end does ------------------------------------------------------------------

    def goes_on(self, t: int) -> bool:
        """Another process has lost this call: go on in the menu where it was, if it was in one."""
        turns = self._history.turns
        if not turns or not said_by_machine(turns[-1].text):
            return False
        self._enter_menu(t, by="transcript")
        return True

    def agent_began(self, t: int) -> None:
        self._answering.agent_began(t)
        self._screening.agent_began()

    def hear_voice(self, t: int, loud: bool) -> None:
        self._loud = loud
        if self._answering.hear_voice(t, loud):
            self._agent.cut(t)

    def hear_words(self, t: int, text: str, since: int) -> bool:
        """Whether a menu says them: nobody is interrupted by it."""
        self._judge(t, self._answering.hear(t, text, final=False, since=since))
        if self._menu.open:
            self._menu.hear_words(t)
        return self._menu.open

    def hear_turn(self, event: TurnEnded, since: int) -> bool:
        """Whether a machine said it; then it is dealt with."""
        t, text, ended = event.t, event.text.strip(), event.speech_ended
        self._judge(t, self._answering.hear(t, text, final=True, since=since))
        if self.leaves_message:
            self._store(text, since, ended, "")
        elif self._menu.open:
            self._store(text, since, ended, PHONE_MENU)
            self._menu.hear_turn(t, since)
        elif self._screening.is_question:
            self._agent.cut(t)
            self._screening.answer()
            self._store(text, since, ended, CALL_ASSISTANT)
            self._agent.ask(t, "answer", speech_ended=ended, note=NOTE)
        elif self._screening.holds(text):
            self._store(text, since, ended, CALL_ASSISTANT)
        else:
            self._screening.end()
            return False
        return True

    def hear_verdict(self, t: int, verdict: str) -> None:
        """The carrier's."""
        self._do(Note("amd", {"verdict": verdict}))
        self._judge(t, self._answering.amd(t, verdict))

    def hear_beep(self, t: int) -> None:
        begin_again = self._answering.hear_beep(t)
        self._judge(t, self._answering.take_method())
        if begin_again:
            self._agent.cut(t)

    def pressed(self, t: int) -> None:
        """Our keys were heard."""
        self._menu.pressed(t)

    def obey(self, t: int) -> None:
        """Do what the model's tags for machines ask."""
        for tag in self._agent.tags.collect_orders():
            if tag.name in ("IVR", "PRESS"):
                self._enter_menu(t, by="model")
                if self._menu.hangs_up:
                    return
            elif tag.name == "IVR_END":
                self._leave_menu(by="model")
            elif (method := self._answering.told()) is not None:
                self._find_voicemail(t, method)
                if (reply := self._agent.reply) is not None:  # with a message of its own, or none
                    reply.ends, reply.interruptible = "voicemail_detected", False

    # --- the clock --------------------------------------------------------------------------------

    def wake_at(self) -> list[int | None]:
        busy = self._agent.reply is not None
        message = None if busy and self._answering.waits else self._answering.wake_at(self._loud)
        return [message, self._menu.wake_at(busy=busy)]

    def look_at_clock(self, t: int) -> None:
        if self._answering.greeting_goes_on(t, self._loud):
            self._agent.cut(t)
        if self._answering.message_due(t) and self._agent.reply is None:
            self._answering.message_begins(t)
            text = self._call.voicemail_message
            ends = "voicemail_detected"
            self._agent.say(t, "voicemail", text, ends=ends, interruptible=False)
        if self._menu.expired(t):
            self._leave_menu(by="clock")
            self._agent.cut(t)
            self._agent.say(t, "farewell", self._phrases.nobody_there, ends="ivr_timeout")
        elif self._menu.asks(t) and self._agent.reply is None:
            self._menu.asked()
            if self._history.unanswered:
                self._agent.ask(t, "answer", may_be_silent=True)

    # --- what it is -------------------------------------------------------------------------------

    def _judge(self, t: int, method: str | None) -> None:
        """``method`` says by what a voicemail was recognised just now."""
        if method is not None:
            self._find_voicemail(t, method)
            if not self.leaves_message:
                self._hang_up(t, "voicemail_detected")
            return
        verdict = self._answering.take_verdict()
        known = self._menu.open or self._screening.open
        if verdict is None or (verdict.answer is Answer.HUMAN and not known):
            return  # a person is who we call
        self._do(Note("answered_by", {"answer": verdict.answer, "phrase": verdict.phrase}))
        if verdict.answer is Answer.MENU:
            self._screening.end()
            self._enter_menu(t, by="transcript")
            return
        if verdict.answer is Answer.SCREENING:
            if not self._menu.open:  # menus, too, "try to connect" people and ask for names
                self._screening.begin()
                self._hush(t)
            return
        self._leave_menu(by="transcript")
        self._screening.end()

    def _find_voicemail(self, t: int, method: str) -> None:
        self._do(Note("voicemail_detected", {"method": method}))
        self._do(FoundVoicemail(method))
        self._leave_menu(by="transcript")
        self._screening.end()
        if self.leaves_message:
            self._agent.cut(t)
            self._answering.await_greeting(t, loud=self._loud)

    def _enter_menu(self, t: int, *, by: str) -> None:
        if self._menu.open:
            return
        self._do(Note("menu_entered", {"by": by}))
        if self._menu.hangs_up:
            self._hang_up(t, "ivr_timeout")
            return
        self._menu.enter(t)
        if by != "model":
            self._hush(t)

    def _leave_menu(self, *, by: str) -> None:
        if self._menu.open:
            self._menu.leave()
            self._do(Note("menu_left", {"by": by}))

    def _hush(self, t: int) -> None:
        """Stop what was said to a person who is not there."""
        if self._agent.reply is not None and self._agent.reply.may_be_cut:
            self._agent.cut(t)
