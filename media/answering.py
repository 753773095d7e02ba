"""Who answered an outbound call, and when a message to a machine begins: the part of the
conversation machine that asks ``voicemail.AnswerClassifier``."""

from calls.live import LiveCall
from calls.machines import BY_CARRIER, BY_TRANSCRIPT, FAX
from media.voicemail import Answer, AnswerClassifier, MessageMoment, Verdict

GREETING_GOES_ON_MS = 700  # a voice this long into our message is the greeting, going on


class Answering:
    """Answers nothing on an inbound call, or where machines are to be ignored.

    ``hear``, ``amd`` and ``hear_beep`` lead to a method's name at the moment when voicemail is
    recognised, once in a call; ``take_verdict`` tells of every other change of mind.
    """

    def __init__(self, call: LiveCall) -> None:
        watch = call.direction == "outbound" and call.voicemail_action != "ignore"
        self._classifier = AnswerClassifier() if watch and not call.turns else None
        self._would_leave = call.voicemail_action == "leave_message" and bool(
            call.voicemail_message
        )
        self._moment: MessageMoment | None = None
        self._begun = False
        self._recognised = False
        self._fresh: str | None = None
        self._verdict: Verdict | None = None
        self._loud_since = 0
        self._looked_at = 0

    @property
    def open(self) -> bool:
        """Whether it is not yet settled who answered, or a message has yet to be left."""
        return self._moment is not None or (
            self._classifier is not None and not self._classifier.settled
        )

    @property
    def leaves_message(self) -> bool:
        """Whether voicemail was recognised and a message is, or is to be, left."""
        return self._recognised and self._would_leave

    @property
    def waits(self) -> bool:
        """Whether a message waits for the end of the greeting."""
        return self._moment is not None and not self._begun

    def hear(self, t: int, text: str, *, final: bool, since: int) -> str | None:
        if self._classifier is None or self._recognised:
            return None
        self._judge(self._classifier.heard(text, t, final=final, started_ms=since))
        if final:
            self._judge(self._classifier.turn_ended(t))
        return self.take_method()

    def amd(self, t: int, verdict: str) -> str | None:
        """The carrier's verdict. A fax is hung up on whatever was to be left."""
        if self._classifier is None:
            return None
        self._judge(self._classifier.amd(verdict, t))
        if self._fresh == BY_CARRIER and verdict == FAX:
            self._would_leave = False
        return self.take_method()

    def told(self) -> str | None:
        """The model says that it is voicemail. Not believed once a person has talked with us."""
        person = self._classifier is not None and self._classifier.settled
        if self._recognised or person:
            return None
        self._recognised = True
        return BY_TRANSCRIPT

    def take_verdict(self) -> Verdict | None:
        """Return who answers by now, if that has changed and is no voicemail."""
        verdict, self._verdict = self._verdict, None
        return verdict

    def agent_began(self, t: int) -> None:
        if self._classifier is not None:
            self._classifier.agent_started(t)
        if self._moment is not None and self._begun:
            self._moment.began(t)

    def hear_voice(self, t: int, loud: bool) -> bool:
        """The far end became loud or quiet; True: the message must begin again."""
        self._loud_since = t
        if self._moment is None:
            return False
        if loud:
            return self._again(self._moment.speaking(t))
        self._moment.silent(t)
        return False

    def hear_beep(self, t: int) -> bool:
        """A tone ended; True: the message had begun, and must begin again."""
        if self._moment is not None:
            return self._again(self._moment.beep(t))
        if self._classifier is not None:
            self._judge(self._classifier.beep(t))
        return False

    def take_method(self) -> str | None:
        fresh, self._fresh = self._fresh, None
        return fresh

    def await_greeting(self, t: int, *, loud: bool) -> None:
        promised = self._classifier is not None and self._classifier.beep_promised
        self._moment = MessageMoment(speaking=loud, at_ms=t, beep_promised=promised)

    def message_due(self, t: int) -> bool:
        return self._moment is not None and not self._begun and t >= self._moment.due_ms

    def message_begins(self, t: int) -> None:
        self._begun = True

    def greeting_goes_on(self, t: int, loud: bool) -> bool:
        """Whether somebody still talks over the message, so that it must begin again."""
        self._looked_at = t
        if self._moment is None or not self._begun or not loud:
            return False
        return self._again(self._moment.speaking(t))

    def wake_at(self, loud: bool) -> int | None:
        if self._moment is None:
            return None
        if not self._begun:
            return self._moment.due_ms
        # A voice that sounds now is looked at once more, when it may be more than a click.
        look_at = self._loud_since + GREETING_GOES_ON_MS
        return look_at if loud and look_at > self._looked_at else None

    def _again(self, again: bool) -> bool:
        if again:
            self._begun = False
        return again

    def _judge(self, verdict: Verdict | None) -> None:
        if verdict is None:
            return
        if verdict.answer is not Answer.VOICEMAIL:
            self._verdict = verdict
        elif not self._recognised:
            self._recognised = True
            self._fresh = verdict.method
