"""Wake a worker. The row is committed before the nudge goes, and the sweep finds rows whose nudge
was lost."""

import logging
from functools import cache

import redis
from celery import current_app
from django.conf import settings

logger = logging.getLogger(__name__)

# By name: what is enqueued here imports what calls this.
DIAL = "calls.tasks.dial"
AFTER_CALL = "calls.tasks.after_call"
PURGE = "calls.tasks.purge"
PREPARE_WHISPER = "calls.tasks.prepare_whisper"


def dial_next() -> None:
    """Have a worker dial the longest-waiting call that may start."""
    current_app.send_task(DIAL)


def dial_soon() -> None:
    """Do so in a moment, once for however many ask meanwhile."""
    once_soon(DIAL)


def once_soon(task: str, in_ms: int = 150) -> None:
    """Have a worker run ``task`` in so many milliseconds, unless somebody has asked for it already
    and it has not begun."""
    try:
        if not _valkey().set(f"nixflex.soon.{task}", 1, nx=True, px=in_ms):
            return
    except redis.RedisError as error:
        logger.warning("cannot remember a nudge: %s", type(error).__name__)
    current_app.send_task(task, countdown=in_ms / 1000)


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0)


def after_call(call_pk: int, *, in_s: int = 0) -> None:
    """Have a worker do what follows a call that is over, in so many seconds."""
    current_app.send_task(AFTER_CALL, args=[call_pk], countdown=in_s)


def purge() -> None:
    """Have a worker erase more of what is too old."""
    current_app.send_task(PURGE)


def prepare_whisper(transfer_pk: int) -> None:
    """Have a worker write and speak what a colleague hears before a warm transfer."""
    current_app.send_task(PREPARE_WHISPER, args=[transfer_pk], expires=30)
