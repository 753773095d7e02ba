"""PostgreSQL and Valkey from wheels, for development and tests: nothing to install, no ports.

Data lies in a folder of the project (``.nixflex``). Any number of processes share the servers; each
says with ``ensure`` that it uses them, and when the last one is gone (however it died) they stop.
This package needs neither Django nor settings, so it can run before both.
"""

from .places import EmbeddedError, celery_broker_url, database_url, redis_url
from .users import ensure, release, take_slot

__all__ = [
    "EmbeddedError",
    "celery_broker_url",
    "database_url",
    "ensure",
    "redis_url",
    "release",
    "take_slot",
]
