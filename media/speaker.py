"""Clauses in, audio at the writer: each is made while the one before it plays."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from media.events import Press, Speak
from media.tones import touch_tones
from media.voice import Voice, VoiceFailed
from media.writer import Writer

Hold = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Speaker:
    """One call's clauses. ``hold`` starts a task that its owner ends with the call.

    ``on_ready(clause_id)`` is told of a clause's first audio, ``on_failed(clause_id, error)`` of a
    clause that no way of the voice could say, or not to its end.
    """

    def __init__(
        self,
        voice: Voice,
        writer: Writer,
        *,
        hold: Hold,
        on_ready: Callable[[int], None],
        on_failed: Callable[[int, str], None],
    ) -> None:
        self._voice = voice
        self._writer = writer
        self._hold = hold
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._clauses: asyncio.Queue[Speak | Press] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._hold(self._voice.open())
        self._task = self._hold(self._run(None))

    def say(self, clause: Speak | Press) -> None:
        self._clauses.put_nowait(clause)

    def silence(self) -> None:
        """Drop what is to be said, in the voice, here and at the carrier."""
        while not self._clauses.empty():
            self._clauses.get_nowait()
        self._writer.clear()
        before = self._task
        if before is not None:
            before.cancel()
        self._task = self._hold(self._run(before))

    def pause(self) -> None:
        """Be silent at once; what is made meanwhile waits at the writer."""
        self._writer.pause()

    def resume(self) -> None:
        self._writer.resume()

    def close(self) -> None:
        """Say nothing more; the owner ends the tasks."""
        self._task = None  # which holds this, as a cancelled task does

    async def _run(self, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
            before = None  # else each task would keep all that went before it
        while True:
            clause = await self._clauses.get()
            if isinstance(clause, Press):
                self._writer.audio(clause.clause_id, touch_tones(clause.keys))
                self._writer.end(clause.clause_id)
                continue
            try:
                async with contextlib.aclosing(self._voice.speak(clause.text)) as chunks:
                    first = True
                    async for chunk in chunks:
                        if first:
                            self._on_ready(clause.clause_id)
                            first = False
                        self._writer.audio(clause.clause_id, chunk)
                self._writer.end(clause.clause_id)
            except VoiceFailed as failed:
                self._on_failed(clause.clause_id, str(failed))
