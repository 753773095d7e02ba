"""Background work of the outbox. Safe to run twice, at once, or never: the rows say what is due."""

from celery import shared_task

from webhooks import delivery


@shared_task
def deliver() -> None:
    """Send what is due."""
    delivery.deliver_due()
