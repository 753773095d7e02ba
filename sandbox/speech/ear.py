"""An ``Ear`` takes telephone audio as it comes and says what it heard.

Voice activity (``vad``) decides where speech begins and ends; only speech reaches the recogniser,
so silence never becomes text.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from . import audio, vad
from .recogniser import FINAL, INTERIM, PAUSE, workers

_SPEECH, _STILL_SPEECH = 0.5, 0.35  # thresholds to begin and to go on
_ONSET_WINDOWS = 2  # 64 ms of speech begin a segment
_LEAST_WINDOWS = 4  # less speech than 128 ms is a click, not a word
_PRE_ROLL = 9  # windows kept from before the onset: soft first consonants
PRE_ROLL_S = (_PRE_ROLL - _ONSET_WINDOWS) * vad.WINDOW_S
"""So much of the silence before it belongs to what is heard after a silence."""
_PAUSE_WINDOWS = 4  # after 128 ms of silence the text is prepared in case it is the end
_INTERIM_S = 0.35
_LONG_S, _LONGEST_S = 10.0, 14.0  # a longer segment is cut at the next breath, or at once
_UNENDED_S = 1.0  # endpointing off: text still becomes final after this much silence


@dataclass(frozen=True)
class Word:
    """A word as written and its place in the stream in seconds (by its length, not measured)."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class SpeechStarted:
    """Somebody began to speak ``at`` seconds into the stream. Sent before any text."""

    at: float


@dataclass(frozen=True)
class Heard:
    """Text of the stream between ``start`` and ``end`` seconds.

    An interim (``final`` False) is replaced by what comes next; a final stands. ``ended`` says
    that the silence asked for followed. ``flushed`` marks the answer to ``Ear.flush``. The text
    is empty only there, and where a long utterance was cut and nothing but its end was left.
    """

    text: str
    words: tuple[Word, ...]
    start: float
    end: float
    final: bool
    ended: bool = False
    flushed: bool = False


@dataclass(frozen=True)
class UtteranceEnded:
    """No word for as long as asked, after final text; the last word ended at this second."""

    last_word_end: float


Event = SpeechStarted | Heard | UtteranceEnded


class Ear:
    """Listens to one stream of µ-law 8 kHz and yields ``Event`` objects in ``async for``.

    ``endpointing_ms`` of silence make the text final with ``ended``; None never does.
    ``utterance_end_ms`` without a word give ``UtteranceEnded``; None switches it off.
    Time is the stream's own: audio fed faster than real time is heard faster.
    Call ``close`` when no more audio comes (what is pending is still delivered), and
    ``aclose`` in the end.
    """

    def __init__(
        self,
        *,
        endpointing_ms: int | None = 300,
        utterance_end_ms: int | None = None,
        interims: bool = True,
    ) -> None:
        self._endpointing_s = None if endpointing_ms is None else endpointing_ms / 1000
        self._utterance_end_s = None if utterance_end_ms is None else utterance_end_ms / 1000
        self._interims = interims
        self._detector: vad.Detector | None = vad.acquire()
        self._rest = np.zeros(0, np.float32)
        self._windows = 0  # of the whole stream
        self._recent: deque[audio.Floats] = deque(maxlen=_PRE_ROLL)
        self._onset = 0
        self._segment: list[audio.Floats] | None = None
        self._segment_start = 0.0
        self._continues = False  # the segment goes on where a long one was cut
        self._last_final_end = 0.0
        self._voiced = 0
        self._voice_end = 0.0  # when the last speech window of the stream ended
        self._silent = 0
        self._next_interim = 0.0
        self._prepared: tuple[int, asyncio.Future[str]] | None = None
        self._utterance_open = False
        self._interim: asyncio.Future[str] | None = None
        self._segment_number = 0
        self._unread = 0
        self._last_word_end = 0.0
        self._jobs: asyncio.Queue[_Job | UtteranceEnded | None] = asyncio.Queue()
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._deliver(), name="ear")

    @property
    def now(self) -> float:
        """Seconds of audio heard so far."""
        return self._windows * vad.WINDOW_S

    @property
    def speaking(self) -> bool:
        """Somebody is in the middle of an utterance."""
        return self._segment is not None

    @property
    def spoken_s(self) -> float:
        """Seconds of speech in the utterance that is going on, 0 where none is."""
        return 0.0 if self._segment is None else self._voiced * vad.WINDOW_S

    @property
    def pending(self) -> bool:
        """Something was said whose text is not known yet."""
        return self._unread > 0

    @property
    def quiet_s(self) -> float:
        """Seconds of audio since the last sound of speech."""
        return self.now - self._voice_end

    def feed(self, mulaw: bytes) -> None:
        """Take any amount of µ-law audio. Costs about 0.1 ms for each 20 ms frame."""
        self.feed_floats(audio.decode(mulaw))

    def feed_floats(self, sound: audio.Floats) -> None:
        """Take any amount of 8 kHz float audio."""
        detector = self._detector
        if detector is None:
            return
        self._rest = np.concatenate([self._rest, sound])
        whole = len(self._rest) // vad.WINDOW * vad.WINDOW
        for at in range(0, whole, vad.WINDOW):
            window = self._rest[at : at + vad.WINDOW]
            self._hear_window(window, detector(window))
        self._rest = self._rest[whole:]

    def flush(self) -> None:
        """Make what was heard so far final now; always answered by a ``Heard(flushed=True)``."""
        if self._segment is not None:
            self._end(self._segment, ended=True, flushed=True)
        else:
            self._unread += 1
            self._jobs.put_nowait(
                _Job(None, self._last_final_end, self.now, 0.0, True, True, even_empty=True)
            )

    def close(self) -> None:
        """No more audio: pending text becomes final, then the iteration ends."""
        if self._detector is None:
            return
        if self._segment is not None:
            self._end(self._segment, ended=True)
        vad.release(self._detector)
        self._detector = None
        self._jobs.put_nowait(None)

    async def aclose(self) -> None:
        """Stop at once and free everything; pending text is lost."""
        self.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self._events.get()) is not None:
            yield event

    async def read(self) -> None:
        """Wait until the text of everything heard so far is known, for ``taken`` to return."""
        readings = [self._interim, self._prepared[1] if self._prepared else None]
        if open_readings := [r for r in readings if r is not None and not r.done()]:
            await asyncio.wait(open_readings)
        await self._jobs.join()

    def taken(self) -> list[Event]:
        """The events that nobody has taken yet, without waiting: instead of ``async for``."""
        events = []
        while not self._events.empty():
            if (event := self._events.get_nowait()) is not None:
                events.append(event)
        return events

    # -- from audio to jobs: on the event loop, never waits ---------------------------------

    def _hear_window(self, window: audio.Floats, likely: float) -> None:
        self._windows += 1
        if self._segment is None:
            self._recent.append(window)
            self._onset = self._onset + 1 if likely >= _SPEECH else 0
            if self._onset >= _ONSET_WINDOWS:
                self._begin_segment()
        else:
            self._segment.append(window)
            if likely >= _STILL_SPEECH:
                self._voiced += 1
                self._silent = 0
                self._voice_end = self.now
            else:
                self._silent += 1
            self._watch(self._segment)
        if (
            self._utterance_open
            and self._utterance_end_s is not None
            and self._segment is None
            and self.quiet_s >= self._utterance_end_s
        ):
            self._utterance_open = False
            self._jobs.put_nowait(UtteranceEnded(self._voice_end))

    def _begin_segment(self) -> None:
        self._segment = list(self._recent)
        self._segment_start = self.now - len(self._segment) * vad.WINDOW_S
        self._recent.clear()
        self._voiced, self._silent = self._onset, 0
        self._voice_end = self.now
        self._next_interim = self.now + _INTERIM_S
        self._prepared = None
        self._events.put_nowait(SpeechStarted(self.now - self._onset * vad.WINDOW_S))

    def _watch(self, segment: list[audio.Floats]) -> None:
        silent_s = self._silent * vad.WINDOW_S
        length_s = len(segment) * vad.WINDOW_S
        if silent_s >= (self._endpointing_s or _UNENDED_S) and self._silent >= 2:
            self._end(segment, ended=self._endpointing_s is not None)
        elif length_s >= _LONGEST_S or (length_s >= _LONG_S and self._silent):
            self._end(segment, ended=False)
            self._segment, self._segment_start, self._voiced = [], self.now, 0
            self._continues = True
        elif self._silent == _PAUSE_WINDOWS and self._voiced >= _LEAST_WINDOWS:
            self._prepare(segment, PAUSE)
        elif (
            self._interims
            and not self._silent
            and self.now >= self._next_interim
            and self._voiced >= _LEAST_WINDOWS
        ):
            # Each interim reads the whole segment again: space them out as it grows.
            self._next_interim = self.now + max(_INTERIM_S, 0.15 * length_s)
            if (self._interim is None or self._interim.done()) and not workers().behind:
                self._prepare(segment, INTERIM)

    def _prepare(self, segment: list[audio.Floats], urgency: int) -> None:
        """Read the segment so far; the reading is also the final one if nothing is added to it."""
        reading = workers().text_of(np.concatenate(segment), urgency)
        if urgency == PAUSE:
            self._prepared = (self._voiced, reading)
        if self._interims:
            self._interim = reading
            place = (self._segment_start, self.now, self._voice_end)
            reading.add_done_callback(partial(self._emit_interim, self._segment_number, place))

    def _emit_interim(
        self, segment: int, place: tuple[float, float, float], reading: "asyncio.Future[str]"
    ) -> None:
        """Tell an interim, unless the reading came too late: finals are never held up for one."""
        start, end, voice_end = place
        late = segment != self._segment_number or self._unread or self._detector is None
        if late or reading.cancelled() or reading.exception() or not reading.result():
            return
        text = reading.result()
        words = _spread(text, start, voice_end)
        self._events.put_nowait(Heard(text, words, start, end, final=False))

    def _end(self, segment: list[audio.Floats], *, ended: bool, flushed: bool = False) -> None:
        reading = None
        if self._voiced >= _LEAST_WINDOWS:
            if self._prepared and self._prepared[0] == self._voiced:
                reading = self._prepared[1]
            else:
                reading = workers().text_of(np.concatenate(segment), FINAL)
            self._utterance_open = True
        self._unread += 1
        self._jobs.put_nowait(
            _Job(
                reading,
                self._segment_start,
                self.now,
                self._voice_end,
                ended=ended,
                flushed=flushed,
                even_empty=flushed or self._continues,
            )
        )
        self._continues = False
        self._recent.extend(segment[-self._silent :] if self._silent else ())
        self._segment, self._onset, self._prepared = None, 0, None
        self._segment_number += 1
        self._last_final_end = self.now

    # -- from jobs to events: one task, in order ---------------------------------------------

    async def _deliver(self) -> None:
        while (job := await self._jobs.get()) is not None:
            if isinstance(job, UtteranceEnded):
                if self._last_word_end:
                    self._events.put_nowait(job)
            else:
                await self._read_job(job)
            self._jobs.task_done()
        self._jobs.task_done()
        self._events.put_nowait(None)

    async def _read_job(self, job: "_Job") -> None:
        text = await job.reading if job.reading else ""
        self._unread -= 1
        if not any(c.isalnum() for c in text):
            text = ""
        if not text and not job.even_empty:
            return
        words = _spread(text, job.start, job.voice_end)
        if words:
            self._last_word_end = words[-1].end
        self._events.put_nowait(
            Heard(text, words, job.start, job.end, True, job.ended, job.flushed)
        )


@dataclass(frozen=True)
class _Job:
    reading: "asyncio.Future[str] | None"
    start: float
    end: float
    voice_end: float
    ended: bool
    flushed: bool = False
    even_empty: bool = False


def _spread(text: str, start: float, end: float) -> tuple[Word, ...]:
    """Place the words of ``text`` between two times, the longer words taking more of it."""
    texts = text.split()
    start = min(start + 0.2, end)  # the pre-roll is silence
    total = sum(len(re.sub(r"\W", "", t)) + 1 for t in texts)
    words, at = [], start
    for t in texts:
        until = at + (end - start) * (len(re.sub(r"\W", "", t)) + 1) / total
        words.append(Word(t, round(at, 3), round(until, 3)))
        at = until
    return tuple(words)
