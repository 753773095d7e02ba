"""Which media processes there are, and whether one has room for a call: they say so themselves,
every two seconds, in Valkey.

Only news: where nothing is known, or Valkey is away, calls are connected as if there were room.
"""

import json
import logging
import time
from enum import Enum
from functools import cache
from typing import Any

import redis
from django.conf import settings

logger = logging.getLogger(__name__)

KEY = "nixflex.media"
FRESH_S = 6.0
FORGOTTEN_AFTER_S = 600.0


class Room(Enum):
    YES = "yes"
    FULL = "full"  # every process that lives has as many calls as it can hold
    NONE = "none"  # no process lives, or all are about to stop


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0, decode_responses=True
    )


def announce(name: str, *, live: int, has_room: bool, draining: bool) -> None:
    """Say that the media process ``name`` lives, with ``live`` calls."""
    said = {"at": time.time(), "live": live, "room": has_room, "draining": draining}
    try:
        _valkey().hset(KEY, name, json.dumps(said))
    except redis.RedisError as error:
        logger.warning("cannot announce this media process: %s", type(error).__name__)


def alive() -> dict[str, dict[str, Any]]:
    """What each media process that lives says of itself: ``live`` calls, ``room``, ``draining``."""
    now = time.time()
    return {name: one for name, one in _said().items() if now - one["at"] <= FRESH_S}


def room() -> Room:
    """Whether a call may be connected to a media process now."""
    said = _said()
    now = time.time()
    there = [one for one in said.values() if now - one["at"] <= FRESH_S and not one["draining"]]
    if any(one["room"] for one in there) or not said:
        return Room.YES
    return Room.FULL if there else Room.NONE


def _said() -> dict[str, dict[str, Any]]:
    try:
        known = _valkey().hgetall(KEY)
        said = {str(name): json.loads(text) for name, text in known.items()}
        now = time.time()
        gone = [name for name, one in said.items() if now - one["at"] > FORGOTTEN_AFTER_S]
        if gone:
            _valkey().hdel(KEY, *gone)
    except redis.RedisError as error:
        logger.warning("cannot ask for media processes: %s", type(error).__name__)
        return {}
    return said
