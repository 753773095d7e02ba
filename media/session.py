"""One live call: the conversation machine, its providers and the line, and every task between them.

Frames come in through synchronous methods and never wait. The machine's actions are carried out at
once; what takes time runs in one of the session's few tasks, all of which end with ``aclose``.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils import timezone

from calls import live
from calls.live import LiveCall, LiveEvent
from media import metrics
from media.audio import BYTES_PER_MS, VoiceActivity
from media.beep import BeepDetector
from media.brain import ModelFailed as BrainFailed
from media.brain import write_reply
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
    Tick,
    TurnEnded,
    Voiced,
    Words,
)
from media.journal import Journal, in_thread
from media.recorder import Recorder
from media.transcriber import Hearing, Transcriber
from media.transport import Audio, Incoming, Marked, Pressed, Stopped, Transport
from media.voice import Voice, VoiceFailed

logger = logging.getLogger(__name__)

AHEAD_MS = 1_500  # audio at the carrier beyond what is playing: a clear loses at most this
PIECE = 200 * BYTES_PER_MS  # how much audio one message carries at most
LOWEST_ENDPOINTING_MS = 100
HANG_UP_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
SEEN_EVERY_S = 15.0
LONGEST_ENDPOINT_MS = 5_000
SHORTEST_WAIT_S = 0.005


@dataclass(slots=True)
class _Outgoing:
    """One thing for the writer: audio of a clause, the end of a clause (its mark), or a clear."""

    clause_id: int = 0
    audio: bytes = b""
    clear: bool = False


@dataclass(slots=True)
class _Outbox:
    """What the writer has yet to send, in order; a clear overtakes and empties it."""

    items: deque[_Outgoing] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, item: _Outgoing) -> None:
        self.items.append(item)
        self.news.set()

    def clear(self) -> None:
        self.items.clear()
        self.put(_Outgoing(clear=True))


class Session:
    """Owns a call's audio from the first frame to the last write.

    ``send`` puts one encoded message on the line. ``done`` is set when the conversation is over
    and the socket may be closed. Use ``open`` once, the ``take`` methods while the line is up,
    and ``aclose`` at the end, always.
    """

    def __init__(
        self, call: LiveCall, transport: Transport, send: Callable[[str], Awaitable[None]]
    ) -> None:
        self.call = call
        self.done = asyncio.Event()
        self._transport = transport
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._conversation = Conversation(call)
        self._activity = VoiceActivity()
        self._beeps = BeepDetector()
        self._voice_ended = 0  # ms; when the caller's last loud frame was heard
        self._journal = Journal()
        self._recorder = (
            Recorder(settings.RECORDINGS_DIR / self._recording_name(), self._journal.put)
            if call.record
            else None
        )
        self._transcriber = Transcriber(
            Hearing(
                model=str(call.extras.get("transcription_model") or "nova-3"),
                language=str(call.extras.get("transcription_language") or call.language),
                endpointing_ms=max(
                    LOWEST_ENDPOINTING_MS, call.stt_max_silence_ms or call.response_eagerness_ms
                ),
                keyterms=call.keyterms,
            ),
            on_words=lambda text: self._step(Words(self.now(), text)),
            on_turn_end=self._end_turn,
            on_trouble=lambda error, tries: self._note(
                Note("transcriber_lost", {"error": error, "tries": tries})
            ),
        )
        self._voice = Voice(call.voice, call.speaking_rate)
        self._clauses: asyncio.Queue[Speak] = asyncio.Queue()
        self._outbox = _Outbox()
        self._play_end = 0.0  # ms
        self._audio_is_out = False
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reply_task: asyncio.Task[None] | None = None
        self._speaker: asyncio.Task[None] | None = None
        self._events: list[LiveEvent] = []
        self._event_number = 0

    def _recording_name(self) -> str:
        # A call that moved to another process goes on in a further file.
        part = f".{self.call.generation}" if self.call.turns else ""
        return f"{self.call.call_id}{part}.wav"

    def now(self) -> int:
        """Ms since the call's audio began."""
        return round((self._loop.time() - self._started) * 1000)

    # --- the life of a session --------------------------------------------------------------------

    def open(self) -> None:
        """Start listening and let the conversation begin."""
        metrics.LIVE_CALLS.inc()
        self._hold(self._transcriber.run())
        self._hold(self._write())
        self._hold(self._stay_seen())
        self._speaker = self._hold(self._speak_clauses(None))
        self._step(Opened(self.now()))
        if verdict := self.call.extras.get("amd_result"):  # it came before this socket did
            self._step(MachineVerdict(self.now(), str(verdict)))

    async def aclose(self) -> None:
        """End every task, write what is left to write. The line may be gone already."""
        self._step(CallerGone(self.now()))
        self.done.set()
        if self._alarm is not None:
            self._alarm.cancel()
        hang_up = next((task for task in self._tasks if task.get_name() == "hang up"), None)
        if hang_up is not None:
            await asyncio.wait([hang_up], timeout=HANG_UP_TIMEOUT_S)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
        await self._voice.aclose()
        if self._recorder is not None:
            self._recorder.finish(self.now())
        self._flush_events()
        self._journal.put(self._close_media)
        await self._journal.aclose()
        metrics.LIVE_CALLS.dec()

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
                if message.name.isdigit():
                    self._step(Heard(self.now(), int(message.name)))
            case Pressed():
                self._step(Digit(self.now(), message.digit))
            case Stopped():
                self._step(CallerGone(self.now()))
                self.done.set()

    def _hear(self, audio: Audio) -> None:
        self._transcriber.feed(audio.mulaw)
        if self._recorder is not None:
            self._recorder.caller(audio.at_ms, audio.mulaw)
            self._recorder.settle(self.now())
        if self._conversation.listens_for_beep and self._beeps.feed(audio.mulaw) is not None:
            self._step(Beep(self.now()))
        changed = self._activity.hear(audio.mulaw)
        if changed is not None:
            t = self.now()
            if not changed:
                self._voice_ended = t - VoiceActivity.OFF_FRAMES * 20
            self._step(Voiced(t, changed))

    def command(self, kind: str, data: dict[str, Any]) -> None:
        """What another process wants of this call: ``hang_up`` (reason) or ``amd``
        (answered_by).
        """
        t = self.now()
        if kind == "hang_up":
            self._step(EndCommand(t, str(data.get("reason") or "completed")))
        elif kind == "amd":
            self._step(MachineVerdict(t, str(data.get("answered_by") or "unknown")))

    def note(self, kind: str, /, **data: Any) -> None:
        """Add an event to the call's log."""
        self._note(Note(kind, data))
        self._flush_events()

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
        for action in self._conversation.handle(event):
            self._carry_out(action)
        self._flush_events()
        self._set_alarm()

    def _set_alarm(self) -> None:
        wake_at = self._conversation.wake_at
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if wake_at is not None:
            # Never at once: a rule that asks again and again must not spin the loop.
            due = max(self._started + wake_at / 1000, self._loop.time() + SHORTEST_WAIT_S)
            self._alarm = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        metrics.LOOP_LAG_SECONDS.observe(
            max(0.0, self._loop.time() - (self._alarm.when() if self._alarm else self._loop.time()))
        )
        wake_at = self._conversation.wake_at
        self._step(Tick(max(self.now(), wake_at or 0)))

    def _carry_out(self, action: Action) -> None:
        match action:
            case AskModel():
                self._cancel_reply()
                self._reply_task = self._hold(self._reply(action))
            case CancelModel():
                self._cancel_reply()
            case Speak():
                self._clauses.put_nowait(action)
            case Clear():
                self._silence()
            case StoreTurn():
                if action.turn.latency_ms is not None:
                    metrics.ANSWER_SECONDS.observe(action.turn.latency_ms / 1000)
                self._journal.put(live.store_turn, self.call.pk, action.turn)
            case Note():
                self._note(action)
            case HangUp():
                self._hold(self._hang_up(action.reason), name="hang up")

    def _note(self, note: Note) -> None:
        if note.kind == "interrupted":
            metrics.INTERRUPTIONS.inc()
        if note.kind == "model_failed":
            metrics.PROVIDER_ERRORS.labels("model", str(note.data.get("error"))).inc()
        self._event_number += 1
        self._events.append(
            LiveEvent(
                key=f"{self.call.generation}:{self._event_number}",
                kind=note.kind,
                at=timezone.now(),
                data={"t": self.now(), **note.data},
            )
        )

    def _flush_events(self) -> None:
        if self._events:
            events, self._events = self._events, []
            self._journal.put(live.store_events, self.call.pk, events)

    async def _hang_up(self, reason: str) -> None:
        """End the call at the carrier; whatever comes of that, this socket's work is done."""
        try:
            async with asyncio.timeout(HANG_UP_TIMEOUT_S):
                await in_thread(live.hang_up, self.call.pk, reason)
        except Exception:
            # The closed socket lets the carrier ask for the next verb, which is a hang-up as well.
            logger.exception("hang-up failed", extra={"call_id": self.call.call_id})
        finally:
            self.done.set()

    async def _stay_seen(self) -> None:
        """Say now and then that this call is alive, and make way if a newer socket has it."""
        while True:
            await asyncio.sleep(SEEN_EVERY_S)
            try:
                newest = await in_thread(live.seen, self.call.pk)
            except Exception:  # a database that is away for a moment does not end a conversation
                logger.exception("cannot note a live call", extra={"call_id": self.call.call_id})
                continue
            if newest > self.call.generation:
                self._note(Note("superseded", {"by": newest}))
                self._step(CallerGone(self.now()))
                self.done.set()
                return

    # --- the model --------------------------------------------------------------------------------

    def _cancel_reply(self) -> None:
        if self._reply_task is not None:
            self._reply_task.cancel()
            self._reply_task = None

    async def _reply(self, ask: AskModel) -> None:
        call = self.call
        try:
            async for text in write_reply(
                model=call.model,
                system_stable=call.system_stable,
                system_call=call.system_call,
                messages=ask.messages,
            ):
                self._step(ModelText(self.now(), ask.generation, text))
        except BrainFailed as failed:
            self._forget_reply()
            self._step(ModelFailed(self.now(), ask.generation, str(failed)))
        else:
            self._forget_reply()
            self._step(ModelDone(self.now(), ask.generation))

    def _forget_reply(self) -> None:
        """The running reply is at its end: a step of its own must not cancel it."""
        if self._reply_task is asyncio.current_task():
            self._reply_task = None

    # --- the voice --------------------------------------------------------------------------------

    def _silence(self) -> None:
        """Drop what is to be said, in the voice, here and at the carrier."""
        while not self._clauses.empty():
            self._clauses.get_nowait()
        if self._audio_is_out:
            self._outbox.clear()
        else:
            self._outbox.items.clear()
        speaker = self._speaker
        if speaker is not None:
            speaker.cancel()
        self._speaker = self._hold(self._speak_clauses(speaker))

    async def _speak_clauses(self, before: "asyncio.Task[None] | None") -> None:
        """Have each clause said, one after the other; the next is made while this one plays."""
        if before is not None:
            await asyncio.wait([before])
        await self._voice.open()
        while True:
            clause = await self._clauses.get()
            try:
                async with contextlib.aclosing(self._voice.speak(clause.text)) as chunks:
                    first = True
                    async for chunk in chunks:
                        if first:
                            self._step(ClauseReady(self.now(), clause.clause_id))
                            first = False
                        self._outbox.put(_Outgoing(clause.clause_id, chunk))
                self._outbox.put(_Outgoing(clause.clause_id))
            except VoiceFailed as failed:
                self._step(ClauseFailed(self.now(), clause.clause_id, str(failed)))

    # --- the line ---------------------------------------------------------------------------------

    async def _write(self) -> None:
        """The line's only writer. Stays at most AHEAD_MS in front of what plays, so that a
        clear loses little.
        """
        outbox = self._outbox
        while True:
            if not outbox.items:
                outbox.news.clear()
                await outbox.news.wait()
                continue
            item = outbox.items.popleft()
            if item.clear:
                self._play_end = float(self.now())
                self._audio_is_out = False
                if self._recorder is not None:
                    self._recorder.cut(self.now())
                await self._send(self._transport.clear())
            elif item.audio:
                await self._send_audio(item)
            else:
                await self._send(self._transport.mark(str(item.clause_id)))
                self._step(ClauseSent(self.now(), item.clause_id))

    async def _send_audio(self, item: _Outgoing) -> None:
        outbox = self._outbox
        wait_ms = self._play_end - self.now() - AHEAD_MS
        if wait_ms > 0:
            # Not yet: back in front of the queue, until time has passed or a clear has come.
            outbox.items.appendleft(item)
            outbox.news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait_ms, PIECE / BYTES_PER_MS) / 1000):
                    await self._cleared_or_waited()
            return
        piece, rest = item.audio[:PIECE], item.audio[PIECE:]
        if rest:
            outbox.items.appendleft(_Outgoing(item.clause_id, rest))
        t = self.now()
        ms = len(piece) / BYTES_PER_MS
        self._play_end = max(t, self._play_end) + ms
        self._audio_is_out = True
        if self._recorder is not None:
            self._recorder.agent(t, piece)
        self._step(ClauseAudio(t, item.clause_id, round(ms)))
        await self._send(self._transport.media(piece))

    async def _cleared_or_waited(self) -> None:
        while not (self._outbox.items and self._outbox.items[0].clear):
            self._outbox.news.clear()
            await self._outbox.news.wait()
