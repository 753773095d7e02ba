"""The task queue. Tasks live in each app's ``tasks.py``; the beat schedule is in settings."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nixflex.settings")

app = Celery("nixflex")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def load_before_forking(sender: Any, **_: Any) -> None:
    """Load once, in the parent, what each pool process would load at its first task: the SDKs take
    over a second of processor time, and a call's after-care waits for it.

    A pool of threads (``make run``) loads them once anyway, when it first needs them.
    """
    if "prefork" not in str(sender.pool_cls):
        return
    import anthropic.resources.messages
    import twilio.rest.api.v2010.account

    assert anthropic and twilio  # noqa: S101 (loaded for what forks from here)
    gc.collect()
    gc.freeze()  # the children share these pages as long as nobody counts their garbage
