"""The rules of a phone conversation, as a machine without input or output (DESIGN decision 2).

``handle`` takes an event and returns what is to be done; ``wake_at`` says when it wants a ``Tick``
at the latest. It holds no socket, clock, task or database, so a call can be replayed and a rule
tested in ten lines.
"""

from calls.live import LiveCall, SpokenTurn
from media.clauses import Clause, Tag
from media.courtesies import begins_with, made_of, phrases_for, words_of
from media.events import (
    Action,
    AskModel,
    CallerGone,
    CancelModel,
    ClauseAudio,
    ClauseFailed,
    ClauseReady,
    ClauseSent,
    Clear,
    Digit,
    EndCommand,
    Event,
    HangUp,
    Heard,
    MachineVerdict,
    ModelDone,
    ModelFailed,
    ModelText,
    Note,
    Opened,
    Speak,
    StoreTurn,
    TurnEnded,
    Voiced,
    Words,
)
from media.history import History
from media.playout import Playout
from media.reply import Kind, Reply

BEAT_MS = 800  # a person who picks up is given this long before the agent speaks (outbound)
LONGEST_BEAT_MS = 2_500
HELLO_WORDS = 5  # more than this is no mere hello: it wants an answer of its own
ASKED_AND_ALMOST_DONE_MS = 1_500  # "yes" into the last words of a question answers it
LOST_END_MS = 3_000  # words whose end the transcriber never announced
LONGEST_NOISE_MS = 10_000
MODEL_DEADLINE_MS = 12_000
VOICE_DEADLINE_MS = 10_000
KEYPAD_PAUSE_MS = 3_000
GREETING_OVER_MS = 1_000  # silence after an answering machine's greeting
LONGEST_GREETING_MS = 30_000
LAST_WORDS_MS = 10_000  # for the goodbye after the longest duration
UNSURE = 0.4  # below this confidence words are not acted upon
MOST_VOICE_FAILURES = 2


class Conversation:
    """One call. Events must come in the order of their times."""

    def __init__(self, call: LiveCall) -> None:
        self.call = call
        self.phrases = phrases_for(str(call.extras.get("start_language") or call.language))
        self.history = History(call)
        self.playout = Playout()
        self.reply: Reply | None = None
        self.over = False
        self._actions: list[Action] = []
        self._generation = 0
        self._clause_id = 0
        # the caller
        self._words = ""
        self._words_at: int | None = None
        self._words_from = 0
        self._loud = False
        self._loud_since = 0
        self._loud_ended = 0
        self._quiet_since = 0  # nobody has said anything since
        self._answer_later: TurnEnded | None = None
        self._unclear = 0  # turns in a row that could not be understood
        self._digits = ""
        self._digits_at = 0
        # the opening
        self._opening_at: int | None = None
        self._opening_cap = 0
        # endings
        self._nudged = False
        self._patience_ms = 0
        self._greeting_until: int | None = None  # a voicemail's, after which the message is left
        self._voice_failures = 0
        self._overtime = False

    # --- the way in -------------------------------------------------------------------------------

    def handle(self, event: Event) -> list[Action]:
        """Take one event; return the actions it calls for, in order."""
        if self.over:
            return []
        self._actions = []
        t = event.t
        match event:
            case Opened():
                self._open(t)
            case Voiced():
                self._hear_voice(t, event.loud)
            case Words():
                self._hear_words(t, event.text)
            case TurnEnded():
                self._end_turn(event)
            case ModelText():
                self._take_text(t, event)
            case ModelDone():
                self._finish_writing(t, event)
            case ModelFailed():
                self._fail_writing(t, event)
            case ClauseReady():
                if (
                    self.reply
                    and self.reply.audio_at is None
                    and self.playout.find(event.clause_id)
                ):
                    self.reply.audio_at = t
            case ClauseAudio():
                self._take_audio(t, event)
            case ClauseSent():
                self.playout.sent(event.clause_id)
            case ClauseFailed():
                self._fail_clause(t, event)
            case Heard():
                self.playout.heard(t, event.clause_id)
            case Digit():
                self._press(t, event.digit)
            case MachineVerdict():
                self._judge(t, event.verdict)
            case EndCommand():
                self._hang_up(t, event.reason)
            case CallerGone():
                self._cut_reply(t)
                self.over = True
        if not self.over:
            self._look_at_clock(t)
            self._settle(t)
        actions, self._actions = self._actions, []
        return actions

    @property
    def wake_at(self) -> int | None:
        """When a ``Tick`` is due at the latest; None while only events matter."""
        if self.over:
            return None
        deadlines = [
            self.call.max_duration_s * 1000 + (LAST_WORDS_MS if self._overtime else 0),
            self._opening_due(),
            self.playout.overdue_at(),
            self._lost_end_at(),
            self._silence_at(),
            self._reply_deadline(),
            self._digits_at + KEYPAD_PAUSE_MS if self._digits else None,
            self._message_at(),
        ]
        return min(deadline for deadline in deadlines if deadline is not None)

    def _do(self, action: Action) -> None:
        self._actions.append(action)

    def _note(self, kind: str, **data: object) -> None:
        self._do(Note(kind, data))

    # --- the opening ------------------------------------------------------------------------------

    def _open(self, t: int) -> None:
        self._quiet_since = t
        if self.history.turns:  # another process lost this call; go on with it
            self._say(t, "fallback", self.phrases.lost_you)
            return
        if not self.call.speaks_first:
            return
        if self.call.direction == "outbound":
            self._opening_at = t + BEAT_MS
            self._opening_cap = t + LONGEST_BEAT_MS
        # Written while the line is given its beat, so that the beat costs nothing.
        if self.call.opening:
            self._say(t, "opening", self.call.opening, hold=self._opening_at is not None)
        else:
            self._ask(t, "opening", hold=self._opening_at is not None)

    def _opening_due(self) -> int | None:
        return self._opening_at if self.reply and self.reply.hold else None

    def _release_opening(self, t: int) -> None:
        reply = self.reply
        if reply is None or not reply.hold:
            return
        reply.hold = False
        self._opening_at = None
        for text in reply.held:
            self._speak(t, text)
        reply.held = []

    # --- the caller -------------------------------------------------------------------------------

    def _hear_voice(self, t: int, loud: bool) -> None:
        if loud and not self._loud:
            self._loud_since = t
        if self._loud and not loud:
            self._loud_ended = t
        self._loud = loud
        if self._opening_due() is not None:
            # The person is saying hello: wait for its end, but not for ever.
            self._opening_at = self._opening_cap if loud else min(t + BEAT_MS, self._opening_cap)

    def _hear_words(self, t: int, text: str) -> None:
        if not text.strip() or self._greeting_until is not None:
            return
        if not self._words:
            self._words_from = t
        self._words, self._words_at = text, t
        self._caller_is_there(t)
        reply = self.reply
        if reply is None or reply.hold or not reply.interruptible:
            return
        if self._begun():
            if self._interrupts(text):
                self._interrupt(t)
        elif not self._is_backchannel(text):
            # The caller goes on: what the model is writing answers half a question.
            self._cut_reply(t)

    def _end_turn(self, event: TurnEnded) -> None:
        t, text = event.t, event.text.strip()
        spoken_from = self._words_from if self._words else self._loud_since
        self._words, self._words_at = "", None
        self._caller_is_there(t)
        if self._greeting_until is not None:  # a machine's greeting
            self._store_caller(text, spoken_from, event.speech_ended)
            return
        if not text:
            return
        if event.confidence < float(self.call.extras.get("stt_confidence") or UNSURE):
            self._unclear += 1
            if self._unclear == 1 and self.reply is None and self.call.fallback_message:
                self._note("unintelligible", confidence=round(event.confidence, 2))
                self._say(t, "fallback", self.call.fallback_message)
                return
        else:
            self._unclear = 0
        reply = self.reply
        if reply is not None:
            if reply.hold and len(words_of(text)) <= HELLO_WORDS:
                self._store_caller(text, spoken_from, event.speech_ended)
                self._opening_at = min(max(t, event.speech_ended + BEAT_MS), self._opening_cap)
                return
            if not reply.interruptible:
                self._store_caller(text, spoken_from, event.speech_ended)
                return
            if self._is_backchannel(text):
                left = self.playout.play_end - t
                if (
                    self._begun()
                    and reply.asks
                    and not reply.ends
                    and left <= ASKED_AND_ALMOST_DONE_MS
                ):
                    self._answer_later = event
                else:
                    self._note("backchannel")
                return
            if self._begun():
                self._interrupt(t)
            else:
                self._cut_reply(t)
        self._answer(event, spoken_from)

    def _answer(self, event: TurnEnded, spoken_from: int) -> None:
        self._store_caller(event.text.strip(), spoken_from, event.speech_ended)
        self._ask(event.t, "answer", speech_ended=event.speech_ended)

    def _store_caller(self, text: str, started: int, ended: int) -> None:
        if text:
            ended = max(0, ended)
            self._store(
                SpokenTurn(
                    self.history.next_sequence(), "caller", text, max(0, min(started, ended)), ended
                )
            )

    def _store(self, turn: SpokenTurn) -> None:
        self.history.add(turn)
        self._do(StoreTurn(turn))

    def _caller_is_there(self, t: int) -> None:
        self._quiet_since = t
        self._nudged = False
        self._patience_ms = 0

    def _is_backchannel(self, text: str) -> bool:
        entries = self.phrases.backchannels
        if self.reply and self.reply.ends:
            entries |= self.phrases.farewells
        return made_of(text, entries)

    def _interrupts(self, text: str) -> bool:
        """Whether these first words of the caller are meant to stop the agent.

        ``interruption_sensitivity``: 0 never; below 25 three words, below 75 two, else one;
        backchannels never, and a word such as "stop" or "no" at once.
        """
        sensitivity = self.call.interruption_sensitivity
        if sensitivity <= 0 or self._is_backchannel(text):
            return False
        if begins_with(text, self.phrases.interruptions):
            return True
        least = 3 if sensitivity < 25 else 2 if sensitivity < 75 else 1
        return len(words_of(text)) >= least

    def _lost_end_at(self) -> int | None:
        if self._words_at is None:
            return None
        return max(self._words_at + LOST_END_MS, self._noise_until())

    def _press(self, t: int, digit: str) -> None:
        if not self.call.dtmf_enabled or digit not in set("0123456789*#ABCD"):
            return
        self._caller_is_there(t)
        if digit == "#":
            self._enter_digits(t)
        else:
            self._digits += digit
            self._digits_at = t

    def _enter_digits(self, t: int) -> None:
        digits, self._digits = self._digits, ""
        if not digits or self._greeting_until is not None:
            return
        if self.reply is not None:
            if not self.reply.interruptible:
                return
            self._interrupt(t)
        self._answer(TurnEnded(t, f"[Caller pressed on keypad: {digits}]", t), t)

    # --- the agent --------------------------------------------------------------------------------

    def _begun(self) -> bool:
        """Whether the caller has heard anything of the reply."""
        return self.reply is not None and self.reply.frame_at is not None

    def _start(
        self, t: int, kind: Kind, *, speech_ended: int | None = None, hold: bool = False
    ) -> Reply:
        self._generation += 1
        self.reply = Reply(
            self._generation, kind, t, speech_ended=speech_ended, hold=hold,
            endpoint_at=t if speech_ended is not None else None,
        )  # fmt: skip
        return self.reply

    def _ask(
        self, t: int, kind: Kind, *, speech_ended: int | None = None, hold: bool = False
    ) -> None:
        reply = self._start(t, kind, speech_ended=speech_ended, hold=hold)
        self._do(AskModel(reply.generation, self.history.messages()))

    def _say(self, t: int, kind: Kind, text: str, *, ends: str = "", hold: bool = False,
             interruptible: bool = True) -> None:  # fmt: skip
        """Speak a text that needs no model, word for word."""
        reply = self._start(t, kind, hold=hold)
        reply.ends, reply.interruptible, reply.done = ends, interruptible, True
        for piece in reply.splitter.feed(text) + reply.splitter.finish():
            if isinstance(piece, Clause):
                self._take_clause(t, reply, piece.text)

    def _take_clause(self, t: int, reply: Reply, text: str) -> None:
        reply.written.append(text)
        reply.clause_at = reply.clause_at or t
        if reply.hold:
            reply.held.append(text)
        else:
            self._speak(t, text)

    def _speak(self, t: int, text: str) -> None:
        self._clause_id += 1
        self.playout.add(t, self._clause_id, text)
        self._do(Speak(self._clause_id, text))

    def _take_text(self, t: int, event: ModelText) -> None:
        reply = self.reply
        if reply is None or reply.generation != event.generation or reply.done:
            return
        reply.model_at = t if reply.model_at is None else reply.model_at
        self._take_pieces(t, reply, reply.splitter.feed(event.text))

    def _take_pieces(self, t: int, reply: Reply, pieces: list[Clause | Tag]) -> None:
        for piece in pieces:
            if isinstance(piece, Clause):
                self._take_clause(t, reply, piece.text)
            elif piece.name == "END_CALL" and self.call.may_end_call:
                reply.ends = reply.ends or "completed"
            elif piece.name == "VOICEMAIL" and self.call.direction == "outbound":
                reply.ends = "voicemail_detected"
                self._note("voicemail_detected", method="llm_transcript")
            elif piece.name == "WAIT":
                self._patience_ms = 1000 * int(self.call.extras.get("wait_tag_s", 30))
            else:
                self._note("tag_ignored", tag=piece.name)

    def _finish_writing(self, t: int, event: ModelDone) -> None:
        reply = self.reply
        if reply is None or reply.generation != event.generation or reply.done:
            return
        self._take_pieces(t, reply, reply.splitter.finish())
        reply.done = True
        if not reply.written and not reply.ends and not self._patience_ms:
            self._note("empty_reply")
            self._say_fallback(t)

    def _fail_writing(self, t: int, event: ModelFailed) -> None:
        """Try once more if nothing was spoken; else what was spoken stands, and is never
        begun again.
        """
        reply = self.reply
        if reply is None or reply.generation != event.generation or reply.done:
            return
        self._note("model_failed", error=event.error, spoken=bool(reply.written), tries=reply.tries)
        if reply.written:
            reply.done = True
        elif reply.tries == 1:
            self._generation += 1
            reply.generation, reply.tries, reply.asked_at = self._generation, 2, t
            reply.splitter = type(reply.splitter)()
            self._do(CancelModel())
            self._do(AskModel(reply.generation, self.history.messages()))
        else:
            self._do(CancelModel())
            self._say_fallback(t)

    def _say_fallback(self, t: int) -> None:
        hold = bool(self.reply and self.reply.hold)
        self._say(t, "fallback", self.call.fallback_message or self.phrases.trouble, hold=hold)

    def _take_audio(self, t: int, event: ClauseAudio) -> None:
        if self.playout.find(event.clause_id) is None:
            return
        self.playout.audio(t, event.clause_id, event.ms)
        if self.reply and self.reply.frame_at is None:
            self.reply.frame_at = t
            self._voice_failures = 0

    def _fail_clause(self, t: int, event: ClauseFailed) -> None:
        if self.playout.find(event.clause_id) is None:
            return
        self.playout.drop(event.clause_id)
        self._voice_failures += 1
        self._note("voice_failed", error=event.error)
        if self._voice_failures >= MOST_VOICE_FAILURES:
            self._hang_up(t, "failed")

    def _reply_deadline(self) -> int | None:
        """When a reply that makes no progress is given up."""
        reply = self.reply
        if reply is None or reply.hold:
            return None
        if not reply.done and not reply.written:
            return reply.asked_at + MODEL_DEADLINE_MS
        waiting = [clause.asked_at for clause in self.playout.clauses if not clause.complete]
        if waiting and not self.playout.audible():
            return max(waiting[0], self.playout.play_end) + VOICE_DEADLINE_MS
        if not reply.done and self.playout.all_heard():
            return max(reply.asked_at, self.playout.play_end) + MODEL_DEADLINE_MS
        return None

    def _give_up(self, t: int) -> None:
        reply = self.reply
        if reply is None:
            return
        stuck = next((clause for clause in self.playout.clauses if not clause.complete), None)
        if stuck is not None:
            self._fail_clause(t, ClauseFailed(t, stuck.clause_id, "no audio in time"))
        elif not reply.done:
            self._do(CancelModel())
            self._fail_writing(t, ModelFailed(t, reply.generation, "no text in time"))

    def _interrupt(self, t: int) -> None:
        """The caller takes the turn: silence at once, and only what was heard remains."""
        if self.reply is not None:
            self._note("interrupted", kind=self.reply.kind)
        self._cut_reply(t)

    def _cut_reply(self, t: int) -> None:
        reply = self.reply
        if reply is None:
            return
        self.reply = None
        self._answer_later = None
        if not reply.done:
            self._do(CancelModel())
        started = self._first_start(reply, t)
        had_clauses = bool(self.playout.clauses)
        heard = self.playout.cut(t)
        if had_clauses:
            self._do(Clear())
        if heard:
            self._commit(reply, heard, started, t, interrupted=heard != reply.full_text)
        self._quiet_since = t

    def _settle(self, t: int) -> None:
        """Close the reply if it has been written and heard in full."""
        reply = self.reply
        if reply is None or not reply.done or reply.hold or not self.playout.all_heard():
            return
        self.reply = None
        started = self._first_start(reply, t)
        heard = self.playout.cut(t)
        if heard:
            self._commit(reply, heard, started, t, interrupted=False)
        self._quiet_since = t
        later, self._answer_later = self._answer_later, None
        if reply.ends:
            self._hang_up(t, reply.ends)
        elif later is not None:
            self._answer(TurnEnded(t, later.text, later.speech_ended), later.speech_ended)

    def _first_start(self, reply: Reply, t: int) -> int:
        starts = [clause.starts for clause in self.playout.clauses if clause.starts is not None]
        return min(starts, default=reply.frame_at if reply.frame_at is not None else t)

    def _commit(self, reply: Reply, heard: str, started: int, t: int, *, interrupted: bool) -> None:
        timings = reply.timings()
        self._store(
            SpokenTurn(
                self.history.next_sequence(),
                "agent",
                heard,
                started,
                max(started, t),
                full_text=reply.full_text if interrupted else "",
                interrupted=interrupted,
                latency_ms=timings.get("first_frame_ms"),
                timings=timings,
            )
        )

    # --- the clock and the endings ----------------------------------------------------------------

    def _look_at_clock(self, t: int) -> None:
        if (due := self._opening_due()) is not None and t >= due:
            self._release_opening(t)
        self.playout.take_overdue(t)
        if (due := self._lost_end_at()) is not None and t >= due:
            self._end_turn(TurnEnded(t, self._words, self._words_at or t))
        if self._digits and t >= self._digits_at + KEYPAD_PAUSE_MS:
            self._enter_digits(t)
        if (due := self._message_at()) is not None and t >= due:
            self._leave_message(t)
        if (due := self._reply_deadline()) is not None and t >= due:
            self._give_up(t)
        if self.over:
            return
        self._mind_duration(t)
        if (due := self._silence_at()) is not None and t >= due:
            self._break_silence(t)

    def _silence_at(self) -> int | None:
        """Half of the allowed silence before asking, half before leaving."""
        busy = self.reply is not None or self._words_at is not None or self._digits
        if busy or self._greeting_until is not None:
            return None
        half = max(self.call.silence_hangup_s * 500, 1_000)
        return max(self._quiet_since + half + self._patience_ms, self._noise_until())

    def _noise_until(self) -> int:
        """A voice may still become words; a noise that goes on and on is none."""
        return self._loud_since + LONGEST_NOISE_MS if self._loud else 0

    def _break_silence(self, t: int) -> None:
        if self._nudged:
            self._say(t, "farewell", self.phrases.silent_goodbye, ends="silence_timeout")
        else:
            self._nudged = True
            self._patience_ms = 0
            self._say(t, "nudge", self.phrases.still_there)

    def _mind_duration(self, t: int) -> None:
        longest = self.call.max_duration_s * 1000
        if t >= longest + LAST_WORDS_MS:
            self._hang_up(t, "max_duration_reached")
        elif t >= longest and not self._overtime:
            self._overtime = True
            self._cut_reply(t)
            self._say(
                t,
                "farewell",
                self.phrases.time_goodbye,
                ends="max_duration_reached",
                interruptible=False,
            )

    def _judge(self, t: int, verdict: str) -> None:
        """The carrier heard a machine: hang up, leave the message after its greeting, or go on."""
        self._note("amd", verdict=verdict)
        if not verdict.startswith(("machine", "fax")) or self.call.voicemail_action == "ignore":
            return
        self._note("voicemail_detected", method="twilio_amd")
        leaves = self.call.voicemail_action == "leave_message" and self.call.voicemail_message
        if verdict == "fax" or not leaves:
            self._hang_up(t, "voicemail_detected")
        elif self._greeting_until is None and not (self.reply and self.reply.kind == "voicemail"):
            self._cut_reply(t)
            over = verdict.startswith("machine_end")
            self._greeting_until = t if over else t + LONGEST_GREETING_MS
            self._quiet_since = t

    def _message_at(self) -> int | None:
        if self._greeting_until is None:
            return None
        if self._loud:
            return self._greeting_until
        return min(
            self._greeting_until, max(self._quiet_since, self._loud_ended) + GREETING_OVER_MS
        )

    def _leave_message(self, t: int) -> None:
        self._greeting_until = None
        self._say(
            t,
            "voicemail",
            self.call.voicemail_message,
            ends="voicemail_detected",
            interruptible=False,
        )

    def _hang_up(self, t: int, reason: str) -> None:
        self._cut_reply(t)
        self._do(HangUp(reason))
        self.over = True
