"""The agent's side of the conversation machine: one reply at a time, from the model to the ear."""

from collections.abc import Callable
from dataclasses import replace

from calls.live import LiveCall, SpokenTurn
from media.ahead import Ahead, ModelEvent
from media.clauses import Clause, ClauseSplitter, Tag
from media.confirming import Confirmation
from media.continuing import Continuation, breaks_off, may_go_on, request
from media.courtesies import Phrases
from media.echo import LATE_MS
from media.events import (
    Action,
    AskModel,
    CancelModel,
    ClauseAudio,
    ClauseFailed,
    ClauseReady,
    ClauseSent,
    Clear,
    Heard,
    ModelDone,
    ModelFailed,
    ModelText,
    Note,
    Pause,
    Resume,
    StoreTurn,
    ToolsDone,
    ToolsWanted,
)
from media.history import History
from media.outgoing import Outgoing
from media.reply import Kind, Reply
from media.tags import Tags
from media.tool_rounds import MOST_ROUNDS, ToolRounds

MODEL_DEADLINE_MS = 12_000
HALF_SENTENCE_MS = 2_500  # silence in its middle, before the second model is to go on
VOICE_DEADLINE_MS = 10_000
MOST_VOICE_FAILURES = 2
MOST_TRIES = 2


class Speaking:
    """Holds the reply in flight. ``do`` takes the actions; the rules of when to speak are not here.

    What was spoken is never begun again, and only what was heard enters the history.
    """

    def __init__(
        self, call: LiveCall, phrases: Phrases, history: History, do: Callable[[Action], None]
    ) -> None:
        self.reply: Reply | None = None
        language = str(call.extras.get("start_language") or call.language)
        self.confirmation = Confirmation(language)
        self._outgoing = Outgoing(do)
        self.playout = self._outgoing.playout
        self.tags = Tags(call, self._outgoing, do)
        self.ahead = Ahead(do)
        self.voice_failures = 0  # clauses in a row that could not be said
        self._tools = ToolRounds(call, phrases, history, self.confirmation, self._outgoing, do)
        self._call = call
        self._phrases = phrases
        self._history = history
        self._do = do
        self._generation = 0

    @property
    def begun(self) -> bool:
        """Whether audio of the reply has gone out."""
        return self.reply is not None and self.reply.frame_at is not None

    def saying(self, t: int) -> tuple[int, str]:
        """When the agent began to say what can be heard of it now, and what; (0, "") if nothing."""
        if self.reply is not None and (began := self.playout.started_at()) is not None:
            return began, self.reply.full_text
        last = self._history.turns[-1] if self._history.turns else None
        if last is None or last.role != "agent" or t - last.ended_ms > LATE_MS:
            return 0, ""
        return last.started_ms, last.text

    @property
    def mute(self) -> bool:
        """Whether the voice is gone for good."""
        return self.voice_failures >= MOST_VOICE_FAILURES

    # --- beginning a reply ------------------------------------------------------------------------

    def ask(
        self,
        t: int,
        kind: Kind,
        *,
        speech_ended: int | None = None,
        hold: bool = False,
        may_be_silent: bool = False,
        note: str = "",
        first: str = "",
    ) -> None:
        """Have the model write a reply to the history; with ``hold``, wait for ``release``.

        ``note`` is the engine's own word to the model about this reply; ``first`` is said before
        what the model writes.
        """
        messages = self._history.messages(note=note)
        guess = self.ahead.adopt(t, messages)
        reply = self._start(t, kind, hold=hold)
        reply.may_be_silent, reply.note = may_be_silent, note
        self._outgoing.prepared = guess.prepared if guess is not None else ""
        if speech_ended is not None:
            reply.speech_ended, reply.endpoint_at = speech_ended, t
        if first:
            self._outgoing.add(t, reply, first)
            reply.said_first = reply.written_before = 1
        if guess is None:
            self._do(AskModel(reply.generation, messages))
            return
        reply.generation, reply.asked_at = guess.generation, guess.asked_at
        for event in guess.events:
            self.take_model(replace(event, t=t))

    def guess(self, t: int, heard: str) -> None:
        """Have the model write the reply that these words would get, if the turn ends with them."""
        if self.reply is None and self.ahead.may_begin:
            self._generation += 1
            self.ahead.begin(t, self._generation, heard, self._history.messages(heard=heard))

    def say(
        self,
        t: int,
        kind: Kind,
        text: str,
        *,
        ends: str = "",
        hold: bool = False,
        interruptible: bool = True,
    ) -> None:
        """Speak a text that needs no model, word for word; with ``ends``, hang up after it."""
        reply = self._start(t, kind, hold=hold)
        reply.ends, reply.interruptible, reply.done = ends, interruptible, True
        self._outgoing.add_text(t, reply, text)

    def release(self, t: int) -> None:
        """Speak what was held back."""
        if self.reply is not None and self.reply.hold:
            self._outgoing.release(t, self.reply)

    def _start(self, t: int, kind: Kind, *, hold: bool) -> Reply:
        self.ahead.drop("another reply")
        self._generation += 1
        self.reply = Reply(self._generation, kind, t, hold=hold)
        self.reply.turns_before = len(self._history.turns)
        return self.reply

    # --- writing ----------------------------------------------------------------------------------

    def _written_by(self, generation: int) -> Reply | None:
        reply = self.reply
        return reply if reply and reply.generation == generation and not reply.done else None

    def take_model(self, event: ModelEvent) -> None:
        """What the model wrote, or wants; of a guess nothing is taken before it is used."""
        if self.ahead.keeps(event):
            return
        match event:
            case ModelText():
                self._take_text(event)
            case ModelDone():
                self._finish_text(event)
            case ModelFailed():
                self._fail_text(event)
            case ToolsWanted():
                self._want_tools(event)

    def _take_text(self, event: ModelText) -> None:
        if (reply := self._written_by(event.generation)) is not None:
            reply.model_at = event.t if reply.model_at is None else reply.model_at
            reply.text_at = event.t
            self._take_pieces(event.t, reply, reply.splitter.feed(event.text))

    def _finish_text(self, event: ModelDone) -> None:
        if (reply := self._written_by(event.generation)) is None:
            return
        self._take_pieces(event.t, reply, reply.splitter.finish())
        self._end_continuation(reply)
        reply.done = True
        if reply.broken_at == len(reply.written) and breaks_off(reply):
            self._excuse(event.t, reply)
        if reply.goes_to is not None and not reply.own_words:
            self._outgoing.add(event.t, reply, self._phrases.putting_through)
        if reply.is_empty:
            self._do(Note("empty_reply"))
            self._say_fallback(event.t, reply)

    def _fail_text(self, event: ModelFailed) -> None:
        """Have the second model write, or go on; else what was written stands, and an apology
        behind half a sentence.
        """
        if (reply := self._written_by(event.generation)) is None:
            return
        data = {"error": event.error, "spoken": bool(reply.own_words), "tries": reply.tries}
        self._do(Note("model_failed", data))
        self._do(CancelModel())
        if reply.tries < MOST_TRIES and may_go_on(reply, event.error):
            self._ask_second(event.t, reply)
        elif not reply.own_words:
            self._say_fallback(event.t, reply)
        else:
            reply.done = True
            if breaks_off(reply) or not reply.said_since:
                self._excuse(event.t, reply)

    def _ask_second(self, t: int, reply: Reply) -> None:
        self._generation += 1
        reply.generation, reply.asked_at = self._generation, t
        reply.tries += 1
        reply.splitter = Continuation(reply.written, reply.done_tags)
        before = " ".join(reply.written[: reply.written_before])
        if reply.said_since:
            reply.broken_at = len(reply.written)
            said = " ".join(reply.said_since)
            messages = self._history.messages(before, reply.note, cut_off=(said, request(reply)))
        else:
            reply.goes_to, reply.not_put_through = None, ""
            messages = self._history.messages(before, reply.note)
        may_use_tools = reply.rounds < MOST_ROUNDS
        self._do(AskModel(reply.generation, messages, may_use_tools, second=True))

    def _end_continuation(self, reply: Reply, *, acts: bool = False) -> None:
        """Note what became of a reply that the second model was to go on with."""
        if reply.broken_at is not None and isinstance(reply.splitter, Continuation):
            went_on = acts or len(reply.written) > reply.broken_at
            data = {"went_on": went_on, "words_left_out": reply.splitter.left_out}
            self._do(Note("model_continued", data))

    def _excuse(self, t: int, reply: Reply) -> None:
        """It is not begun again; whoever heard half of it learns that there is no more."""
        if not (reply.takes_leave or reply.may_be_silent):
            self._outgoing.add(t, reply, self._call.fallback_message or self._phrases.trouble)

    # --- tools ------------------------------------------------------------------------------------

    def _want_tools(self, event: ToolsWanted) -> None:
        if (reply := self._written_by(event.generation)) is None:
            return
        self._take_pieces(event.t, reply, reply.splitter.finish())
        self._end_continuation(reply, acts=True)
        reply.broken_at = None
        reply.splitter = Continuation((), reply.done_tags) if reply.done_tags else ClauseSplitter()
        self._tools.begin(event, reply)

    def take_tools(self, event: ToolsDone) -> None:
        """Remember what was done, also for a reply that is over by now; then go on writing."""
        self._history.add_tools(event.results)
        reply = self._written_by(event.generation)
        if reply is None or reply.tools_due is None:
            return
        reply.tools_due, reply.filler = None, ""
        reply.written_before = len(reply.written)
        self._generation += 1
        reply.generation, reply.asked_at = self._generation, event.t
        messages = self._history.messages(reply.full_text, reply.note)
        may_use_tools, second = reply.rounds < MOST_ROUNDS, reply.tries > 1
        self._do(AskModel(reply.generation, messages, may_use_tools, second=second))

    def filler_due(self) -> int | None:
        """When the caller is told that a tool is taking its time."""
        return self._tools.filler_due(self.reply)

    def fill(self, t: int) -> None:
        self._tools.fill(t, self.reply)

    def _say_fallback(self, t: int, instead_of: Reply) -> None:
        if instead_of.may_be_silent:  # a machine needs no excuse, and says its part again
            instead_of.done, instead_of.tools_due = True, None
            return
        text = self._call.fallback_message or self._phrases.trouble
        if instead_of.said_first:
            self._outgoing.add(t, instead_of, text)
            instead_of.done, instead_of.tools_due = True, None
        else:
            self.say(t, "fallback", text, hold=instead_of.hold)

    def _take_pieces(self, t: int, reply: Reply, pieces: list[Clause | Tag]) -> None:
        for piece in pieces:
            if isinstance(piece, Clause):
                self._outgoing.add(t, reply, piece.text)
            else:
                self.tags.take(t, reply, piece)

    # --- speaking ---------------------------------------------------------------------------------

    def take_ready(self, event: ClauseReady) -> None:
        if self.reply and self.reply.audio_at is None and self.playout.find(event.clause_id):
            self.reply.audio_at = event.t

    def take_audio(self, event: ClauseAudio) -> None:
        if self.playout.find(event.clause_id) is None:
            return
        self.playout.audio(event.t, event.clause_id, event.ms)
        self.voice_failures = 0
        if self.reply and self.reply.frame_at is None:
            self.reply.frame_at = event.t

    def take_sent(self, event: ClauseSent) -> None:
        self.playout.sent(event.clause_id)

    def take_mark(self, event: Heard) -> None:
        self.playout.heard(event.t, event.clause_id)

    def fail_clause(self, event: ClauseFailed) -> None:
        """The clause is skipped, or ends where its audio does; the next may fare better."""
        clause = self.playout.find(event.clause_id)
        if clause is None:
            return
        self.voice_failures += 1
        self._do(Note("voice_failed", {"error": event.error, "said_ms": clause.audio_ms}))
        self.playout.fail(event.clause_id)

    # --- the end of a reply -----------------------------------------------------------------------

    def cut(self, t: int) -> None:
        """Silence at once: the reply is over, and of it only what was heard remains."""
        self.ahead.drop("cut")
        reply = self.reply
        if reply is None:
            return
        self.reply = None
        if not reply.done:
            self._do(CancelModel())
        if self.playout.clauses:
            self._do(Clear())
        self._commit(reply, t, cut=True)

    def pause(self, t: int) -> None:
        """Silence at once; ``resume`` goes on, ``cut`` ends it."""
        self.playout.pause(t)
        self._do(Pause())

    def resume(self, t: int) -> None:
        if self.playout.paused_at is not None:
            self.playout.resume(t)
            self._do(Resume())

    def settle(self, t: int) -> Reply | None:
        """Close the reply once it was written and heard in full; return it then."""
        reply = self.reply
        if reply is None or not reply.done or reply.hold or not self.playout.all_heard():
            return None
        self.resume(t)  # the last mark was on its way when the line was paused
        reply.played_until = min(t, self.playout.play_end)
        self.reply = None
        if not reply.written and reply.may_be_silent:
            self._history.add_silence(reply.turns_before)
        self._commit(reply, t, cut=False)
        return reply

    def _commit(self, reply: Reply, t: int, *, cut: bool) -> None:
        started = self.playout.started_at()
        heard = self.playout.cut(t)
        if not heard or started is None:
            return
        whole = " ".join(heard.split()) == " ".join(reply.full_text.split())
        timings = reply.timings(heard_at=t)
        turn = SpokenTurn(
            self._history.next_sequence(),
            "agent",
            heard,
            started,
            max(started, t),
            full_text="" if whole else reply.full_text,
            interrupted=cut and not whole,
            latency_ms=timings.get("first_frame_ms"),
            timings=timings,
        )
        self._history.add(turn)
        self._do(StoreTurn(turn))

    def deadline(self) -> int | None:
        """When a reply that makes no progress is given up."""
        reply = self.reply
        if reply is None:
            return None
        waiting = self.playout.waiting_since()
        if waiting is not None:
            return max(waiting, self.playout.play_end) + VOICE_DEADLINE_MS
        if reply.tools_due is not None:
            return reply.tools_due
        if not reply.done and breaks_off(reply) and reply.tries < MOST_TRIES:
            return max(reply.text_at, self.playout.play_end) + HALF_SENTENCE_MS
        if not reply.done:
            return max(reply.asked_at, self.playout.play_end) + MODEL_DEADLINE_MS
        return None

    def give_up(self, t: int) -> None:
        stuck = self.playout.first_waiting()
        if stuck is not None:
            self.fail_clause(ClauseFailed(t, stuck, "no audio in time"))
        elif self.reply is not None and self.reply.tools_due is not None:
            self._say_fallback(t, self.reply)
        elif self.reply is not None:
            self._fail_text(ModelFailed(t, self.reply.generation, "no text in time"))
