"""The life of a call: queue, ringing, answer, conversation, hang-up, and the callbacks of each.

``Exchange`` holds the account's calls; ``Leg`` is one call while it lives.
"""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from sandbox.journal import note

from . import verbs
from .audio import CallAudio, Clip, key_tones
from .errors import Refused
from .line import FRAME_S, Line, Person
from .order import Callback, Detection, Fetch, Order, Program, call_form
from .recordings import Recording
from .state import Account, Call, now, rfc2822
from .webhooks import Webhooks

log = logging.getLogger("sandbox.carrier")

SETUP_S = 0.2  # from leaving the queue to ringing
RECORDING_READY_S = 0.3
AFTERTHOUGHT_S = 10.0  # a person may go on making sense of what they heard
GREETING_OVER_S = 1.0  # silence after a machine's greeting that DetectMessageEnd waits for
SIP = {"busy": "486", "no-answer": "487", "canceled": "487", "failed": "404", "completed": "200"}

Directory = Callable[[str], Person | None]


class Leg:
    """One call, from acceptance to its terminal callback."""

    def __init__(self, exchange: "Exchange", call: Call, order: Order) -> None:
        self.exchange = exchange
        self.call = call
        self.order = order
        self.line = Line(call.from_ if call.direction == "inbound" else call.to, call.sid)
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

    def start_recording(self, *, source: str, channels: int, track: str, trim: bool,
                        callback: Callable[[Recording], None] | None) -> Recording:  # fmt: skip
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
        """Give a person time to notice that the call is over, and to make sense of what they heard."""
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
        program = self.order.program
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

    def help(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the call, cancelled with it."""
        task = asyncio.create_task(work)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)

    def limit(self, seconds: int) -> None:
        """The call may last this long, counted from its answer."""
        self.order.longest_s = seconds
        if self.call.answered is not None:
            passed = (now() - self.call.answered).total_seconds()
            self.help(self._watch_time(max(seconds - passed, 0)))

    async def _watch_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.hang_up("time_limit")

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


class Exchange:
    """All calls of the account. Outbound calls leave a queue at ``cps`` calls per second."""

    def __init__(self, account: Account, webhooks: Webhooks, directory: Directory, *, cps: float = 1.0,
                 origin: str = "") -> None:  # fmt: skip
        self.account = account
        self.webhooks = webhooks
        self.directory = directory
        self.origin = origin
        """Our own base URL, as ``RecordingUrl`` shows it."""
        self.legs: dict[str, Leg] = {}
        self.recordings: dict[str, Recording] = {}
        self._cps = cps
        self._queue: deque[Leg] = deque()
        self._arrived = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._drain = asyncio.create_task(self._dial_in_order())

    def place(self, *, to: str, from_: str, order: Order) -> Call:
        """Accept an outbound call; it is dialled when the queue reaches it."""
        number = self.account.numbers.get(from_)
        call = Call(self.account.sid, to, from_, "outbound-api", number.sid if number else None)
        call.queue_time_ms = round(len(self._queue) / self._cps * 1000)
        leg = self._add(call, order)
        self._queue.append(leg)
        self._arrived.set()
        note("call_created", call_sid=call.sid, to=to, **{"from": from_})
        return call

    def receive(self, *, to: str, from_: str) -> Call:
        """A person calls one of the account's numbers. Raises Refused when it is not one (21212)
        or there is no such person (21211)."""
        number = self.account.numbers.get(to)
        person = self.directory(from_)
        if number is None:
            raise Refused(21212, to)
        if person is None:
            raise Refused(21211, from_)
        call = Call(self.account.sid, to, from_, "inbound", number.sid)
        order = Order(
            callback=Callback(
                number.setting("status_callback"),
                number.setting("status_callback_method") or "POST",
            )
        )
        if url := number.setting("voice_url"):
            order.program = Fetch(url, number.setting("voice_method") or "POST")
        if url := number.setting("voice_fallback_url"):
            order.fallback = Fetch(url, number.setting("voice_fallback_method") or "POST")
        note("call_received", call_sid=call.sid, to=to, **{"from": from_})
        if order.program is None:
            note(
                "application_error",
                call_sid=call.sid,
                code=11200,
                text="the number has no VoiceUrl",
            )
        self.start(self._add(call, order).take(person))
        return call

    def child(self, parent: Leg, *, to: str, from_: str, order: Order) -> Leg:
        """The second leg of a ``<Dial>``."""
        call = Call(self.account.sid, to, from_, "outbound-dial", parent_sid=parent.call.sid)
        call.started = now()
        leg = self._add(call, order)
        leg.started = True
        note("call_created", call_sid=call.sid, to=to, parent=parent.call.sid, **{"from": from_})
        return leg

    def update(self, call: Call, *, status: str = "", program: Program | None = None) -> None:
        """Change a call over the API. Raises Refused 21220 once it has ended."""
        leg = self.legs.get(call.sid)
        if leg is None or call.over:
            raise Refused(21220)
        if status and not leg.started:
            call.move("canceled")  # still in the queue: Twilio tells nobody
            self._queue.remove(leg)
            self.legs.pop(call.sid)
            leg.line.end()
            note("call_ended", call_sid=call.sid, status="canceled", seconds=0)
        elif status and call.answered is None:
            leg.cancel()
        elif status == "completed":
            leg.hang_up("api")
        elif program is not None:
            if call.answered is None:
                raise Refused(21220)
            note("redirected", call_sid=call.sid)
            leg.redirect(program)

    def recording_told(
        self, url: str, method: str, events: frozenset[str]
    ) -> Callable[[Recording], None] | None:
        """A function that sends a recording's callbacks."""
        if not url:
            return None

        def tell(recording: Recording) -> None:
            if recording.status in events:
                self.webhooks.start(self._tell_recording(url, method, recording))

        return tell

    async def _tell_recording(self, url: str, method: str, recording: Recording) -> None:
        form = recording.form(self.origin)
        if recording.status != "in-progress":
            await asyncio.sleep(RECORDING_READY_S)
        self.webhooks.tell(
            url, form, method=method, kind="recording_callback", call_sid=recording.call_sid
        )

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _add(self, call: Call, order: Order) -> Leg:
        leg = Leg(self, call, order)
        self.account.calls[call.sid] = call
        self.legs[call.sid] = leg
        return leg

    async def _dial_in_order(self) -> None:
        while True:
            while not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
            leg = self._queue.popleft()
            self.start(leg.dial())
            await asyncio.sleep(1 / self._cps)

    async def close(self) -> None:
        """Drop every call without further callbacks."""
        tasks = [self._drain, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
