"""The telephone network: the account's calls, and the queue they leave at its calls per second."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from sandbox.journal import note

from .errors import Refused
from .leg import Leg
from .line import Person
from .order import Callback, Fetch, Order, Program
from .recordings import Recording
from .state import Account, Call, now
from .webhooks import Webhooks

RECORDING_READY_S = 0.3

Directory = Callable[[str], Person | None]


class Exchange:
    """All calls of the account. Outbound calls leave a queue at ``cps`` calls per second."""

    def __init__(
        self,
        account: Account,
        webhooks: Webhooks,
        directory: Directory,
        *,
        cps: float = 1.0,
        origin: str = "",
    ) -> None:
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
        self._drain.cancel()
        await asyncio.gather(self._drain, return_exceptions=True)
        while self._tasks:  # an ending call leaves its person a last task
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
