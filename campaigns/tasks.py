"""Background work on campaigns. Every task may run twice, at once, or be lost: the rows say what is
left to do."""

from celery import shared_task

from campaigns import dispatch as dispatching
from campaigns import outcomes
from campaigns.texts import dispatch as texts


@shared_task
def dispatch() -> None:
    """Place the next due calls of all campaigns."""
    dispatching.dispatch_all()


@shared_task
def sweep() -> None:
    """Find what lost news left behind: calls whose end nobody wrote down, campaigns that are
    done."""
    outcomes.sweep()


@shared_task
def dispatch_texts() -> None:
    """Start the text campaigns that are due, hand on their next texts, and end those that are
    through."""
    texts.dispatch_all()
