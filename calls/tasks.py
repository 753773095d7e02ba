"""Background work on calls. Every task may run twice, at once, or be lost: the rows say what is
left to do."""

from celery import shared_task

from accounts.steps import each_by_itself
from calls import aftercare, dialling, nudges, retention, sweeping, transfer_sweep, whispers


@shared_task
def dial() -> None:
    """Dial the calls that may start, at the carrier's pace."""
    dialling.dial_due()


@shared_task
def sweep() -> None:
    """Find what lost news left behind: doubtful dials, calls that ended unheard, calls still
    waiting, after-care that was not done."""
    each_by_itself(
        dialling.reconcile,
        transfer_sweep.settle_lost,
        sweeping.check_stale_calls,
        sweeping.cancel_too_late,
        _wake_dialers,
        _wake_aftercare,
    )


def _wake_dialers() -> None:
    for _ in range(sweeping.calls_to_nudge()):
        nudges.dial_next()


def _wake_aftercare() -> None:
    for call_pk in aftercare.overdue():
        nudges.after_call(call_pk)


@shared_task
def rescue() -> None:
    """Find calls that lost their media process and do not know it."""
    sweeping.rescue_silent_calls()


@shared_task
def after_call(call_pk: int) -> None:
    """Analyse a call that is over, remember what it told, and tell who listens."""
    aftercare.care_for(call_pk)


@shared_task
def prepare_whisper(transfer_pk: int) -> None:
    """Write and speak what a colleague hears before a warm transfer."""
    whispers.prepare(transfer_pk)


@shared_task
def purge() -> None:
    """Erase what is older than the retention allows, a part at a time."""
    if retention.purge():
        nudges.purge()
