"""One live call: the conversation machine, its providers and the line, and every task between them.

Frames come in through synchronous methods and never wait. The machine's actions are carried out at
once; what takes time runs in one of the session's few tasks, all of which end with ``aclose``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from django.conf import settings

from calls import live
from calls.live import LiveCall
from calls.openings import Opening
from media import metrics
from media.asking import ask_model, use_tools
from media.audio import VoiceActivity, VoiceRise
from media.beep import BeepDetector
from media.call_log import CallLog
from media.conversation import Conversation
from media.events import (
    Action,
    AskModel,
    Beep,
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
    FarewellByCarrier,
    Forget,
    FoundVoicemail,
    HandOver,
    HangUp,
    Heard,
    HearingBack,
    HearingLost,
    MachineVerdict,
    ModelDone,
    ModelText,
    Note,
    Opened,
    Pause,
    Prepare,
    Press,
    RefuseContact,
    Resume,
    Speak,
    StoreTurn,
    Tick,
    ToolsDone,
    TurnEnded,
    TurnMayEnd,
    TurnResumed,
    UseTools,
    Voiced,
    VoiceFell,
    VoiceRose,
    Words,
)
from media.flight import FlightRecorder
from media.hearing import Hearing, Told
from media.journal import Journal
from media.parting import TIMEOUT_S as PARTING_TIMEOUT_S
from media.parting import hang_up, put_through
from media.recorder import Recorder
from media.speaker import Speaker
from media.transcriber import Transcriber
from media.transport import Audio, Incoming, Marked, Pressed, Stopped, Transport
from media.voice import Voice
from media.warming import keep_model_connected
from media.writer import Writer

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 5.0
LONGEST_ENDPOINT_MS = 5_000
SHORTEST_WAIT_S = 0.005


class Session:
    """Owns a call's audio from the first frame to the last write.

    ``send`` puts one encoded message on the line. ``done`` is set when the conversation is over
    and the socket may be closed. Use ``open`` once, the ``take`` methods while the line is up,
    and ``aclose`` at the end, always.
    """

    def __init__(
        self,
        call: LiveCall,
        transport: Transport,
        send: Callable[[str | bytes], Awaitable[None]],
        *,
        opening: Opening | None = None,
    ) -> None:
        """``opening``: what was prepared while the call rang."""
        self.call = call
        self._opening = opening
        self.done = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # One clock for the whole call, however many sockets it has had.
        self._begins_ms = int(call.extras.get("elapsed_ms") or 0)
        self._started = self._loop.time() - self._begins_ms / 1000
        self._conversation = Conversation(call)
        self._activity = VoiceActivity()
        self._rise = VoiceRise()
        self._beeps = BeepDetector()
        self._voice_ended = 0  # ms; when the caller's last loud frame was heard
        self._journal = Journal()
        self._log = CallLog(call, self._journal)
        self._flight = FlightRecorder(call, self._journal.put)
        file = f"{call.call_id}.wav"
        self._recorder = (
            Recorder(
                settings.RECORDINGS_DIR / file,
                self._journal.put,
                begins_ms=self._begins_ms,
                on_file=partial(live.note_recording, call.pk, call.generation, file),
            )
            if call.record
            else None
        )
        self._transcriber = Transcriber(
            Hearing.of(call),
            Told(
                words=lambda text: self._step(Words(self.now(), text)),
                turn_end=self._end_turn,
                may_end=lambda text: self._step(TurnMayEnd(self.now(), text)),
                resumed=lambda text: self._step(TurnResumed(self.now(), text)),
            ),
            on_trouble=self._lose_hearing,
            on_back=lambda: self._step(HearingBack(self.now())),
        )
        self._voice = Voice(
            call.voice,
            call.speaking_rate,
            opening.audio if opening else None,
            on_lost=lambda error: self._note(Note("voice_lost", {"error": error})),
        )
        self._writer = Writer(
            transport,
            send,
            self.now,
            on_audio=lambda clause_id, ms: self._step(ClauseAudio(self.now(), clause_id, ms)),
            on_sent=lambda clause_id: self._step(ClauseSent(self.now(), clause_id)),
            recorder=self._recorder,
        )
        self._speaker = Speaker(
            self._voice,
            self._writer,
            hold=self._hold,
            on_ready=lambda clause_id: self._step(ClauseReady(self.now(), clause_id)),
            on_failed=lambda clause_id, error: self._step(
                ClauseFailed(self.now(), clause_id, error)
            ),
        )
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reply_task: asyncio.Task[None] | None = None

    def now(self) -> int:
        """Ms since the call's audio began, in this process or an earlier one."""
        return round((self._loop.time() - self._started) * 1000)

    # --- the life of a session --------------------------------------------------------------------

    def open(self) -> None:
        """Start listening and let the conversation begin."""
        metrics.LIVE_CALLS.inc()
        self._hold(self._transcriber.run())
        self._hold(self._writer.run())
        self._speaker.start()
        if (opening := self._opening) is not None:
            self._note(Note("opening_ready", {"audio_ms": opening.audio_ms}))
            if opening.fixed:  # nobody asks the model for it
                self._opening = None
        if self.call.opening:  # else the model is asked at once
            self._hold(keep_model_connected())
        self._step(Opened(self.now()))
        if verdict := self.call.extras.get("amd_result"):  # it came before this socket did
            self._step(MachineVerdict(self.now(), str(verdict)))

    async def aclose(self) -> None:
        """End every task, write what is left to write. The line may be gone already."""
        self._step(CallerGone(self.now()))
        self.done.set()
        if self._alarm is not None:
            self._alarm.cancel()
        # A hang-up, and what a tool has begun to do in the world, are not left halfway.
        to_finish = [task for task in self._tasks if task.get_name() in {"hang up", "tools"}]
        if to_finish:
            await asyncio.wait(to_finish, timeout=PARTING_TIMEOUT_S)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
        await self._voice.aclose()
        if self._recorder is not None:
            self._recorder.finish(self.now())
        self._log.flush()
        self._flight.hand_over()
        self._journal.put(self._close_media)
        await self._journal.aclose()
        metrics.LIVE_CALLS.dec()
        self._let_go()

    def _let_go(self) -> None:
        """Drop the parts that call back, so that a call that is over is freed at once: some hundred
        KiB each would else wait until the collector searches for cycles.
        """
        self._speaker.close()
        self._reply_task = None
        del self._transcriber, self._voice, self._writer, self._speaker

    def _close_media(self) -> None:
        recorder = self._recorder
        live.close_media(
            self.call.pk,
            self.call.generation,
            recording_file=recorder.path.name if recorder and recorder.path.exists() else "",
            recording_duration_s=recorder.duration_s if recorder else None,
        )

    def _hold(self, work: Coroutine[Any, Any, None], name: str | None = None) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._release)
        return task

    def _release(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a task of a live call failed", exc_info=error)
            self._note(Note("engine_failed", {"error": type(error).__name__}))
            self._step(EndCommand(self.now(), "failed"))

    # --- what the line says -----------------------------------------------------------------------

    def take(self, message: Incoming) -> None:
        """Hear one message of the carrier; never waits."""
        match message:
            case Audio():
                self._hear(message)
            case Marked():
                if (clause_id := self._writer.clause_of(message.name)) is not None:
                    self._step(Heard(self.now(), clause_id))
            case Pressed():
                self._step(Digit(self.now(), message.digit))
            case Stopped():
                self._step(CallerGone(self.now()))
                self.done.set()

    def _hear(self, audio: Audio) -> None:
        self._transcriber.feed(audio.mulaw, voice=self._activity.loud)
        if self._recorder is not None:
            self._recorder.caller(self._begins_ms + audio.at_ms, audio.mulaw)
            self._recorder.settle(self.now())
        if self._conversation.listens_for_beep and self._beeps.feed(audio.mulaw) is not None:
            self._step(Beep(self.now()))
        changed = self._activity.hear(audio.mulaw)
        if changed is not None:
            t = self.now()
            if not changed:
                self._voice_ended = t - VoiceActivity.OFF_FRAMES * 20
            self._step(Voiced(t, changed))
        if (rose := self._rise.hear(audio.mulaw)) is not None:
            self._step((VoiceRose if rose else VoiceFell)(self.now()))

    def command(self, kind: str, data: dict[str, Any]) -> None:
        """What another process wants of this call: ``hang_up`` (reason) or ``amd``
        (answered_by).
        """
        t = self.now()
        if kind == "hang_up":
            self._step(EndCommand(t, str(data.get("reason") or "completed")))
        elif kind == "amd":
            self._step(MachineVerdict(t, str(data.get("answered_by") or "unknown")))

    def superseded(self, by: int) -> None:
        """Another socket, of generation ``by``, has the call: say nothing more."""
        if by > self.call.generation and not self.done.is_set():
            self._note(Note("superseded", {"by": by}))
            self._step(CallerGone(self.now()))
            self.done.set()

    def move(self) -> None:
        """Let go of the call, so that another process takes it: this one is about to stop."""
        self._note(Note("moved"))
        self._step(CallerGone(self.now()))
        self.done.set()

    def note(self, kind: str, /, **data: Any) -> None:
        """Add an event to the call's log."""
        self._note(Note(kind, data))
        self._log.flush()

    def _lose_hearing(self, error: str, tries: int) -> None:
        self._note(Note("transcriber_lost", {"error": error, "tries": tries}))
        self._step(HearingLost(self.now(), tries))

    def _end_turn(self, text: str, confidence: float) -> None:
        t = self.now()
        # By our own ear, not by when the transcriber said so: the caller's wait begins there.
        loud = self._activity.loud
        ended = t - self._activity.quiet_ms if loud else self._voice_ended
        if t - ended > LONGEST_ENDPOINT_MS:  # a voice too soft for our ear
            ended = t
        self._step(TurnEnded(t, text, ended, confidence))

    # --- what the machine wants -------------------------------------------------------------------

    def _step(self, event: Event) -> None:
        actions = self._conversation.handle(event)
        wake_at = self._conversation.wake_at
        self._flight.step(event, actions, wake_at)
        for action in actions:
            self._carry_out(action)  # never a step of its own
        self._log.flush()
        self._set_alarm(wake_at)

    def _set_alarm(self, wake_at: int | None) -> None:
        if wake_at is None:
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            return
        # Never at once: a rule that asks again and again must not spin the loop.
        due = max(self._started + wake_at / 1000, self._loop.time() + SHORTEST_WAIT_S)
        if self._alarm is not None:
            if self._alarm.when() <= due:
                return  # most steps put it off: that is looked at when it rings
            self._alarm.cancel()
        self._alarm = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        if self._alarm is not None:
            metrics.LOOP_LAG_SECONDS.observe(max(0.0, self._loop.time() - self._alarm.when()))
            self._alarm = None
        wake_at = self._conversation.wake_at
        if wake_at is not None and wake_at - self.now() > SHORTEST_WAIT_S * 1000:
            self._set_alarm(wake_at)
        else:
            self._step(Tick(max(self.now(), wake_at or 0)))

    def _carry_out(self, action: Action) -> None:
        match action:
            case AskModel():
                self._cancel_reply()
                self._reply_task = self._hold(self._reply(action))
            case UseTools():
                self._hold(self._use_tools(action), name="tools")
            case CancelModel():
                self._cancel_reply()
            case Speak() | Press():
                self._speaker.say(action)
            case Prepare():
                self._speaker.prepare(action.text)
            case Forget():
                metrics.SPOKEN_IN_VAIN.inc(self._speaker.forget())
            case Clear():
                self._speaker.silence()
            case Pause():
                self._speaker.pause()
            case Resume():
                self._speaker.resume()
            case StoreTurn():
                if action.turn.latency_ms is not None:
                    metrics.ANSWER_SECONDS.observe(action.turn.latency_ms / 1000)
                self._journal.put(live.store_turn, self.call.pk, action.turn)
            case RefuseContact():
                self._journal.put(
                    partial(live.refuse_contact, words=action.words, scope=action.scope),
                    *(self.call.pk, action.sequence, action.phrase),
                )
            case FoundVoicemail():
                self._journal.put(live.note_voicemail, self.call.pk, action.method)
            case Note():
                self._note(action)
            case HandOver():
                self._hold(self._part(partial(put_through, self.call, action)), name="hang up")
            case FarewellByCarrier():
                goodbye = partial(hang_up, self.call, action.reason, action.words)
                self._hold(self._part(goodbye), name="hang up")
            case HangUp():
                self._hold(self._part(partial(hang_up, self.call, action.reason)), name="hang up")

    def _note(self, note: Note) -> None:
        self._log.add(note, self.now())

    async def _part(self, leave: Callable[[], Awaitable[None]]) -> None:
        """Leave the call; then this socket's work is done, whatever came of that."""
        try:
            await leave()
        finally:
            self.done.set()

    # --- the model and its tools ------------------------------------------------------------------

    def _cancel_reply(self) -> None:
        if self._reply_task is not None:
            self._reply_task.cancel()
            self._reply_task = None

    async def _reply(self, ask: AskModel) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:  # it answers the first request of a call, which is for the opening
            self._forget_reply()
            self._step(ModelText(self.now(), ask.generation, opening.text))
            self._step(ModelDone(self.now(), ask.generation))
            return
        async for event in ask_model(self.call, ask, self.now):
            if not isinstance(event, ModelText):
                self._forget_reply()
            self._step(event)

    async def _use_tools(self, asked: UseTools) -> None:
        results = await use_tools(self.call, asked, self._journal, self._note)
        self._step(ToolsDone(self.now(), asked.generation, results))

    def _forget_reply(self) -> None:
        """The running reply is at its end: a step of its own must not cancel it."""
        if self._reply_task is asyncio.current_task():
            self._reply_task = None
