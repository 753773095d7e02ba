"""What an agent says first, written and spoken while the call still rings, and kept until somebody
picks up.

It lies in Valkey, where whichever media process gets the call finds it; never in the database. It
holds speech: it is gone when it is taken, when the call ends, and after ``KEPT_S`` at the latest.
Only a head start: a call whose opening is not there says it as if nobody had prepared one.
"""

import logging
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import orjson
import redis
import redis.asyncio
from django.conf import settings

logger = logging.getLogger(__name__)

WANTED = "nixflex.openings"
WANTED_FOR_S = 30  # nobody prepares the opening of a call that rang so long ago
KEPT_S = 120
# Of the µ-law audio, some 40 s. What is longer is spoken live from there on.
MOST_BYTES = 320_000
TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class Opening:
    """The first words: ``text`` as the model wrote it or the agent's settings have it, and the
    µ-law audio of its first clauses, by what they say.

    ``voice`` and ``rate`` are how it sounds, ``fixed`` is the welcome message it says, "" if the
    model wrote it: an opening that is another by now is of no use.
    """

    text: str
    audio: dict[str, bytes]
    voice: str
    rate: float | None
    fixed: str = ""

    @property
    def audio_ms(self) -> int:
        return sum(map(len, self.audio.values())) // 8


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    )


def want(call_pk: int) -> None:
    """Have a media process prepare the opening of a call that rings."""
    if not settings.PREPARE_OPENINGS:
        return
    try:
        with _valkey().pipeline() as valkey:
            valkey.rpush(WANTED, call_pk)
            valkey.expire(WANTED, WANTED_FOR_S)
            valkey.execute()
    except redis.RedisError as error:
        logger.warning("nobody prepares an opening: %s", type(error).__name__)


async def next_wanted(valkey: redis.asyncio.Redis, wait_s: float) -> int | None:
    """Return the key of a call whose opening this process shall prepare, and nobody else does;
    None if there was none for ``wait_s``."""
    found = await cast("Any", valkey.blpop([WANTED], timeout=wait_s))
    return int(found[1]) if found else None


def keep(call_pk: int, opening: Opening) -> None:
    about = {
        "text": opening.text,
        "clauses": [(text, len(mulaw)) for text, mulaw in opening.audio.items()],
        "voice": opening.voice,
        "rate": opening.rate,
        "fixed": opening.fixed,
    }
    kept = {"about": orjson.dumps(about), "audio": b"".join(opening.audio.values())}
    try:
        with _valkey().pipeline() as valkey:
            valkey.hset(_key(call_pk), mapping=cast("Any", kept))
            valkey.expire(_key(call_pk), KEPT_S)
            valkey.execute()
    except redis.RedisError as error:
        logger.warning("cannot keep an opening: %s", type(error).__name__)


def take(call_pk: int, *, voice: str, rate: float | None, fixed: str) -> Opening | None:
    """Return the opening of a call, once, if it is what the call would say in this voice."""
    try:
        with _valkey().pipeline() as valkey:
            valkey.hgetall(_key(call_pk))
            valkey.delete(_key(call_pk))
            kept, _ = valkey.execute()
    except redis.RedisError as error:
        logger.warning("cannot look for an opening: %s", type(error).__name__)
        return None
    if not kept:
        return None
    about, mulaw = orjson.loads(kept[b"about"]), kept[b"audio"]
    if (about["voice"], about["rate"], about["fixed"]) != (voice, rate, fixed):
        return None
    audio, at = {}, 0
    for text, size in about["clauses"]:
        audio[text] = mulaw[at : at + size]
        at += size
    return Opening(about["text"], audio, voice, rate, fixed)


def forget(call_pk: int) -> None:
    """Drop the opening of a call that is over, if one was prepared."""
    if not settings.PREPARE_OPENINGS:
        return
    try:
        _valkey().delete(_key(call_pk))
    except redis.RedisError as error:
        logger.warning("cannot forget an opening: %s", type(error).__name__)


def _key(call_pk: int) -> str:
    return f"nixflex.opening.{call_pk}"
