"""One call while it lives: ringing, answer, conversation, hang-up, and the callbacks of each."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from sandbox.journal import note

from . import verbs
from .audio import CallAudio, Clip, key_tones
from .line import FRAME_S, Line, Person
from .order import Detection, Order, Program, call_form
from .recordings import Recording
from .state import Call, now, rfc2822

if TYPE_CHECKING:
    from .network import Exchange

log = logging.getLogger("sandbox.carrier")

SETUP_S = 0.2  # from leaving the queue to ringing
AFTERTHOUGHT_S = 10.0  # a person may go on making sense of what they heard
GREETING_OVER_S = 1.0  # silence after a machine's greeting that DetectMessageEnd waits for
SIP = {"busy": "486", "no-answer": "487", "canceled": "487", "failed": "404", "completed": "200"}


class Leg:
    """One call, from acceptance to its terminal callback."""

    def __init__(self, exchange: "Exchange", call: Call, order: Order) -> None:
        self.exchange = exchange
        self.call = call
        self.order = order
        inbound = call.direction == "inbound"
        self.line = Line(call.from_ if inbound else call.to, call.sid, inbound=inbound)
        self.audio = CallAudio(self.line)
        self.recordings: list[Recording] = []
        self.detection_form: dict[str, str] = {}
        self.started = False
        self.base_url = ""
        """Where the running TwiML came from; relative URLs resolve against it."""
        self._sequence = 0
        self._down = asyncio.Event()
        self._cancelled = False
        self._next: Program | None = None
        self._news = asyncio.Event()
        self._helpers: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Task[None] | None = None

    # What others may ask of a live call.

    def hang_up(self, by: str) -> None:
        """End the call, in whatever state it is."""
        if not self._down.is_set():
            note("hang_up", call_sid=self.call.sid, by=by)
            self._down.set()
            self._news.set()

    def cancel(self) -> None:
        """Give up a call that has not been answered yet."""
        self._cancelled = True
        self.hang_up("api")

    def redirect(self, program: Program) -> None:
        """Leave the running TwiML at once and run ``program``."""
        self._next = program
        self._news.set()

    def start_recording(
        self,
        *,
        source: str,
        channels: int,
        track: str,
        trim: bool,
        callback: Callable[[Recording], None] | None,
    ) -> Recording:
        """Record from now on."""
        recording = Recording(
            self.call.account_sid, self.call.sid, source, channels, track, trim, callback
        )
        self.exchange.recordings[recording.sid] = recording
        self.recordings.append(recording)
        self.audio.taps.append(recording)
        return recording

    # Its life.

    async def dial(self) -> None:
        """An outbound call, from the head of the queue to its end."""
        self.started = True
        self.call.started = now()
        status = "failed"
        try:
            self.progress("initiated", "initiated")
            outcome, person = await self.ring()
            if person is not None:
                self.answer()
                self.attend(person)
                outcome = await self._converse()
            status = outcome
        except Exception:
            log.exception("the simulated call broke")
            note("sandbox_error", call_sid=self.call.sid)
        finally:
            await self.finish(status)

    async def take(self, person: Person) -> None:
        """An inbound call: the customer's TwiML decides whether it is answered."""
        self.started = True
        self.call.started = now()
        self.call.move("ringing")
        self.help(self._give_up())
        status = "failed"
        try:
            status = await self._converse(caller=person)
        except Exception:
            log.exception("the simulated call broke")
            note("sandbox_error", call_sid=self.call.sid)
        finally:
            await self.finish(status)

    async def ring(self) -> tuple[str, Person | None]:
        """Ring the person. Returns the terminal status, or the person who answered."""
        person = self.exchange.directory(self.call.to)
        if await self.sleep(SETUP_S):
            return "canceled", None
        if person is None or person.answers == "failed":
            return "failed", None
        self.call.move("ringing")
        self.progress("ringing", "ringing")
        never = person.answers == "no_answer" or person.rings_s > self.order.ring_s
        if await self.sleep(self.order.ring_s if never else person.rings_s):
            return "canceled", None
        if never:
            return "no-answer", None
        if person.answers == "busy":
            return "busy", None
        return "in-progress", person

    def answer(self) -> None:
        """Somebody picked up: the clock of sound and time limit starts."""
        self.call.answered = now()
        self.call.move("in-progress")
        self.progress("answered", "in-progress")
        self.limit(self.order.longest_s)
        if self.order.recording is not None:
            self.start_recording(**self.order.recording)

    def attend(self, person: Person) -> None:
        """Bring the answered call's person and sound to life."""
        self.help(self.audio.run())
        self.help(self.be(person))
        if self.order.detection:
            self.help(self._detect(person, self.order.detection))

    async def ended(self) -> None:
        """Return when somebody has hung up."""
        await self._down.wait()

    async def be(self, person: Person) -> None:
        """Let the person talk; the call ends when they are done."""
        talk = asyncio.create_task(person.talk(self.line))
        hung_up = asyncio.create_task(self.line.hung_up.wait())
        try:
            await asyncio.wait({talk, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            if not self.line.hung_up.is_set():
                await self.line.said()
                await asyncio.sleep(FRAME_S)
            self.hang_up("person")
        finally:
            hung_up.cancel()
            self.exchange.start(self._put_down(talk))

    async def _put_down(self, talk: asyncio.Task[None]) -> None:
        """Give a person time to notice the end, and to make sense of what they heard."""
        await asyncio.wait({talk}, timeout=AFTERTHOUGHT_S)
        talk.cancel()
        [outcome] = await asyncio.gather(talk, return_exceptions=True)
        if isinstance(outcome, Exception):
            log.error("the simulated person broke", exc_info=outcome)
            note("sandbox_error", call_sid=self.call.sid, text=repr(outcome))

    async def _converse(self, caller: Person | None = None) -> str:
        """Run TwiML until it ends or somebody hangs up; returns the terminal status."""
        if self.order.send_digits:
            await verbs.play(self, Clip(key_tones(self.order.send_digits)))
            self.line.keys_heard += self.order.send_digits.strip("wW")
        if self.order.detection and not self.order.detection.asynchronous:
            while not self.detection_form and not await self.sleep(0.05):
                pass
        program = self._next or self.order.program
        while program is not None and not self._down.is_set():
            self._news.clear()
            self._next = None
            script = asyncio.create_task(verbs.run(self, program, caller))
            news = asyncio.create_task(self._news.wait())
            try:
                await asyncio.wait({script, news}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                finished = script.done()
                script.cancel()
                news.cancel()
                await asyncio.gather(script, news, return_exceptions=True)
            if not script.cancelled() and (error := script.exception()):
                if not isinstance(error, verbs.EndCall):
                    raise error
                return error.status
            program = None if finished and not self._news.is_set() else self._next
        if self.call.answered is None:
            return (
                "canceled" if self._cancelled else "no-answer" if self._down.is_set() else "failed"
            )
        return "completed"

    async def finish(self, status: str) -> None:
        """Tear the call down and tell its end."""
        self._down.set()
        self.line.end()
        for task in self._helpers:
            task.cancel()
        await asyncio.gather(*self._helpers, return_exceptions=True)
        self.call.move(status)
        self.exchange.legs.pop(self.call.sid, None)
        for recording in self.recordings:
            recording.finish()
        note("call_ended", call_sid=self.call.sid, status=status, seconds=self.call.seconds)
        terminal = {
            "CallDuration": str(self.call.seconds),
            "Duration": str(math.ceil(self.call.seconds / 60)),
            "SipResponseCode": SIP[status],
        }
        if self.call.answered_by:
            terminal["AnsweredBy"] = self.call.answered_by
        if self.recordings:
            form = self.recordings[0].form(self.exchange.origin)
            terminal |= {
                key: form[key] for key in ("RecordingUrl", "RecordingSid", "RecordingDuration")
            }
        self.progress("completed", status, **terminal)

    # Smaller things.

    def progress(self, event: str, status: str, **more: str) -> None:
        """Send a status callback if this event was subscribed to."""
        callback = self.order.callback
        if not callback.url or event not in callback.events:
            return
        form = call_form(self.call) | {
            "CallStatus": status,
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(self._sequence),
            "Timestamp": rfc2822(now()) or "",
            **more,
        }
        self._sequence += 1
        self.exchange.webhooks.tell(
            callback.url,
            form,
            method=callback.method,
            kind="status_callback",
            call_sid=self.call.sid,
        )

    async def sleep(self, seconds: float) -> bool:
        """Wait, unless the call goes down first; returns whether it did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._down.wait()
        return self._down.is_set()

    def help(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the call, cancelled with it."""
        task = asyncio.create_task(work)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)
        return task

    def limit(self, seconds: int) -> None:
        """The call may last this long, counted from its answer."""
        self.order.longest_s = seconds
        if self.call.answered is not None:
            if self._timer is not None:
                self._timer.cancel()
            left = seconds - (now() - self.call.answered).total_seconds()
            self._timer = self.help(self._hang_up_after(max(left, 0)))

    async def _hang_up_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.hang_up("time_limit")

    async def _give_up(self) -> None:
        """A caller may hang up before anybody answers."""
        await self.line.hung_up.wait()
        self.hang_up("person")

    async def _detect(self, person: Person, detection: Detection) -> None:
        """Answering machine detection: the person's documented verdict, at the documented time."""
        verdict, after_s = person.answered_by, person.amd_ms / 1000
        machine = verdict.startswith("machine")
        start = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(detection.timeout_s):
                await asyncio.sleep(after_s)
                if machine and detection.mode == "DetectMessageEnd":
                    verdict = "machine_end_beep" if verdict == "machine_start" else verdict
                    await self._greeting_over()
                elif machine:
                    verdict = "machine_start"
        except TimeoutError:
            verdict = "unknown"
        self.call.answered_by = verdict
        took_ms = round((asyncio.get_running_loop().time() - start) * 1000)
        self.detection_form = {"AnsweredBy": verdict, "MachineDetectionDuration": str(took_ms)}
        note("amd", call_sid=self.call.sid, answered_by=verdict, ms=took_ms)
        if detection.asynchronous:
            form = {
                "AccountSid": self.call.account_sid,
                "CallSid": self.call.sid,
                **self.detection_form,
            }
            self.exchange.webhooks.tell(
                detection.url,
                form,
                method=detection.method,
                kind="amd_callback",
                call_sid=self.call.sid,
            )

    async def _greeting_over(self) -> None:
        quiet = 0.0
        while quiet < GREETING_OVER_S:
            await asyncio.sleep(0.1)
            quiet = 0.0 if self.line.speaking else quiet + 0.1
