"""Speech to text: threads that read telephone audio with a real model, the most urgent first.

The model is the tiny English Moonshine that comes in the ``moonshine-voice`` wheel. Its transcriber
is not thread-safe, so each worker thread has one.
"""

import asyncio
import itertools
import os
import queue
import threading

from . import audio, vad

_WORKERS = int(os.environ.get("SANDBOX_SPEECH_WORKERS", min(2, os.cpu_count() or 1)))
_MODEL_RATE = 16000
FINAL, PAUSE, INTERIM = range(3)  # who is served first


class Workers:
    """Threads that turn 8 kHz float audio into text, the most urgent job first."""

    def __init__(self, count: int) -> None:
        self._jobs: queue.PriorityQueue[
            tuple[int, int, audio.Floats, asyncio.Future[str], asyncio.AbstractEventLoop]
        ] = queue.PriorityQueue()
        self._number = itertools.count()
        self._count, self._unfinished = count, 0
        self._lock = threading.Lock()
        self._ready = threading.Event()
        for n in range(count):
            threading.Thread(target=self._work, daemon=True, name=f"recogniser-{n}").start()

    @property
    def behind(self) -> bool:
        """Every worker is busy: what can be left out should be."""
        return self._unfinished >= self._count

    @property
    def busy(self) -> bool:
        return self._unfinished > 0

    def wait_ready(self) -> None:
        self._ready.wait()

    def text_of(self, sound: audio.Floats, urgency: int) -> "asyncio.Future[str]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        with self._lock:
            self._unfinished += 1
        self._jobs.put((urgency, next(self._number), sound, future, loop))
        return future

    def _work(self) -> None:
        from moonshine_voice.moonshine_api import ModelArch
        from moonshine_voice.transcriber import Transcriber
        from moonshine_voice.utils import get_assets_path

        # One utterance in, one line out: its own voice detector would cut names in two.
        options = {"vad_threshold": "0.0", "return_audio_data": "false"}
        path = os.path.join(str(get_assets_path()), "tiny-en")
        with self._lock:  # its library handle is a singleton that races with itself
            transcriber = Transcriber(path, ModelArch.TINY, options=options)
        transcriber.transcribe_without_streaming([0.0] * _MODEL_RATE, _MODEL_RATE)
        self._ready.set()
        while True:
            _, _, sound, future, loop = self._jobs.get()
            try:
                if not future.cancelled():
                    sound = audio.resample(sound, audio.RATE, _MODEL_RATE)
                    lines = transcriber.transcribe_without_streaming(
                        sound.tolist(), _MODEL_RATE
                    ).lines
                    text = " ".join(" ".join(line.text for line in lines).split())
                    loop.call_soon_threadsafe(_resolve, future, text)
            except RuntimeError:
                continue  # the loop that asked has closed: nobody is listening any more
            except Exception as error:
                loop.call_soon_threadsafe(_reject, future, error)
            finally:
                with self._lock:
                    self._unfinished -= 1


def _resolve(future: "asyncio.Future[str]", text: str) -> None:
    if not future.done():
        future.set_result(text)


def _reject(future: "asyncio.Future[str]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


_shared: Workers | None = None


def workers() -> Workers:
    global _shared
    if _shared is None:
        _shared = Workers(max(1, _WORKERS))
    return _shared


def busy() -> bool:
    """Somebody's speech is being read at this moment."""
    return _shared is not None and _shared.busy


async def warm_up() -> None:
    """Load the model (about a second); an ``Ear`` used earlier waits for it by itself."""
    await asyncio.to_thread(workers().wait_ready)
    vad.release(vad.acquire())
