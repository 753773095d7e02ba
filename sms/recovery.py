"""Texts that people wrote and whose webhook never got through: found in the carrier's own list.

The carrier tells of a text once or twice and then never again; a restart, or a minute without
network, would lose it, and with it perhaps a STOP.
"""

from datetime import datetime, timedelta

import structlog
from django.core.cache import cache
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Account
from accounts.steps import by_itself
from agents.models import PhoneNumber
from carriers import twilio
from carriers.errors import CarrierError
from sms.inbound import receive
from sms.models import Arrival, ErasedText, Message, MessagePart, Report, Thread
from sms.remembering import keep_outcomes

log = structlog.get_logger(__name__)

# Each number is looked at so often …
LOOK_EVERY = timedelta(seconds=60)
# … and so many at a time.
NUMBERS_AT_ONCE = 20
_LAST = "texts-listed-last"
# By then the webhook itself has come, if it comes.
LEAVE_TO_WEBHOOK = timedelta(seconds=30)
# The carrier's times have whole seconds, and its list may lag.
OVERLAP = timedelta(minutes=2)
# Where nobody remembers when it was looked last.
AT_FIRST = timedelta(hours=24)
# No list reaches further back.
LISTED = AT_FIRST + timedelta(hours=24)


def recover_received(now: datetime | None = None) -> int:
    """Take in the texts that no webhook brought; return how many.

    A text is stored once, whether its webhook or the list brings it first.
    """
    now = now or timezone.now()
    numbers = PhoneNumber.objects.select_related("account", "agent__api_key", "carrier_account")
    looked = found = 0
    for pk in _in_turn():
        if looked >= NUMBERS_AT_ONCE:
            break
        # Whoever sets it has the number for the next while.
        if cache.add(f"texts-listed:{pk}", 1, LOOK_EVERY.total_seconds()):
            cache.set(_LAST, pk, None)
            looked += 1
            with by_itself(f"recovering texts of number {pk}"):
                found += sum(_recover(number, now) for number in numbers.filter(pk=pk))
    return found


def _in_turn() -> list[int]:
    """Return the keys of all numbers, from the one after that which was looked at last: where they
    are many, none is left out for ever."""
    last = cache.get(_LAST) or 0
    pks = list(PhoneNumber.objects.order_by("pk").values_list("pk", flat=True))
    return [pk for pk in pks if pk > last] + [pk for pk in pks if pk <= last]


def _recover(number: PhoneNumber, now: datetime) -> int:
    key = f"texts-listed-until:{number.pk}"
    since = cache.get(key) or now - AT_FIRST
    account = twilio.Account(
        sid=number.carrier_account.sid, token=number.carrier_account.auth_token
    )
    try:
        texts = twilio.received_messages(account, number.phone_number, since - OVERLAP)
    except CarrierError as failure:
        log.warning("texts_not_listed", number=number.pk, error=type(failure).__name__)
        return 0
    known = set(
        Message.objects.of(number.account)
        .filter(carrier_sid__in=[text.sid for text in texts])
        .values_list("carrier_sid", flat=True)
    ) | set(
        ErasedText.objects.filter(
            account=number.account, carrier_sid__in=[text.sid for text in texts]
        ).values_list("carrier_sid", flat=True)
    )
    lost = [
        Arrival(
            number=number,
            carrier_sid=text.sid,
            from_number=text.from_,
            body=text.body,
            media=list(text.media),
            at=text.created_at,
        )
        for text in texts
        if text.sid not in known
        and text.created_at is not None
        and number.created_at < text.created_at < now - LEAVE_TO_WEBHOOK
    ]
    found = done = 0
    for arrival in lost:
        with by_itself(f"recovering text {arrival.carrier_sid}"):
            found += receive(arrival) is not None
            done += 1
    if found:
        log.warning("texts_recovered", number=number.pk, count=found)
    if done == len(lost):  # else all of them are looked at again
        cache.set(key, now, None)
    return found


def erase(account: Account, person: str | None = None) -> list[str]:
    """Erase the texts of a person, else of everybody, with their threads; return the messages' ids.
    None of them comes back out of the carrier's list. In the caller's transaction."""
    threads = Thread.objects.filter(account=account)
    waiting = Arrival.objects.filter(number__account=account)
    if person is not None:
        threads = threads.filter(their_number=person)
        waiting = waiting.filter(from_number=person)
    listed = Message.objects.inbound().filter(
        thread__in=threads, created_at__gt=timezone.now() - LISTED
    )
    # Those that wait first: a worker that has one stores it before they are gone.
    sids = [*waiting.values_list("carrier_sid", flat=True)]
    waiting.delete()
    _hold(threads)
    sids += listed.values_list("carrier_sid", flat=True)
    erased = [ErasedText(account=account, carrier_sid=sid) for sid in sids]
    ErasedText.objects.bulk_create(erased, ignore_conflicts=True)
    messages = Message.objects.filter(thread__in=threads)
    ids = list(messages.values_list("message_id", flat=True))
    keep_outcomes(messages)
    threads.delete()
    return ids


def _hold(threads: QuerySet[Thread]) -> None:
    """Lock conversations with all that is in them, in the order in which everybody does: what is
    being written, sent or reported is there before they are gone, and nothing comes after it."""
    Report.objects.filter(part__thread__in=threads).delete()
    ours = Message.objects.filter(thread__in=threads, direction=Message.Direction.OUTBOUND)
    parts = MessagePart.objects.filter(thread__in=threads)
    for rows in (ours, parts, threads):
        list(rows.select_for_update().order_by("pk").values_list("pk"))


def forget_erased(now: datetime) -> None:
    """Drop what is no longer in the carrier's list."""
    ErasedText.objects.filter(at__lt=now - LISTED).delete()
