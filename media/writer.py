"""The line's only writer: audio at the pace of speech, a mark behind each clause, and clears that
overtake both.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from media.audio import BYTES_PER_MS
from media.playout import WAY_TO_THE_EAR_MS
from media.recorder import Recorder
from media.transport import Transport

AHEAD_MS = 1_500  # audio at the carrier beyond what is playing: a clear loses at most this
PIECE = 200 * BYTES_PER_MS  # how much audio one message carries at most


@dataclass(slots=True)
class _Outgoing:
    """Audio of a clause, the end of a clause (its mark), or a clear."""

    clause_id: int = 0
    audio: bytes = b""
    clear: bool = False


@dataclass(slots=True)
class _Sent:
    """What went out, until it was played: it may have to be said again."""

    item: _Outgoing
    ends: float  # ms
    mark: str = ""


class Writer:
    """Takes µ-law from ``audio`` and ``end`` without waiting; ``run`` puts it on the line.

    ``pause`` silences the line and keeps what was on its way to the ear; ``resume`` says it again.

    ``now`` is ms since the call's audio began. ``on_audio(clause_id, ms)`` is told of each piece
    as it leaves, ``on_sent(clause_id)`` of a clause's end.
    """

    def __init__(
        self,
        transport: Transport,
        send: Callable[[str | bytes], Awaitable[None]],
        now: Callable[[], int],
        *,
        on_audio: Callable[[int, int], None],
        on_sent: Callable[[int], None],
        recorder: Recorder | None,
    ) -> None:
        self._transport = transport
        self._send = send
        self._now = now
        self._on_audio = on_audio
        self._on_sent = on_sent
        self._recorder = recorder
        self._items: deque[_Outgoing] = deque()
        self._news = asyncio.Event()
        self._play_end = 0.0  # ms
        self._audio_is_out = False
        self._paused = False
        self._sent: deque[_Sent] = deque()
        self._again = 0  # counts pauses, so that no two marks have one name
        self._void: set[str] = set()  # marks that a pause sent back unplayed

    def audio(self, clause_id: int, mulaw: bytes) -> None:
        self._put(_Outgoing(clause_id, mulaw))

    def end(self, clause_id: int) -> None:
        self._put(_Outgoing(clause_id))

    def clear(self) -> None:
        """Drop what waits here; at the carrier too if anything went out."""
        self._items.clear()
        self._sent.clear()
        self._paused = False
        if self._audio_is_out:
            self._put(_Outgoing(clear=True))

    def pause(self) -> None:
        """Silence the line at once; what was not heard waits, with what is still coming."""
        unheard = self._unheard(self._now() - WAY_TO_THE_EAR_MS)
        self._void.update(sent.mark for sent in self._sent if sent.mark)
        self._sent.clear()
        self._again += 1
        self._items.extendleft(reversed(unheard))
        self._items.appendleft(_Outgoing(clear=True))
        self._paused = True
        self._news.set()

    def resume(self) -> None:
        self._paused = False
        self._news.set()

    def clause_of(self, mark: str) -> int | None:
        """The clause whose end a returned mark stands for; None if it returned unplayed."""
        if mark in self._void:
            self._void.discard(mark)
            return None
        clause_id = mark.partition(".")[0]
        return int(clause_id) if clause_id.isdigit() else None

    def _unheard(self, cut: float) -> list[_Outgoing]:
        """What went out and was not played at ``cut``, from there on."""
        while self._sent and self._sent[0].ends <= cut:
            self._sent.popleft()
        unheard = [sent.item for sent in self._sent]
        if unheard and unheard[0].audio:
            left = round(self._sent[0].ends - cut) * BYTES_PER_MS
            unheard[0] = _Outgoing(unheard[0].clause_id, unheard[0].audio[-left:])
        return unheard

    def _put(self, item: _Outgoing) -> None:
        self._items.append(item)
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled. Stays at most AHEAD_MS in front of what plays, so that a clear
        loses little.
        """
        while True:
            if not self._items or (self._paused and not self._items[0].clear):
                self._news.clear()
                await self._news.wait()
                continue
            item = self._items.popleft()
            if item.clear:
                self._play_end = float(self._now())
                self._audio_is_out = False
                if self._recorder is not None:
                    self._recorder.cut(self._now())
                await self._send(self._transport.clear())
            elif item.audio:
                await self._send_audio(item)
            else:
                name = f"{item.clause_id}.{self._again}" if self._again else str(item.clause_id)
                self._sent.append(_Sent(item, self._play_end, name))
                await self._send(self._transport.mark(name))
                self._on_sent(item.clause_id)

    async def _send_audio(self, item: _Outgoing) -> None:
        wait_ms = self._play_end - self._now() - AHEAD_MS
        if wait_ms > 0:
            # Not yet: back in front of the queue, until time has passed or a clear has come.
            self._items.appendleft(item)
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait_ms, PIECE / BYTES_PER_MS) / 1000):
                    await self._cleared()
            return
        piece, rest = item.audio[:PIECE], item.audio[PIECE:]
        if rest:
            self._items.appendleft(_Outgoing(item.clause_id, rest))
        t = self._now()
        ms = len(piece) / BYTES_PER_MS
        self._play_end = max(t, self._play_end) + ms
        self._audio_is_out = True
        while self._sent and self._sent[0].ends <= t - WAY_TO_THE_EAR_MS:
            self._sent.popleft()
        self._sent.append(_Sent(_Outgoing(item.clause_id, piece), self._play_end))
        if self._recorder is not None:
            self._recorder.agent(t, piece)
        self._on_audio(item.clause_id, round(ms))
        await self._send(self._transport.media(piece))

    async def _cleared(self) -> None:
        while not (self._items and self._items[0].clear):
            self._news.clear()
            await self._news.wait()
