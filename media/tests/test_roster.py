"""A media process as the others see it, and its end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from calls import presence
from calls.factories import CallFactory
from calls.live import LiveCall
from calls.models import Call
from calls.presence import Room
from conftest import PATIENCE_S
from media import roster as module
from media.factories import LiveCallFactory
from media.journal import in_thread
from media.roster import Roster

pytestmark = pytest.mark.django_db(transaction=True)


class Talk:
    """A live session, as the roster knows it."""

    def __init__(self, pk: int, generation: int = 1) -> None:
        self.call = cast("LiveCall", LiveCallFactory(pk=pk, generation=generation))
        self.superseded_by: int | None = None
        self.news = asyncio.Event()
        self.moved = False

    def superseded(self, by: int) -> None:
        self.superseded_by = by
        self.news.set()

    def move(self) -> None:
        self.moved = True
        self.news.set()


@pytest.fixture
async def house() -> AsyncIterator[Roster]:
    house = Roster()
    yield house
    for talk in list(house._sessions.values()):
        await house.leave(talk)
    await sync_to_async(connections.close_all)()


def make_call(**fields: Any) -> Call:
    return CallFactory.create(live=True, media_generation=1, **fields)


async def test_a_call_that_another_process_has_taken_over_makes_way(house, monkeypatch):
    monkeypatch.setattr(module, "EVERY_S", 0.02)
    monkeypatch.setattr(module, "TICK_S", 0.01)
    call = await sync_to_async(make_call)()
    talk = Talk(call.pk)

    house.enter(talk)
    await sync_to_async(Call.objects.filter(pk=call.pk).update)(media_generation=2)
    async with asyncio.timeout(PATIENCE_S):
        await talk.news.wait()

    assert talk.superseded_by == 2
    await call.arefresh_from_db()
    assert call.media_seen_at is not None


async def test_the_newest_socket_of_a_call_in_one_process_wins(house):
    old, new = Talk(1), Talk(1, generation=2)

    house.enter(old)
    house.enter(new)

    assert (old.superseded_by, new.superseded_by, house.live) == (2, None, 1)
    await house.leave(old)
    assert house.live == 1


async def test_garbage_is_looked_for_once_nobody_talks_any_more(house, monkeypatch):
    monkeypatch.setattr(module, "EVERY_S", 0.02)
    monkeypatch.setattr(module, "TICK_S", 0.01)
    looks: list[int] = []
    looked, said = asyncio.Event(), asyncio.Event()

    def look() -> None:
        looks.append(house.live)
        looked.set()

    def announce(*args: object, **kwargs: object) -> None:
        loop.call_soon_threadsafe(said.set)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(module.garbage, "collect", look)
    monkeypatch.setattr(module.presence, "announce", announce)
    first, second = Talk(1), Talk(2)
    house.start()
    house.enter(first)
    house.enter(second)

    await house.leave(first)
    for _ in range(3):
        said.clear()
        await said.wait()
    assert looks == []
    await house.leave(second)
    async with asyncio.timeout(PATIENCE_S):
        await looked.wait()
        for _ in range(3):
            said.clear()
            await said.wait()

    assert looks == [0]


async def test_at_its_limit_a_process_has_no_room(house, settings):
    settings.MEDIA_MAX_CALLS = 1
    assert house.has_room

    house.enter(Talk(1))

    assert not house.has_room


async def test_a_loop_that_runs_late_has_no_room(house):
    house.lag_s = module.MOST_LAG_S + 0.01

    assert not house.has_room


async def test_draining_lets_calls_end_and_moves_those_that_do_not(house):
    ends, stays = Talk(1), Talk(2)
    house.enter(ends)
    house.enter(stays)

    async def follow() -> None:
        await house.leave(ends)
        await stays.news.wait()
        await house.leave(stays)

    following = asyncio.create_task(follow())
    async with asyncio.timeout(PATIENCE_S):
        await house.drain(0.1)
    await following

    assert (ends.moved, stays.moved, house.live) == (False, True, 0)
    assert await in_thread(presence.room) is Room.NONE
