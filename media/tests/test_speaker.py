"""Clauses between the voice and the line, one of them made before it is certain to be said."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from media.events import Press, Speak
from media.speaker import Speaker
from media.voice import Voice, VoiceFailed
from media.writer import Writer

PIECES = 3


class SlowVoice:
    """Makes a piece of audio, its text's name on it, each time that it is let."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.fails: set[str] = set()
        self.running = 0
        self.dropped = 0
        self._may = asyncio.Semaphore(0)

    async def open(self) -> None: ...

    async def drop_rest(self) -> None:
        self.dropped += 1

    async def speak(self, text: str) -> AsyncGenerator[bytes]:
        assert self.running == 0, "two clauses at once"
        self.running += 1
        try:
            for piece in range(PIECES):
                await self._may.acquire()
                if text in self.fails and piece == 1:
                    raise VoiceFailed("gone")
                self.made.append(text)
                yield f"{text}{piece}".encode()
        finally:
            self.running -= 1

    def let(self) -> None:
        self._may.release()


class Lines:
    """Where the writer stands: what reached it, by clause."""

    def __init__(self) -> None:
        self.out: list[tuple[int, bytes]] = []
        self.ended: list[int] = []
        self.clears = 0

    def audio(self, clause_id: int, mulaw: bytes) -> None:
        self.out.append((clause_id, mulaw))

    def end(self, clause_id: int) -> None:
        self.ended.append(clause_id)

    def clear(self) -> None:
        self.clears += 1


class Bench:
    def __init__(self) -> None:
        self.voice, self.lines = SlowVoice(), Lines()
        self.tasks: set[asyncio.Task[None]] = set()
        self.ready: list[int] = []
        self.failed: list[int] = []
        self.speaker = Speaker(
            cast(Voice, self.voice),
            cast(Writer, self.lines),
            hold=self._hold,
            on_ready=self.ready.append,
            on_failed=lambda clause_id, _error: self.failed.append(clause_id),
        )
        self.speaker.start()

    def _hold(self, work: Any, name: str | None = None) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task

    async def lets(self, pieces: int) -> None:
        for _ in range(pieces):
            self.voice.let()
            await settle()

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)
        for task in self.tasks:
            assert task.cancelled() or task.exception() is None


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_prepared_clause_leaves_at_once_when_it_is_said_and_is_not_made_again():
    bench = Bench()
    bench.speaker.prepare("a")
    await bench.lets(2)
    assert (bench.lines.out, bench.ready) == ([], [])

    bench.speaker.say(Speak(7, "a"))
    assert bench.lines.out == [(7, b"a0"), (7, b"a1")]
    assert bench.ready == []  # not from within
    bench.speaker.say(Speak(8, "b"))
    await bench.lets(4)
    await bench.close()

    assert bench.lines.out[2:] == [(7, b"a2"), (8, b"b0"), (8, b"b1"), (8, b"b2")]
    assert (bench.lines.ended, bench.ready) == ([7, 8], [7, 8])


async def test_a_prepared_clause_that_is_forgotten_is_stopped_and_its_late_audio_dropped():
    bench = Bench()
    bench.speaker.prepare("a")
    await bench.lets(1)

    assert bench.speaker.forget() == 1
    await settle()
    assert (bench.voice.running, bench.voice.dropped) == (0, 1)
    bench.speaker.say(Speak(1, "a"))
    await bench.lets(3)
    await bench.close()

    assert bench.lines.out == [(1, b"a0"), (1, b"a1"), (1, b"a2")]
    assert bench.lines.clears == 0
    assert bench.speaker.forget() == 0


async def test_a_clause_that_could_not_be_prepared_is_made_when_it_is_said():
    bench = Bench()
    bench.voice.fails = {"a"}
    bench.speaker.prepare("a")
    await bench.lets(2)
    assert bench.failed == []

    bench.voice.fails = set()
    bench.speaker.say(Speak(1, "a"))
    await bench.lets(3)
    await bench.close()

    assert bench.lines.out == [(1, b"a0"), (1, b"a1"), (1, b"a2")]


async def test_a_clause_that_fails_behind_its_release_is_reported():
    bench = Bench()
    bench.voice.fails = {"a"}
    bench.speaker.prepare("a")
    await bench.lets(1)
    bench.speaker.say(Speak(1, "a"))

    await bench.lets(1)
    await bench.close()

    assert (bench.failed, bench.lines.ended) == ([1], [])


orders = st.lists(
    st.sampled_from(["prepare", "forget", "say it", "say another", "press", "silence", "let"]),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(orders)
def test_nothing_that_was_forgotten_reaches_the_line_and_the_rest_does_in_order(orders):
    asyncio.run(_follows(orders))


async def _follows(orders: list[str]) -> None:
    bench = Bench()
    held, said = "", []
    for number, order in enumerate(orders, 1):
        if order == "prepare" and not held:
            held = f"p{number}."
            bench.speaker.prepare(held)
        elif order == "forget" and held:
            bench.speaker.forget()
            held = ""
        elif order == "say it" and held:
            bench.speaker.say(Speak(number, held))
            said.append((number, held))
            held = ""
        elif order == "say another" and not held:
            bench.speaker.say(Speak(number, f"s{number}."))
            said.append((number, f"s{number}."))
        elif order == "press" and not held:
            bench.speaker.say(Press(number, "1"))
        elif order == "silence" and not held:
            bench.speaker.silence()
            said = []
            bench.lines.out.clear()
        elif order == "let":
            await bench.lets(1)
    await settle()
    await bench.lets(PIECES * 25)
    await bench.close()

    spoken = [(n, mulaw.decode()) for n, mulaw in bench.lines.out if len(mulaw) < 10]  # no keys
    whole = [(n, f"{text}{piece}") for n, text in said for piece in range(PIECES)]
    assert spoken == whole
