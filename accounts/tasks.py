"""Housekeeping of accounts."""

from celery import shared_task

from accounts import idempotency


@shared_task
def purge_stored_answers() -> None:
    """Delete answers kept for copies of their requests that nobody can send any more."""
    idempotency.purge()
