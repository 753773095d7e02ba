"""Take in what the carrier reported of our texts: many reports in one transaction.

In any order and number: what is bound stays so, and a status only rises. A worker is nudged for it;
beat finds what a lost nudge left.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import structlog
from django.db import connection

from accounts.models import Account
from sms import news
from sms.models import Message, MessagePart, Report
from sms.queue import Queue
from sms.remembering import forget_unsent, remember_sent
from sms.statuses import bind, flag_unanswered, has_left, meaning, rise, settle
from webhooks import outbox
from webhooks.models import Endpoint

log = structlog.get_logger(__name__)

_NEXT = """
    SELECT * FROM sms_report WHERE due_at <= %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""
_STORE_PARTS = """
    UPDATE sms_messagepart AS part
    SET status = new.status, error_code = new.error_code, error_message = new.error_message,
        check_at = new.check_at
    FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::text[], %s::timestamptz[])
        AS new(id, status, error_code, error_message, check_at)
    WHERE part.id = new.id
"""
_STORE_MESSAGES = """
    UPDATE sms_message AS message
    SET status = new.status, error_code = new.error_code, error_message = new.error_message,
        delivered_at = new.delivered_at
    FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::text[], %s::timestamptz[])
        AS new(id, status, error_code, error_message, delivered_at)
    WHERE message.id = new.id
"""


def take_in() -> int:
    """Merge the reports that have arrived; return how many. Safe to run any number of times at
    once: each run takes other reports."""
    return Queue(_next, _take).empty()


def _next(at_most: int, due: datetime) -> list[Report]:
    return list(Report.objects.raw(_NEXT, [due, at_most]))


def _take(reports: Sequence[Report]) -> None:
    """Merge reports, tell who listens of every step, and delete them, in the caller's
    transaction."""
    messages, parts = _bound(reports)
    before = {pk: message.status for pk, message in messages.items()}
    among = _listeners(messages.values())
    changed: dict[int, MessagePart] = {}
    for report in reports:
        part = parts[report.part_id]
        if part.carrier_sid != report.carrier_sid:
            continue  # of a text that is not ours
        if (meant := meaning(report.word, report.error_code)) is None:
            log.warning("unknown_text_status", part=part.pk, status=report.word)
            continue
        if not rise(part, *meant):
            continue
        message = messages[part.message_id]
        was = message.status
        given_up = settle(message, [one for one in parts.values() if one.message_id == message.pk])
        changed |= {one.pk: one for one in (part, *given_up)}
        if message.status != was:
            news.tell(message, among[message.account])
    _store({part.message_id: messages[part.message_id] for part in changed.values()}, changed)
    _remember(before, messages)
    flag_unanswered(one for pk, one in messages.items() if one.status != before[pk])
    Report.objects.filter(pk__in=[report.pk for report in reports]).delete()


def _bound(reports: Sequence[Report]) -> tuple[dict[int, Message], dict[int, MessagePart]]:
    """Lock the texts of reports, with all their parts, in the order in which everybody does. A part
    that is not bound yet is now: the report overtook the carrier's answer to us, or that was lost.
    """
    pks = {report.part_id for report in reports}
    messages, parts = _locked(pks)
    early = [report for report in reports if not parts[report.part_id].carrier_sid]
    for report in early:
        bind(report.part_id, report.carrier_sid)
    return _locked(pks) if early else (messages, parts)


def _locked(pks: Collection[int]) -> tuple[dict[int, Message], dict[int, MessagePart]]:
    messages = (
        Message.objects.select_for_update(no_key=True, of=("self",))
        .select_related("account", "thread", "agent__api_key")
        .filter(pk__in=MessagePart.objects.filter(pk__in=pks).values("message"))
        .order_by("pk")
        .in_bulk()
    )
    parts = MessagePart.objects.select_for_update(no_key=True).filter(message__in=messages)
    return messages, {part.pk: part for part in parts.order_by("number")}


def _listeners(messages: Iterable[Message]) -> dict[Account, list[Endpoint]]:
    numbers: dict[Account, set[str]] = defaultdict(set)
    for message in messages:
        numbers[message.account].add(message.thread.our_number)
    return {account: outbox.endpoints_of(account, ours) for account, ours in numbers.items()}


def _store(messages: Mapping[int, Message], parts: Mapping[int, MessagePart]) -> None:
    with connection.cursor() as cursor:
        for statement, rows in (
            (
                _STORE_PARTS,
                [
                    (pk, one.status, one.error_code, one.error_message, one.check_at)
                    for pk, one in parts.items()
                ],
            ),
            (
                _STORE_MESSAGES,
                [
                    (pk, one.status, one.error_code, one.error_message, one.delivered_at)
                    for pk, one in messages.items()
                ],
            ),
        ):
            if rows:
                cursor.execute(statement, [list(column) for column in zip(*rows, strict=True)])


def _remember(before: Mapping[int, str], messages: Mapping[int, Message]) -> None:
    """Keep a note of each text that has left now, and none of one that has not after all."""
    had_left = {pk for pk, status in before.items() if has_left(status)}
    now_left = {pk for pk, message in messages.items() if has_left(message.status)}
    remember_sent([messages[pk] for pk in now_left - had_left])
    for pk in had_left - now_left:
        forget_unsent(messages[pk])
