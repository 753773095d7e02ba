"""The rules of a phone conversation, as a machine without input or output (DESIGN decision 2).

``handle`` takes an event and returns what is to be done; ``wake_at`` says when it wants a ``Tick``
at the latest. It holds no socket, clock, task or database, so a call can be replayed and a rule
tested in ten lines. The agent's own speech is ``speaking.Speaking``; who of the two goes on when
both speak, ``turn_taking.TurnTaking``; machines at the other end are met by ``meeting.Meeting``.
"""

from calls.live import LiveCall, SpokenTurn
from calls.transfer_rules import Destination
from media.beginning import Beginning
from media.caller import KEYS, Caller
from media.courtesies import phrases_for
from media.deafness import Deafness
from media.echo import sounds_like
from media.events import (
    Action,
    Beep,
    CallerGone,
    ClauseAudio,
    ClauseFailed,
    ClauseReady,
    ClauseSent,
    Digit,
    EndCommand,
    Event,
    FarewellByCarrier,
    HandOver,
    HangUp,
    Heard,
    HearingBack,
    HearingLost,
    MachineVerdict,
    ModelDone,
    ModelFailed,
    ModelText,
    Note,
    Opened,
    RefuseContact,
    StoreTurn,
    ToolsDone,
    ToolsWanted,
    TurnEnded,
    TurnMayEnd,
    TurnResumed,
    Voiced,
    VoiceFell,
    VoiceRose,
    Words,
)
from media.history import History
from media.meeting import Meeting
from media.putting_through import MOST_REFUSALS, refused
from media.refusing import Refusing
from media.silence import Silence
from media.speaking import Speaking
from media.turn_taking import TurnTaking
from media.weakly import weakly

LAST_WORDS_MS = 10_000  # for the goodbye after the longest duration


class Conversation:
    """One call. Events must come in the order of their times."""

    def __init__(self, call: LiveCall) -> None:
        self.call = call
        self.over = False
        self.history = History(call)
        self._phrases = phrases_for(str(call.extras.get("start_language") or call.language))
        self._actions: list[Action] = []
        do = weakly(self._do)
        self._agent = Speaking(call, self._phrases, self.history, do)
        self._meeting = Meeting(
            call,
            self._phrases,
            self.history,
            self._agent,
            do=do,
            store=weakly(self._store_caller),
            hang_up=weakly(self._hang_up),
        )
        self._caller = Caller(call, self._phrases)
        self._refusing = Refusing()
        self._deafness = Deafness()
        agent, caller, meeting = self._agent, self._caller, self._meeting
        self._silence = Silence(call, self._phrases, agent, caller, meeting, self._deafness)
        self._beginning = Beginning(call, self._phrases, self.history, agent, meeting)
        self._turns = TurnTaking(
            call,
            agent,
            caller,
            meeting,
            self._beginning,
            self._silence,
            do=do,
            store=weakly(self._store_caller),
        )
        self._overtime = False
        self._refusals = 0  # transfers that the model wanted and may not have

    # --- the way in -------------------------------------------------------------------------------

    def handle(self, event: Event) -> list[Action]:
        """Take one event; return the actions it calls for, in order."""
        if self.over:
            return []
        self._route(event)
        self._meeting.obey(event.t)
        if not self.over:
            self._look_at_clock(event.t)
        if not self.over:
            self._settle(event.t)
            self._meeting.obey(event.t)
        self._turns.settle()
        actions, self._actions = self._actions, []
        return actions

    def _route(self, event: Event) -> None:
        t, agent = event.t, self._agent
        match event:
            case Voiced():
                self._hear_voice(t, event.loud)
            case VoiceRose():
                self._turns.hear_rise(t)
            case VoiceFell():
                self._turns.hear_fall(t)
            case Words():
                self._hear_words(t, self._caller.fresh(event.text))
            case TurnMayEnd():
                self._hear_words(t, words := self._caller.fresh(event.text))
                self._guess(t, words)
            case TurnResumed():
                agent.ahead.drop("resumed")
                self._hear_words(t, self._caller.fresh(event.text))
            case TurnEnded():
                self._end_turn(self._caller.fresh_turn(event))
            case HearingLost():
                self._deafness.begin(t, event.tries)
                if self._caller.loud:  # in the middle of what they say
                    self._deafness.hear_voice()
            case HearingBack():
                self._hear_again(t)
            case ModelText() | ModelDone() | ModelFailed() | ToolsWanted():
                agent.take_model(event)
            case ToolsDone():
                agent.take_tools(event)
            case ClauseReady():
                agent.take_ready(event)
            case ClauseAudio():
                first = not agent.begun
                agent.take_audio(event)
                if first and agent.begun:
                    self._meeting.agent_began(t)
            case ClauseSent():
                agent.take_sent(event)
            case ClauseFailed():
                agent.fail_clause(event)
            case Heard():
                agent.take_mark(event)
            case Digit():
                self._press(t, event.digit)
            case MachineVerdict():
                self._meeting.hear_verdict(t, event.verdict)
            case Beep():
                self._meeting.hear_beep(t)
            case Opened():
                self._silence.begin(t)
                self._beginning.begin(t)
            case EndCommand():
                self._hang_up(t, event.reason)
            case CallerGone():
                agent.cut(t)
                self.over = True

    @property
    def wake_at(self) -> int | None:
        """When a ``Tick`` is due at the latest; None when the call is over."""
        if self.over:
            return None
        deadlines = (
            self.call.max_duration_s * 1000 + (LAST_WORDS_MS if self._overtime else 0),
            self._beginning.due(),
            self._agent.playout.overdue_at(),
            self._agent.deadline(),
            self._agent.filler_due(),
            self._caller.lost_end_at(),
            self._silence.due(),
            self._caller.digits_due(),
            *self._meeting.wake_at(),
            self._turns.due(),
            self._leave_deaf_at(),
        )
        return min(deadline for deadline in deadlines if deadline is not None)

    @property
    def agent_speaks(self) -> bool:
        """Whether the agent is saying something, or about to."""
        return not self.over and self._agent.reply is not None

    @property
    def listens_for_beep(self) -> bool:
        """Whether a tone on the line would mean anything now."""
        return not self.over and self._meeting.listens_for_beep

    def _do(self, action: Action) -> None:
        self._actions.append(action)

    def _note(self, kind: str, /, **data: object) -> None:
        self._do(Note(kind, data))

    # --- the caller -------------------------------------------------------------------------------

    def _hear_voice(self, t: int, loud: bool) -> None:
        self._caller.hear_voice(t, loud)
        if loud:
            self._deafness.hear_voice()
        self._beginning.hear_voice(t, loud)
        self._silence.hear_voice(t, loud)
        self._meeting.hear_voice(t, loud)
        if not loud:
            self._turns.hear_quiet(t)

    def _hear_words(self, t: int, text: str) -> None:
        if not text.strip() or self._is_echo(t, text):
            return
        self._caller.hear_words(t, text)
        self._silence.caller_is_there(t)
        self._agent.ahead.hear(text)
        since = self._caller.words_from
        if self._meeting.hear_words(t, text, since):
            return
        if not self.over:
            self._turns.hear_words(t, text)

    def _guess(self, t: int, text: str) -> None:
        """The caller may have finished: have their answer written while that is not yet certain."""
        if not self._caller.speaks or self.over or self._meeting.is_machine:
            return
        if text.strip():
            self._agent.guess(t, text.strip())

    def _end_turn(self, event: TurnEnded) -> None:
        t, text = event.t, event.text.strip()
        since = self._caller.end_turn()
        if not text:
            return
        if self._is_echo(t, text):
            self._note("echo")
            return
        self._silence.caller_is_there(t)
        if self._meeting.hear_turn(event, since) or self.over:
            return
        if self._is_unclear(event):
            self._note("unintelligible", confidence=round(event.confidence, 2))
            self._agent.say(t, "fallback", self.call.fallback_message)
            return
        if self._turns.takes_turn(event, since):
            self._answer(event, since)
        else:
            self._turns.go_on(t)

    def _hear_again(self, t: int) -> None:
        ms, apologise = self._deafness.end(t)
        if not ms:
            return
        self._note("hears_again", deaf_ms=ms)
        self._silence.begin(t)
        if apologise and self._agent.reply is None and not self._meeting.is_machine:
            self._agent.say(t, "fallback", self._phrases.not_heard)

    def _leave_deaf_at(self) -> int | None:
        return self._deafness.leave_at() if self._agent.reply is None else None

    def _leave_deaf(self, t: int) -> bool:
        """End the call if nobody has heard the caller for too long."""
        due = self._leave_deaf_at()
        if self.over or due is None or t < due:
            return False
        self._note("deaf_too_long")
        words = self._phrases.deaf_goodbye
        self._agent.say(t, "farewell", words, ends="failed", interruptible=False)
        return True

    def _is_echo(self, t: int, text: str) -> bool:
        """Whether the transcriber heard our own words, where our ear has heard no voice at all."""
        began, said = self._agent.saying(t)
        silent = not self._caller.loud and self._caller.voice_changed_at <= began
        return bool(said) and silent and sounds_like(text, said)

    def _is_unclear(self, event: TurnEnded) -> bool:
        """Whether to ask the caller to repeat; not twice in a row, and never over our own voice."""
        unclear = self._caller.is_unclear(event) and self._caller.unclear == 1
        return unclear and self._agent.reply is None and bool(self.call.fallback_message)

    def _answer(self, event: TurnEnded, since: int) -> None:
        self._store_caller(event.text.strip(), since, event.speech_ended)
        if (said := self._refusing.answer) is not None:
            words, ends = said
            self._agent.say(event.t, "answer", words, ends=ends, interruptible=not ends)
            return
        self._agent.confirmation.answered(event.text, since)
        self._agent.ask(
            event.t, "answer", speech_ended=event.speech_ended, first=self._beginning.apology()
        )

    def _store_caller(self, text: str, started: int, ended: int, label: str = "") -> None:
        """``label`` marks what a machine said: nobody has refused anything in it."""
        text, ended = f"{label} {text}".strip(), max(0, ended)
        sequence = self.history.next_sequence()
        turn = SpokenTurn(sequence, "caller", text, max(0, min(started, ended)), ended)
        self.history.add(turn)
        self._do(StoreTurn(turn))
        if not label and (refusal := self._refusing.hear(text)) is not None:
            self._do(RefuseContact(sequence, refusal.phrase, refusal.words, refusal.scope))

    def _press(self, t: int, digit: str) -> None:
        if not self.call.dtmf_enabled or digit not in KEYS:
            return
        self._silence.caller_is_there(t)
        if digit == "#":
            self._enter_digits(t)
        else:
            self._caller.press(t, digit)

    def _enter_digits(self, t: int) -> None:
        digits = self._caller.take_digits()
        reply = self._agent.reply
        blocked = reply is not None and not reply.may_be_cut
        if not digits or blocked or self._meeting.leaves_message:
            return
        self._turns.interrupt(t)
        self._answer(TurnEnded(t, f"[Caller pressed on keypad: {digits}]", t), t)

    # --- the clock and the endings ----------------------------------------------------------------

    def _look_at_clock(self, t: int) -> None:
        self._beginning.look_at_clock(t)
        self._agent.playout.take_overdue(t)
        self._agent.fill(t)
        if (due := self._caller.lost_end_at()) is not None and t >= due:
            self._end_turn(self._caller.lost_turn(t))
        if self.over:
            return
        if (due := self._caller.digits_due()) is not None and t >= due:
            self._enter_digits(t)
        self._turns.look_at_clock(t)
        self._meeting.look_at_clock(t)
        while (due := self._agent.deadline()) is not None and t >= due and not self._agent.mute:
            self._agent.give_up(t)
            self._agent.playout.take_overdue(t)
        if self._agent.mute:
            self._leave_mute(t)
            return
        if self._is_overtime(t):
            return
        if not self._leave_deaf(t):
            self._silence.look_at_clock(t)

    def _settle(self, t: int) -> None:
        """When the agent has said all it had to say, it is the caller's turn, or the end."""
        reply = self._agent.settle(t)
        if reply is None:
            return
        self._silence.agent_is_done(t, reply.patience)
        if reply.presses:
            self._meeting.pressed(reply.played_until)
        if reply.proposes:
            self._agent.confirmation.heard(t)
        later = self._turns.take_later()
        if reply.goes_to is not None:
            self._hand_over(reply.goes_to)
        elif reply.written and reply.frame_at is None and self._agent.voice_failures:
            self._agent.say(t, "fallback", self._phrases.trouble)
        elif reply.ends:
            self._hang_up(t, reply.ends)
        elif reply.not_put_through:
            self._explain_refusal(t, reply.not_put_through)
        elif later is not None:
            self._answer(TurnEnded(t, later.text, later.speech_ended), later.speech_ended)
        else:
            self._meeting.look_at_clock(t)  # what a machine said meanwhile
        self._leave_deaf(t)  # what the agent had to say is said

    def _hand_over(self, to: Destination) -> None:
        turns = self.history.turns
        self._do(HandOver(to.number, to.kind, turns[-1].sequence if turns else 0))
        self.over = True

    def _explain_refusal(self, t: int, why: str) -> None:
        """The model is told that the caller is still here; one that insists is not asked again."""
        self._refusals += 1
        if self._refusals > MOST_REFUSALS:
            self._agent.say(t, "fallback", self.call.fallback_message or self._phrases.trouble)
            return
        self.history.note(refused(why))
        self._agent.ask(t, "answer")

    def _is_overtime(self, t: int) -> bool:
        """At the longest duration say goodbye, and hang up even if that cannot be heard."""
        longest = self.call.max_duration_s * 1000
        if t >= longest + LAST_WORDS_MS:
            self._hang_up(t, "max_duration_reached")
        elif t >= longest and not self._overtime:
            self._overtime = True
            self._agent.cut(t)
            text = self._phrases.time_goodbye
            ends = "max_duration_reached"
            self._agent.say(t, "farewell", text, ends=ends, interruptible=False)
        return t >= longest

    def _leave_mute(self, t: int) -> None:
        """Our voice is gone: the carrier takes leave in its own."""
        self._agent.cut(t)
        self._do(FarewellByCarrier("failed", self._phrases.mute_goodbye))
        self.over = True

    def _hang_up(self, t: int, reason: str) -> None:
        self._agent.cut(t)
        self._do(HangUp(reason))
        self.over = True
