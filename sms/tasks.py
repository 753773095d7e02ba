"""Background work on texts. Every task may run twice, at once, or be lost: the rows say what is
left to do."""

from celery import shared_task

from accounts.steps import each_by_itself
from sms import answering, arrivals, recovery, reports, sending, statuses, window


@shared_task
def send() -> None:
    """Send the texts that are due, at the carrier's pace."""
    sending.send_due()


@shared_task
def take_in() -> None:
    """Take in the texts that have arrived, and what the carrier reported of ours."""
    arrivals.take_in()
    reports.take_in()


@shared_task
def answer() -> None:
    """Write the automatic answers that are due."""
    answering.answer_due()


@shared_task
def sweep() -> None:
    """Find what lost news left behind: arrivals, reports, doubtful texts, silent ones, ended
    windows, answers due."""
    each_by_itself(
        arrivals.take_in,
        reports.take_in,
        sending.reconcile,
        statuses.ask_about_silent,
        window.close_expired,
        answering.answer_due,
    )


@shared_task
def recover() -> None:
    """Take in texts whose webhooks were lost."""
    recovery.recover_received()
