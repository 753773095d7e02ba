"""Clauses in, audio at the writer: each is made while the one before it plays.

One clause may be made before it is certain that it will be said (``prepare``): its audio waits
here, and neither the line nor the recording knows of it until ``say`` names it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from media.events import Press, Speak
from media.tones import touch_tones
from media.utterance import Utterance
from media.voice import Voice, VoiceFailed
from media.writer import Writer

Hold = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Speaker:
    """One call's clauses. ``hold`` starts a task that its owner ends with the call.

    ``on_ready(clause_id)`` is told of a clause's first audio, ``on_failed(clause_id, error)`` of a
    clause that no way of the voice could say, or not to its end; neither from within ``say``.
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
        self._clauses: asyncio.Queue[Utterance | Press] = asyncio.Queue()
        self._prepared: Utterance | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending: list[asyncio.Task[None]] = []  # cancelled, and not at their end yet

    def start(self) -> None:
        self._hold(self._voice.open())
        self._task = self._hold(self._run([]))

    def prepare(self, text: str) -> None:
        """Have a clause made and hold its audio, for ``say`` or ``forget``."""
        self._prepared = Utterance(text, self._writer)
        self._clauses.put_nowait(self._prepared)

    def say(self, clause: Speak | Press) -> None:
        if isinstance(clause, Press):
            self._clauses.put_nowait(clause)
            return
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared.text == clause.text and not prepared.failed:
            if prepared.has_audio:
                asyncio.get_running_loop().call_soon(self._on_ready, clause.clause_id)
            prepared.release(clause.clause_id)
            return
        utterance = Utterance(clause.text, self._writer)
        utterance.release(clause.clause_id)
        self._clauses.put_nowait(utterance)

    def forget(self) -> int:
        """Drop what was prepared; return how many characters the voice was asked for in vain."""
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            return 0
        prepared.dropped = True
        if prepared.begun and not prepared.over:
            self._begin_anew()
        return len(prepared.text) if prepared.begun else 0

    def silence(self) -> None:
        """Drop what is to be said, in the voice, here and at the carrier."""
        self._prepared = None
        while not self._clauses.empty():
            self._clauses.get_nowait()
        self._writer.clear()
        self._begin_anew()

    def pause(self) -> None:
        """Be silent at once; what is made meanwhile waits at the writer."""
        self._writer.pause()

    def resume(self) -> None:
        self._writer.resume()

    def close(self) -> None:
        """Say nothing more; the owner ends the tasks."""
        self._task = None  # which holds this, as a cancelled task does
        self._ending = []

    def _begin_anew(self) -> None:
        """Stop making the running clause, and go on with the next."""
        if self._task is not None:
            self._task.cancel()
            self._ending.append(self._task)
        self._ending = [task for task in self._ending if not task.done()]
        self._task = self._hold(self._run(list(self._ending)))

    async def _run(self, before: "list[asyncio.Task[None]]") -> None:
        if before:  # one task at a time uses the voice
            await asyncio.wait(before)
            before.clear()  # else each task would keep all that went before it
            await self._voice.drop_rest()
        while True:
            clause = await self._clauses.get()
            if isinstance(clause, Press):
                self._writer.audio(clause.clause_id, touch_tones(clause.keys))
                self._writer.end(clause.clause_id)
            elif not clause.dropped:
                await self._make(clause)

    async def _make(self, utterance: Utterance) -> None:
        utterance.begun = True
        try:
            async with contextlib.aclosing(self._voice.speak(utterance.text)) as chunks:
                first = True
                async for chunk in chunks:
                    if first and utterance.clause_id is not None:
                        self._on_ready(utterance.clause_id)
                    first = False
                    utterance.audio(chunk)
            utterance.end()
        except VoiceFailed as failed:
            utterance.over = utterance.failed = True
            if utterance.clause_id is not None:
                self._on_failed(utterance.clause_id, str(failed))
