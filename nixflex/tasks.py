"""The project's own periodic task."""

import time

from celery import shared_task
from celery.signals import beat_init
from django.core.cache import cache

from nixflex import checks

HEARTBEAT_KEY = "nixflex.heartbeat"
HEARTBEAT_LIFETIME_SECONDS = 45


@shared_task(expires=20)
def heartbeat() -> None:
    """Note that beat sends, the broker carries and a worker runs tasks; ``/readyz`` reads it."""
    cache.set(HEARTBEAT_KEY, time.time(), HEARTBEAT_LIFETIME_SECONDS)


@beat_init.connect
def _first_heartbeat(**_: object) -> None:
    """Beat waits a whole interval before the first run; ``/readyz`` need not."""
    checks.stop_if_unusable()  # unlike a worker, beat runs no checks of its own
    heartbeat.delay()
