"""The settings of a test run: real PostgreSQL and Valkey of its own, nothing from ``.env``.

Every pytest process (each xdist worker too) takes the first free slot and with it a database of
each server, so that runs beside each other do not meet. ``DATABASE_URL`` and ``REDIS_URL`` replace
the embedded servers; such a Redis is never emptied, so give the tests one of their own.
"""

import os
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent
os.environ |= {
    "NIXFLEX_ENV_FILE": os.devnull,
    "NIXFLEX_DATA_DIR": os.environ.get("NIXFLEX_TEST_DATA_DIR", str(_PROJECT / ".nixflex/test")),
    "DEBUG": "0",
    "SANDBOX": "1",
    "SECRET_KEY": "only-the-tests-use-this-key-so-it-may-be-known-to-everyone-0123456789",
    "FIELD_ENCRYPTION_KEYS": "dGhlLXRlc3RzLWtleS1pcy1rbm93bi10by1hbGwtISE=",
    "PUBLIC_URL": "http://127.0.0.1:8000",
}
for _name in ("PORT", "MEDIA_PORT", "SANDBOX_PORT", "MEDIA_URL", "ALLOWED_HOSTS"):
    os.environ.pop(_name, None)
for _service in ("TWILIO", "DEEPGRAM", "ANTHROPIC", "CALCOM"):
    os.environ.pop(f"{_service}_API_URL", None)
    os.environ.pop(f"{_service}_API_KEY", None)

from nixflex import embedded
from nixflex.settings import *  # noqa: F403
from nixflex.settings import (
    CACHES,
    CHANNEL_LAYERS,
    DATA_DIR,
    DATABASES,
    EMBEDDED_POSTGRES,
    EMBEDDED_VALKEY,
)

embedded.ensure(DATA_DIR, postgres=EMBEDDED_POSTGRES, valkey=EMBEDDED_VALKEY, durable=False)
TEST_SLOT = embedded.take_slot(DATA_DIR)
DATABASES["default"]["TEST"] = {"NAME": f"test_nixflex_{TEST_SLOT}"}
DATABASES["default"]["CONN_MAX_AGE"] = 0
if EMBEDDED_VALKEY:
    REDIS_URL = embedded.redis_url(DATA_DIR, db=TEST_SLOT)
    CELERY_BROKER_URL = embedded.celery_broker_url(DATA_DIR, db=TEST_SLOT)
    CACHES = {"default": {**CACHES["default"], "LOCATION": REDIS_URL}}
    CHANNEL_LAYERS = {
        "default": {
            **CHANNEL_LAYERS["default"],
            "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}]},
        }
    }
STATIC_ROOT = DATA_DIR / "static"  # nothing is collected for a test: pages find their sources
STATIC_ROOT.mkdir(exist_ok=True)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Tests of the pace set their own.
CARRIER_CALLS_PER_SECOND = 1000.0
