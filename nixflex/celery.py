"""The task queue. Tasks live in each app's ``tasks.py``; the beat schedule is in settings."""

import gc
import logging
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init
from django.conf import settings
from django.utils.log import configure_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nixflex.settings")

app = Celery("nixflex")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def log_as_the_others_do(loglevel: int, **_: Any) -> None:
    """Keep Celery from putting its own format in place of ours, which leaves numbers out."""
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
    logging.getLogger().setLevel(loglevel)


@worker_init.connect
def load_before_forking(sender: Any, **_: Any) -> None:
    """Load once, in the parent, what each pool process would load at its first task: the model's
    SDK takes over a second of processor time, and a call's after-care waits for it.

    A pool of threads (``make run``) loads it once anyway, when it first needs it.
    """
    if "prefork" not in str(sender.pool_cls):
        return
    from agents import model

    model.preload()
    gc.collect()
    gc.freeze()  # the children share these pages as long as nobody counts their garbage
