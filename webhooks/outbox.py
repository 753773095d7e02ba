"""Writing news into the outbox, and what an endpoint's owner may do with it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.errors import not_found_error
from accounts.models import Account, ApiKey
from webhooks.models import Delivery, Endpoint, EndpointQuerySet, Event
from webhooks.signing import new_secret

log = structlog.get_logger(__name__)

DELIVER = "webhooks.tasks.deliver"
# After a rotation both secrets sign for so long, unless asked otherwise.
OVERLAP = timedelta(hours=24)
_AT_ONCE = 500


def emit(
    account: Account,
    event_type: str,
    body: Mapping[str, Any],
    *,
    subject: str = "",
    phone_number: str = "",
    agent_id: str = "",
    agent_url: str | None = None,
    api_key: ApiKey | None = None,
    among: Sequence[Endpoint] | None = None,
) -> Event | None:
    """Write an event for everybody who listens, in the caller's transaction: it is sent after the
    commit, and not at all without one.

    Listeners are the slots of ``phone_number``, or where it has none the agent's own URL, and the
    account's endpoints. ``body`` must be JSON; it is sent as it is now, at every try. ``api_key``
    is the key that made the agent. ``among`` is what ``endpoints_of`` returned, where many events
    are written at once. Returns None, and writes nothing, if nobody listens.
    """
    if among is None:
        among = endpoints_of(account, [phone_number])
    listeners = _listeners(account, event_type, phone_number, agent_id, agent_url, among)
    if not listeners:
        return None
    with transaction.atomic():
        event = Event.objects.create(
            account=account,
            type=event_type,
            subject=subject,
            body=json.dumps(body, ensure_ascii=False),
            api_key=api_key,
        )
        _deliver_to(event, listeners)
    return event


# As SQL, which is ready at once: this is asked with every text and call.
_ENDPOINTS = """
    SELECT * FROM webhooks_endpoint
    WHERE account_id = %s
        AND (owner = 'account'
            OR (owner = 'number' AND phone_number <> '' AND phone_number = ANY(%s)))
    ORDER BY id
"""


def endpoints_of(account: Account, phone_numbers: Iterable[str]) -> list[Endpoint]:
    """Return the account's own endpoints and those of some of its numbers."""
    return list(Endpoint.objects.raw(_ENDPOINTS, [account.pk, list(phone_numbers)]))


def _listeners(
    account: Account,
    event_type: str,
    phone_number: str,
    agent_id: str,
    agent_url: str | None,
    among: Sequence[Endpoint],
) -> list[Endpoint]:
    found = [
        one
        for one in among
        if one.owner == Endpoint.Owner.ACCOUNT or one.phone_number == phone_number
    ]
    has_slot = any(
        one.owner == Endpoint.Owner.NUMBER and one.kind == Endpoint.Kind.WEBHOOK for one in found
    )
    if agent_id and agent_url and not has_slot:
        found.append(_agents_endpoint(account, agent_id, agent_url))
    return [one for one in found if one.wants(event_type)]


def _agents_endpoint(account: Account, agent_id: str, url: str) -> Endpoint:
    """Return the endpoint of an agent's own URL, brought up to date with it."""
    endpoint, _ = Endpoint.objects.get_or_create(
        account=account, owner=Endpoint.Owner.AGENT, agent_id=agent_id, defaults={"url": url}
    )
    if endpoint.url != url:
        set_url(endpoint, url)
    return endpoint


def _deliver_to(event: Event, endpoints: Iterable[Endpoint]) -> None:
    """Make the event due at ``endpoints``. What a disabled one missed can be replayed."""
    Delivery.objects.bulk_create(
        [
            Delivery(
                event=event,
                endpoint=endpoint,
                begun_at=event.created_at,
                **(
                    {"status": Delivery.Status.FAILED, "due_at": None, "error": "disabled"}
                    if endpoint.disabled_at
                    else {"due_at": event.created_at}
                ),
            )
            for endpoint in endpoints
        ]
    )
    nudge()


def nudge() -> None:
    """Have a worker deliver what is due, once this transaction is committed. The sweep finds what
    a lost nudge left.
    """
    transaction.on_commit(lambda: current_app.send_task(DELIVER), robust=True)


def find_endpoint(account: Account, endpoint_id: str) -> Endpoint:
    """Return the account's endpoint; ApiError ``endpoint_not_found`` (404) for any other."""
    endpoint = Endpoint.objects.of(account).filter(endpoint_id=endpoint_id).first()
    if endpoint is None:
        raise not_found_error("endpoint_not_found", "There is no such endpoint in this account.")
    return endpoint


@transaction.atomic
def set_slot(
    account: Account,
    phone_number: str,
    *,
    kind: str,
    slot: int = 1,
    url: str,
    credentials: str = "",
) -> Endpoint:
    """Point a slot of a number at ``url``; a disabled one is enabled again. ``credentials`` are a
    CRM's (``gohighlevel.Crm.stored``).
    """
    endpoint, made = Endpoint.objects.get_or_create(
        account=account,
        owner=Endpoint.Owner.NUMBER,
        phone_number=phone_number,
        kind=kind,
        slot=slot,
        defaults={"url": url, "credentials": credentials},
    )
    if not made:
        endpoint.credentials = credentials
        endpoint.save(update_fields=["credentials"])
        set_url(endpoint, url)
    return endpoint


def slot_of(account: Account, phone_number: str, *, kind: str, slot: int = 1) -> Endpoint | None:
    """Return what a slot of a number points at."""
    return (
        Endpoint.objects.of(account)
        .filter(owner=Endpoint.Owner.NUMBER, phone_number=phone_number, kind=kind, slot=slot)
        .first()
    )


def webhook_urls(account_pk: int) -> dict[tuple[str, int], str]:
    """Return the webhooks of all an account's numbers, by number and slot."""
    rows = Endpoint.objects.filter(
        account=account_pk, owner=Endpoint.Owner.NUMBER, kind=Endpoint.Kind.WEBHOOK
    )
    return {(row.phone_number, row.slot): row.url for row in rows}


def forget_number(account: Account, phone_number: str) -> None:
    """Delete a number's slots, with what was still to be sent to them."""
    of_number = Q(owner=Endpoint.Owner.NUMBER, phone_number=phone_number)
    _delete(Endpoint.objects.of(account).filter(of_number))


def delete_endpoint(endpoint: Endpoint) -> None:
    """Delete an endpoint with its log and what was still to be sent."""
    _delete(Endpoint.objects.filter(pk=endpoint.pk))


@transaction.atomic
def _delete(endpoints: EndpointQuerySet) -> None:
    # Whoever holds one settles what came of a delivery: endpoints are locked before what they have.
    pks = [one.pk for one in endpoints.order_by("pk").select_for_update()]
    Endpoint.objects.filter(pk__in=pks).delete()


def forget_account(account: Account) -> None:
    """Delete every endpoint and event of an account."""
    _delete(Endpoint.objects.of(account))
    Event.objects.of(account).delete()


def make_endpoint(account: Account, *, url: str, events: Sequence[str] = ()) -> Endpoint:
    """Have every event of the account, or only those of the types ``events``, sent to ``url``
    (``inputs.EndpointInput`` has checked it)."""
    return Endpoint.objects.create(account=account, url=url, events=list(events))


def change_endpoint(
    endpoint: Endpoint, *, url: str | None = None, events: Sequence[str] | None = None
) -> None:
    """Change where an endpoint is, or which types it gets (none: all), and enable it."""
    if events is not None:
        endpoint.events = list(events)
        endpoint.save(update_fields=["events"])
    set_url(endpoint, endpoint.url if url is None else url)


def set_url(endpoint: Endpoint, url: str) -> None:
    """Point an endpoint at ``url``, what is still to be sent included; enable it."""
    endpoint.url = url
    endpoint.save(update_fields=["url"])
    enable(endpoint)


def enable(endpoint: Endpoint) -> None:
    """Take an endpoint into service again. What it missed is there for ``replay_since``."""
    endpoint.disabled_at = endpoint.failing_since = endpoint.rests_until = None
    endpoint.disabled_why = ""
    endpoint.save(update_fields=["disabled_at", "disabled_why", "failing_since", "rests_until"])
    nudge()


@transaction.atomic
def disable(endpoint: Endpoint, why: str) -> bool:
    """Take an endpoint out of service, and tell the account's other endpoints and the log.

    What was still to be sent has failed, and can be replayed. Returns False if it was disabled.
    """
    now = timezone.now()
    mine = Endpoint.objects.filter(pk=endpoint.pk, disabled_at=None)
    if not mine.update(disabled_at=now, disabled_why=why[:200]):
        return False
    endpoint.disabled_at, endpoint.disabled_why = now, why[:200]
    Delivery.objects.filter(endpoint=endpoint, status=Delivery.Status.PENDING).update(
        status=Delivery.Status.FAILED, due_at=None, error="disabled"
    )
    log.error("webhook_endpoint_disabled", endpoint=endpoint.endpoint_id, why=why)
    emit(
        endpoint.account,
        "webhook.disabled",
        {
            "event": "webhook.disabled",
            "endpoint_id": endpoint.endpoint_id,
            "phone_number": endpoint.phone_number or None,
            "agent_id": endpoint.agent_id or None,
            "reason": why,
            "disabled_at": now.isoformat(),
        },
        subject=endpoint.endpoint_id,
    )
    return True


def rotate_secret(endpoint: Endpoint, overlap: timedelta = OVERLAP) -> str:
    """Give an endpoint a new secret and return it; for ``overlap`` the old one signs as well."""
    endpoint.previous_secret = endpoint.secret
    endpoint.previous_secret_ends_at = timezone.now() + overlap
    endpoint.secret = secret = new_secret()
    endpoint.save(update_fields=["secret", "previous_secret", "previous_secret_ends_at"])
    return secret


@transaction.atomic
def send_test(endpoint: Endpoint) -> Event:
    """Send ``webhook.test`` to one endpoint."""
    now = timezone.now()
    body = {
        "event": "webhook.test",
        "endpoint_id": endpoint.endpoint_id,
        "created_at": now.isoformat(),
    }
    event = Event.objects.create(
        account=endpoint.account,
        type="webhook.test",
        subject=endpoint.endpoint_id,
        body=json.dumps(body),
        created_at=now,
    )
    _deliver_to(event, [endpoint])
    return event


def replay(event: Event) -> int:
    """Send an event again to everybody it was for, under its id; return to how many."""
    return _again(Delivery.objects.filter(event=event))


def replay_since(endpoint: Endpoint, since: datetime, *, failed_only: bool = False) -> int:
    """Send an endpoint again everything that happened at or after ``since``, oldest first, under
    its ids; return how many events that is.
    """
    deliveries = Delivery.objects.filter(endpoint=endpoint, event__created_at__gte=since)
    if failed_only:
        deliveries = deliveries.filter(status=Delivery.Status.FAILED)
    return _again(deliveries)


@transaction.atomic
def _again(deliveries: Any) -> int:
    now = timezone.now()
    rows = deliveries.filter(endpoint__disabled_at=None, event__erased_at=None)
    pks = list(rows.order_by("pk").values_list("pk", flat=True))
    Delivery.objects.filter(pk__in=pks).update(
        status=Delivery.Status.PENDING, due_at=now, begun_at=now, failures=0, delivered_at=None
    )
    nudge()
    return len(pks)


def erase(account: Account, subjects: Iterable[str]) -> int:
    """Forget what was told about ``subjects`` (ids of calls, messages); the log of deliveries
    stays, what was still to be sent is not sent. Returns how many events that were.
    """
    wanted = list(subjects)
    erased = 0
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        events = Event.objects.of(account).filter(subject__in=part, erased_at=None)
        with transaction.atomic():
            Delivery.objects.filter(event__in=events, status=Delivery.Status.PENDING).update(
                status=Delivery.Status.FAILED, due_at=None, error="erased"
            )
            erased += events.update(body="", erased_at=timezone.now())
    return erased


def delete_before(moment: datetime) -> int:
    """Delete events older than ``moment`` with their log of deliveries; return how many."""
    deleted = 0
    while pks := list(
        Event.objects.filter(created_at__lt=moment).values_list("pk", flat=True)[:_AT_ONCE]
    ):
        Event.objects.filter(pk__in=pks).delete()
        deleted += len(pks)
    return deleted
