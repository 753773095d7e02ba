"""Wake a worker. Rows are committed before a nudge goes, and beat finds what a lost one left."""

from celery import current_app

# By name: what is enqueued here imports what calls this.
SEND = "sms.tasks.send"
ANSWER = "sms.tasks.answer"


def send() -> None:
    """Have a worker send the texts that are due."""
    current_app.send_task(SEND)


def answer(after_s: float) -> None:
    """Have a worker write the answers that are due then."""
    current_app.send_task(ANSWER, countdown=after_s)
