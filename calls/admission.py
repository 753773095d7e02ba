"""May a call start now? One answer for everybody: lines are counted from live rows, never
incremented.

The counting and the row that takes the line are one transaction under one lock, so two workers
cannot both take the last line. The lock is held for a few queries, never while the carrier is
asked.
"""

import secrets
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from accounts.models import Account
from agents.models import PhoneNumber
from calls import presence
from calls.models import Call, DialAttempt
from calls.presence import Room
from calls.services import record

# Any number, the same for every process of one database.
_LOCK = 0x6E78_6361_6C6C


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _free_lines() -> int:
    return int(settings.MAX_CONCURRENT_CALLS) - Call.objects.occupying().count()


@transaction.atomic
def admit_next(now: datetime | None = None) -> DialAttempt | None:
    """Take a line for the longest-waiting call that may start, and return the attempt to dial it
    by.

    The attempt is committed as ``pending`` with a token of its own before anybody asks the carrier.
    None: nobody waits, or no line is free. An account at its own limit does not hold up the others.
    A call waits while nobody knows whether an earlier one from its number to its person rings.
    Some lines (``INBOUND_RESERVED_CALLS``) are kept for people who call us.
    """
    if presence.room() is Room.FULL:
        return None
    _lock()
    if _free_lines() <= settings.INBOUND_RESERVED_CALLS:
        return None
    full = (
        Account.objects.annotate(
            busy=Count("calls", filter=Q(calls__in=Call.objects.occupying().values("pk")))
        )
        .filter(busy__gte=F("max_concurrent_calls") - settings.INBOUND_RESERVED_CALLS)
        .values("pk")
    )
    call = (
        Call.objects.waiting(now or timezone.now())
        .exclude(account__in=full)
        .order_by("created_at", "pk")
        .select_for_update(skip_locked=True, of=("self",))
        .first()
    )
    if call is None:
        return None
    attempt = DialAttempt.objects.create(
        call=call,
        account_id=call.account_id,
        from_number=call.from_number,
        to_number=call.to_number,
        number=call.attempts.count() + 1,
        token=secrets.token_urlsafe(24),
    )
    record(call, "dialling", attempt=attempt.number)
    return attempt


@transaction.atomic
def admit_inbound(number: PhoneNumber, *, carrier_sid: str, from_number: str) -> Call | None:
    """Return the call that rings in on ``number``, its row made if it is new; None if no line is
    free.

    Safe to ask any number of times with the same ``carrier_sid``. A call turned away leaves no row
    (spec 6.1).
    """
    _lock()
    known = Call.objects.filter(carrier_sid=carrier_sid).first()
    if known is not None:
        return known
    busy = Call.objects.occupying().of(number.account).count()
    if _free_lines() <= 0 or busy >= number.account.max_concurrent_calls:
        return None
    agent = number.agent
    call = Call.objects.create(
        account=number.account,
        carrier_sid=carrier_sid,
        agent=agent,
        agent_public_id=agent.agent_id if agent else "",
        number=number,
        direction=Call.Direction.INBOUND,
        from_number=from_number[:64],
        to_number=number.phone_number,
        status=Call.Status.RINGING,
    )
    record(call, Call.Status.RINGING)
    return call
