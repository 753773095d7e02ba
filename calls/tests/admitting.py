"""One line at a time."""

from datetime import datetime

from calls.admission import admit
from calls.models import DialAttempt


def admit_next(now: datetime | None = None) -> DialAttempt | None:
    """Take a line for the longest-waiting call that may start, as ``admit`` does."""
    turns = admit(1, now)
    return turns[0].attempt if turns else None
