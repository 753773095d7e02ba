"""Wake a worker. Rows are committed before a nudge goes, and beat finds what a lost one left."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_app

# By name: what is enqueued here imports what calls this.
SEND = "sms.tasks.send"
ANSWER = "sms.tasks.answer"
TAKE_IN = "sms.tasks.take_in"


_gathered = threading.local()


def send() -> None:
    """Have a worker send the texts that are due."""
    if hasattr(_gathered, "is_due"):
        _gathered.is_due = True
    else:
        current_app.send_task(SEND)


@contextmanager
def one_to_send() -> Iterator[None]:
    """Let this thread's nudges to ``send`` within be one, at the end. Not to be nested."""
    _gathered.is_due = False
    try:
        yield
    finally:
        is_due = _gathered.is_due
        del _gathered.is_due
        if is_due:
            send()


def take_in() -> None:
    """Have a worker take in the texts that have arrived, and what the carrier reported of ours."""
    current_app.send_task(TAKE_IN)


def answer(after_s: float) -> None:
    """Have a worker write the answers that are due then."""
    current_app.send_task(ANSWER, countdown=after_s)
