"""Wake the dispatcher. Beat calls it every second anyway; a nudge only spares the wait."""

from celery import current_app

from calls.nudges import once_soon

# By name: what is enqueued here imports what calls this.
DISPATCH = "campaigns.tasks.dispatch"


def dispatch() -> None:
    """Have a worker place the next due calls of all campaigns."""
    current_app.send_task(DISPATCH)


def dispatch_soon() -> None:
    """Do so in a moment, once for however many calls end meanwhile."""
    once_soon(DISPATCH)
