"""Wake a worker. The row is committed before the nudge goes, and the sweep finds rows whose nudge
was lost."""

from celery import current_app

# By name: what is enqueued here imports what calls this.
DIAL = "calls.tasks.dial"
AFTER_CALL = "calls.tasks.after_call"
PURGE = "calls.tasks.purge"


def dial_next() -> None:
    """Have a worker dial the longest-waiting call that may start."""
    current_app.send_task(DIAL)


def after_call(call_pk: int, *, in_s: int = 0) -> None:
    """Have a worker do what follows a call that is over, in so many seconds."""
    current_app.send_task(AFTER_CALL, args=[call_pk], countdown=in_s)


def purge() -> None:
    """Have a worker erase more of what is too old."""
    current_app.send_task(PURGE)
