"""Wake a worker. Rows are committed before a nudge goes, and beat finds what a lost one left."""

from celery import current_app

# By name: what is enqueued here imports what calls this.
SEND = "sms.tasks.send"
ANSWER = "sms.tasks.answer"
TAKE_IN = "sms.tasks.take_in"


def send() -> None:
    """Have a worker send the texts that are due."""
    current_app.send_task(SEND)


def take_in() -> None:
    """Have a worker take in the texts that have arrived, and what the carrier reported of ours."""
    current_app.send_task(TAKE_IN)


def answer(after_s: float) -> None:
    """Have a worker write the answers that are due then."""
    current_app.send_task(ANSWER, countdown=after_s)
