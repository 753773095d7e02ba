"""May a call start now? One answer for everybody: lines are counted from live rows, never
incremented.

The counting and the row that takes the line are one transaction under one lock, so two workers
cannot both take the last line. The lock is held for a few queries, never while the carrier is
asked.
"""

import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, OuterRef, Subquery
from django.utils import timezone

from accounts.models import Account
from agents.models import Agent, PhoneNumber
from calls import pace, presence
from calls.lines import lines
from calls.models import BROWSER_CALLER, BROWSER_SID, Call, CallEvent, DialAttempt
from calls.presence import Room
from calls.services import record

# Any number, the same for every process of one database.
_LOCK = 0x6E78_6361_6C6C


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _free_lines() -> int:
    return lines() - Call.objects.occupying().count()


class Turn(NamedTuple):
    """An attempt that has its line, and the moment at which the carrier may be asked for it."""

    attempt: DialAttempt
    at: datetime


@transaction.atomic
def admit(at_most: int, now: datetime | None = None) -> list[Turn]:
    """Take lines for the longest-waiting calls that may start; return the attempts to dial them by,
    in order, each with its turn at the carrier's pace (``Pace``), at most ``calls.pace.ahead``
    from now.

    Each attempt is committed as ``pending`` with a token of its own before anybody asks the
    carrier. None: nobody waits, no line is free, or the carrier has enough to do. An account at its
    own limit, or a carrier account at its pace, does not hold up the others. A call waits while
    nobody knows whether an earlier one from its number to its person rings. Some lines
    (``INBOUND_RESERVED_CALLS``) are kept for people who call us.
    """
    if presence.room() is Room.FULL:
        return []
    now, most = now or timezone.now(), lines()
    _lock()
    reserved = settings.INBOUND_RESERVED_CALLS
    busy = list(
        Call.objects.occupying()
        .order_by()
        .values_list("account", "account__max_concurrent_calls")
        .annotate(calls=Count("pk"))
    )
    free = most - reserved - sum(calls for _, _, calls in busy)
    if free <= 0:
        return []
    rooms = {account: most - reserved - calls for account, most, calls in busy}
    waiting = list(
        Call.objects.waiting(now)
        .filter(account__max_concurrent_calls__gt=reserved)
        .exclude(account__in=[account for account, room in rooms.items() if room <= 0])
        .exclude(
            number__carrier_account__pace__next_at__gt=now + pace.ahead(),
            number__carrier_account__pace__next_at__lt=now + pace.horizon(),
        )
        .annotate(earlier=_attempts_made())
        .order_by("created_at", "pk")
        .select_related("account", "agent", "number__carrier_account__pace")
        .select_for_update(skip_locked=True, of=("self",))[: min(at_most, free)]
    )
    calls = list(_admissible(waiting, rooms))
    attempts = DialAttempt.objects.bulk_create(_attempt(call) for call in calls)
    CallEvent.objects.bulk_create(
        CallEvent(call=one.call, kind="dialling", data={"attempt": one.number}) for one in attempts
    )
    return [Turn(*one) for one in zip(attempts, pace.give_turns(calls, now), strict=True)]


def _attempts_made() -> Subquery:
    made = DialAttempt.objects.filter(call=OuterRef("pk")).order_by().values("call")
    return Subquery(made.annotate(n=Count("pk")).values("n"))


def _admissible(waiting: Iterable[Call], rooms: dict[int, int]) -> Iterator[Call]:
    """Yield the calls for which their account has room, and of each pair of numbers the first."""
    pairs: set[tuple[int, str, str]] = set()
    for call in waiting:
        pair = (call.account_id, call.from_number, call.to_number)
        most = call.account.max_concurrent_calls - settings.INBOUND_RESERVED_CALLS
        if rooms.setdefault(call.account_id, most) > 0 and pair not in pairs:
            rooms[call.account_id] -= 1
            pairs.add(pair)
            yield call


def _attempt(call: Any) -> DialAttempt:
    return DialAttempt(
        call=call,
        account_id=call.account_id,
        from_number=call.from_number,
        to_number=call.to_number,
        number=(call.earlier or 0) + 1,
        token=secrets.token_urlsafe(24),
    )


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
    return _rings(number.account, number.agent, number, carrier_sid, from_number)


@transaction.atomic
def admit_browser(agent: Agent, number: PhoneNumber | None) -> Call | None:
    """Return a new call from a web page to ``agent``, with the settings and tools of ``number``;
    None if no line is free.
    """
    if presence.room() is not Room.YES:
        return None
    _lock()
    sid = f"{BROWSER_SID}{secrets.token_hex(16)}"
    return _rings(agent.account, agent, number, sid, BROWSER_CALLER)


def _rings(
    account: Account, agent: Agent | None, number: PhoneNumber | None, sid: str, caller: str
) -> Call | None:
    busy = Call.objects.occupying().of(account).count()
    if _free_lines() <= 0 or busy >= account.max_concurrent_calls:
        return None
    call = Call.objects.create(
        account=account,
        carrier_sid=sid,
        agent=agent,
        agent_public_id=agent.agent_id if agent else "",
        number=number,
        direction=Call.Direction.INBOUND,
        from_number=caller[:64],
        to_number=number.phone_number if number else "",
        status=Call.Status.RINGING,
    )
    record(call, Call.Status.RINGING)
    return call
