"""What an account has used, for good: calls are erased after a while, these totals stay (spec 4.9).

One row for an account and month (UTC), brought up to date in the transaction that ends a call, so
that nothing is counted twice or lost.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import F, Sum
from django.utils import timezone

from accounts.models import Account
from calls.models import Call, UsageMonth

# The most calls that were connected at one moment: +1 where one begins, -1 where it ends.
_PEAK = """
    WITH spans AS (
        SELECT GREATEST(answered_at, %(since)s) AS begins, COALESCE(ended_at, now()) AS ends
        FROM calls_call
        WHERE account_id = %(account)s AND answered_at IS NOT NULL
          AND (ended_at IS NULL OR ended_at > %(since)s)
    ), steps AS (
        SELECT begins AS at, 1 AS step FROM spans
        UNION ALL
        SELECT ends, -1 FROM spans
    )
    SELECT COALESCE(MAX(busy), 0) FROM (
        SELECT SUM(step) OVER (ORDER BY at, step ROWS UNBOUNDED PRECEDING) AS busy FROM steps
    ) AS line
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """All-time totals of an account, and this month's (UTC) extremes."""

    calls: int
    minutes: Decimal
    cost_micros: int
    peak_concurrent: int
    rejected_at_cap: int


def price_micros(charged_minutes: Decimal) -> int:
    """Return what connected minutes cost, in micro-dollars (``CALL_PRICE_MICROS_PER_MINUTE``)."""
    return round(charged_minutes * int(settings.CALL_PRICE_MICROS_PER_MINUTE))


def count_ended(call: Call) -> None:
    """Count a call that just ended, in the caller's transaction. One that never left counts not."""
    if call.status == Call.Status.CANCELED or call.ended_at is None:
        return
    _add(
        call.account_id,
        call.ended_at,
        calls=1,
        minutes=call.charged_minutes,
        cost_micros=price_micros(call.charged_minutes),
    )


def count_less(call: Call, charged_minutes: Decimal) -> None:
    """Correct what an ended call was counted with, ``charged_minutes``, to what it has now."""
    if call.ended_at is not None:
        _add(
            call.account_id,
            call.ended_at,
            minutes=call.charged_minutes - charged_minutes,
            cost_micros=price_micros(call.charged_minutes) - price_micros(charged_minutes),
        )


def count_rejected(account: Account) -> None:
    """Count an inbound call that found no line free."""
    _add(account.pk, timezone.now(), rejected_at_cap=1)


def _add(account_pk: int, at: datetime, **more: Any) -> None:
    month = _month(at)
    mine = UsageMonth.objects.filter(account=account_pk, month=month)
    added = {name: F(name) + value for name, value in more.items()}
    if not mine.update(**added):
        first = UsageMonth(account_id=account_pk, month=month)
        UsageMonth.objects.bulk_create([first], ignore_conflicts=True)
        mine.update(**added)


def of(account: Account) -> Usage:
    """Return what ``account`` has used up to now."""
    months = UsageMonth.objects.filter(account=account)
    total = months.aggregate(
        calls=Sum("calls"), minutes=Sum("minutes"), cost_micros=Sum("cost_micros")
    )
    this = _month(timezone.now())
    rejected = months.filter(month=this).values_list("rejected_at_cap", flat=True).first()
    return Usage(
        calls=total["calls"] or 0,
        minutes=total["minutes"] or Decimal(0),
        cost_micros=total["cost_micros"] or 0,
        peak_concurrent=_peak(account, this),
        rejected_at_cap=rejected or 0,
    )


def _peak(account: Account, month: date) -> int:
    since = datetime(month.year, month.month, 1, tzinfo=timezone.get_default_timezone())
    with connection.cursor() as cursor:
        cursor.execute(_PEAK, {"account": account.pk, "since": since})
        (peak,) = cursor.fetchone()
    return int(peak)


def _month(at: datetime) -> date:
    return at.astimezone(timezone.get_default_timezone()).date().replace(day=1)
