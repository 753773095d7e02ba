"""The suppression ledger: whom this account may not call or text, and why.

Whoever dials or sends asks ``is_suppressed`` last of all, right before the carrier is asked. A
suppressed person may still call in.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import batched, chain
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import ApiError
from accounts.models import Account, Suppression
from accounts.phone_numbers import spellings

log = structlog.get_logger(__name__)

VOICE, TEXT = Suppression.Scope.VOICE, Suppression.Scope.TEXT
# What a person entered by texting, and so lifts by texting START.
BY_TEXT = (
    Suppression.Source.SMS_KEYWORD,
    Suppression.Source.SMS_PLAIN,
    Suppression.Source.CARRIER_21610,
)
# What the carrier itself forbids, and allows again when they text YES.
BY_CARRIER = (Suppression.Source.SMS_KEYWORD, Suppression.Source.CARRIER_21610)
_AT_ONCE = 5_000
# As SQL, which is ready at once: it is asked several times for each call and text.
_AGAINST = """
    SELECT * FROM accounts_suppression
    WHERE account_id = %s AND number_hash = ANY(%s) AND lifted_at IS NULL AND scope IN (%s, 'all')
    ORDER BY created_at, id
    LIMIT 1
"""
# Keys of the evidence that outlive an erasure: none of them tells who or what was said.
_NOT_PERSONAL = ("call_id", "turn", "message_id", "phrase")


def number_hash(account: Account, phone_number: str) -> str:
    """Return the keyed hash under which the account's ledger enters a number in E.164."""
    return hmac.new(account.number_key.encode(), phone_number.encode(), hashlib.sha256).hexdigest()


def number_hashes(account: Account, phone_number: str) -> list[str]:
    """Return the hashes under which a number's line may have been entered: one, or where the line
    has two spellings both. Whoever looks somebody up asks for all of them."""
    return [number_hash(account, one) for one in spellings(phone_number)]


def is_suppressed(account: Account, phone_number: str, channel: str = VOICE) -> Suppression | None:
    """Return the oldest entry that forbids contact by ``channel`` (``VOICE`` or ``TEXT``)."""
    asked = [account.pk, number_hashes(account, phone_number), channel]
    return next(iter(Suppression.objects.raw(_AGAINST, asked)), None)


def suppressed_among(
    account: Account, phone_numbers: Iterable[str], channel: str = VOICE
) -> set[str]:
    """Return those of ``phone_numbers`` that may not be contacted by ``channel``."""
    found: set[str] = set()
    for some in batched(phone_numbers, _AT_ONCE):
        asked = {number: number_hashes(account, number) for number in some}
        rows = Suppression.objects.of(account).active().against(channel)
        known = rows.filter(number_hash__in=[*chain.from_iterable(asked.values())])
        forbidden = set(known.values_list("number_hash", flat=True))
        found.update(one for one, hashes in asked.items() if not forbidden.isdisjoint(hashes))
    return found


def refuse_if_suppressed(account: Account, phone_number: str, channel: str = VOICE) -> None:
    """Raise ApiError 403 ``recipient_unsubscribed`` if the person may not be contacted."""
    if entry := is_suppressed(account, phone_number, channel):
        raise ApiError(
            "recipient_unsubscribed",
            "This person asked not to be contacted. Nothing was sent. Lift the entry of the "
            "do-not-contact list only if they agreed to hear from you again.",
            403,
            {
                "scope": entry.scope,
                "source": entry.source,
                "since": entry.created_at.isoformat(),
            },
        )


def suppress(
    account: Account,
    phone_number: str,
    *,
    source: str,
    scope: str = Suppression.Scope.ALL,
    reason: str = "",
    evidence: Mapping[str, Any] | None = None,
    by: str = "",
    at: datetime | None = None,
) -> tuple[Suppression, bool]:
    """Enter a number in E.164; return the active entry of this source and scope, and whether it is
    new. ``at`` is when they said so (default now).

    Safe to run any number of times, also at once: the first evidence stays.
    """
    if len(hashes := number_hashes(account, phone_number)) > 1:
        same = Suppression.objects.of(account).active().filter(scope=scope, source=source)
        if known := same.filter(number_hash__in=hashes).order_by("created_at", "pk").first():
            return known, False
    entry, is_new = Suppression.objects.get_or_create(
        account=account,
        number_hash=number_hash(account, phone_number),
        scope=scope,
        source=source,
        lifted_at=None,
        defaults={
            "phone_number": phone_number,
            "reason": reason,
            "evidence": dict(evidence or {}),
            "entered_by": by,
            "created_at": at or timezone.now(),
        },
    )
    if is_new:
        log.info("suppressed", entry=entry.pk, scope=scope, source=source)
    return entry, is_new


def suppress_many(
    account: Account, rows: Iterable[tuple[str, str, str]], *, source: str, by: str = ""
) -> int:
    """Enter ``(number in E.164, scope, reason)`` rows, all or none; return how many were new."""
    entries = (
        Suppression(
            account=account,
            phone_number=number,
            number_hash=number_hash(account, number),
            scope=scope,
            source=source,
            reason=reason,
            entered_by=by,
        )
        for number, scope, reason in rows
    )
    with transaction.atomic():
        before = Suppression.objects.of(account).active().count()
        Suppression.objects.bulk_create(entries, batch_size=_AT_ONCE, ignore_conflicts=True)
        return Suppression.objects.of(account).active().count() - before


def lift(
    account: Account,
    phone_number: str,
    *,
    sources: Collection[str] | None = None,
    until: datetime | None = None,
    by: str = "",
) -> int:
    """Lift a number's active entries; where given only those of ``sources``, and those that were
    entered ``until`` then. Return how many."""
    entries = Suppression.objects.of(account).active()
    entries = entries.filter(number_hash__in=number_hashes(account, phone_number))
    if sources is not None:
        entries = entries.filter(source__in=sources)
    if until is not None:
        entries = entries.filter(created_at__lte=until)
    return lift_entries(entries, by=by)


def lift_entries(entries: QuerySet[Suppression], *, by: str = "") -> int:
    """Lift those of ``entries`` that are in force; return how many."""
    return entries.filter(lifted_at=None).update(lifted_at=timezone.now(), lifted_by=by)


@transaction.atomic
def erase_number(account: Account, phone_number: str) -> int:
    """Keep of a person's entries only what still forbids contact: the keyed hash; return how many
    entries lost their number.

    Part of every erasure of a person: a person who asked to be forgotten stays uncalled.
    """
    hashes = number_hashes(account, phone_number)
    entries = Suppression.objects.of(account).filter(number_hash__in=hashes)
    erased = 0
    for entry in entries.exclude(phone_number="").select_for_update():
        entry.phone_number = entry.reason = ""
        entry.evidence = {
            key: value for key, value in entry.evidence.items() if key in _NOT_PERSONAL
        }
        entry.save(update_fields=["phone_number", "reason", "evidence"])
        erased += 1
    return erased
