"""Telling endpoints: who is due is claimed, asked, and the answer settled.

A delivery is made at least once: a worker that dies after the request leaves a claim that runs
out, and the event goes again under the same id.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from asgiref.sync import async_to_sync
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts import net
from accounts.models import ApiKey
from webhooks import formats, gohighlevel, outbox
from webhooks.models import Attempt, Delivery, Endpoint, Event
from webhooks.signing import legacy_signature, standard_headers

log = structlog.get_logger(__name__)

TIMEOUT_S = 10.0
# Longer than a request and its bookkeeping take.
LEASE = timedelta(seconds=60)
# The documented retries (spec 5.6), and what follows them.
LADDER = (
    timedelta(minutes=5),
    timedelta(minutes=5),
    timedelta(minutes=5),
    timedelta(minutes=60),
)
THEN_EVERY = timedelta(hours=2)
GIVE_UP_AFTER = timedelta(hours=72)
# Who did not answer is left alone for so long, then asked by one delivery at a time.
REST = timedelta(seconds=30)
AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process may try now, and the request to send."""

    delivery_pk: int
    attempt_pk: int
    number: int
    url: str
    headers: dict[str, str]
    body: bytes
    crm: gohighlevel.Crm | None = None  # told through its own API instead


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: a status, or the name of the failure."""

    status: int | None
    error: str
    duration_ms: int
    is_final: bool  # trying again would change nothing
    retry_after_s: int = 0

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 400


def deliver_due() -> int:
    """Try everything that is due, a batch at a time; return how many requests that were."""
    sent = 0
    while claims := claim(timezone.now()):
        outcomes = async_to_sync(_send_all)(claims)
        for one, outcome in zip(claims, outcomes, strict=True):
            try:
                settle(one, outcome, timezone.now())
            except Exception:  # its lease runs out, and it goes again
                log.exception("webhook_not_settled", attempt=one.attempt_pk)
        sent += len(claims)
    return sent


@transaction.atomic
def claim(now: datetime) -> list[Claim]:
    """Take up to ``AT_ONCE`` due deliveries for this process until the lease ends, and write each
    attempt down.
    """
    rows = (
        Delivery.objects.due(now)
        .select_for_update(of=("self",), skip_locked=True)
        .select_related("event__api_key", "event__account", "endpoint")[:AT_ONCE]
    )
    claims = []
    for delivery in rows:
        endpoint = delivery.endpoint
        if endpoint.rests_until is not None and not _is_first_to_ask(endpoint, now):
            continue
        delivery.tries += 1
        delivery.due_at = now + LEASE
        delivery.save(update_fields=["tries", "due_at"])
        try:
            claims.append(_claimed(delivery, now))
        except DatabaseError:
            raise  # nothing is claimed
        except Exception as error:  # one odd event must not hold up those behind it
            log.exception("webhook_not_written", delivery=delivery.pk)
            name = type(error).__name__
            _failed(delivery, Outcome(None, name, duration_ms=0, is_final=False), now)
    return claims


def _is_first_to_ask(endpoint: Endpoint, now: datetime) -> bool:
    """Take the one try that an endpoint gets after its rest; not while somebody settles another,
    as those wait for the deliveries that a claim holds."""
    rested = Endpoint.objects.filter(pk=endpoint.pk, rests_until__lte=now)
    free = rested.select_for_update(no_key=True, skip_locked=True)
    return free.first() is not None and bool(rested.update(rests_until=now + REST))


def _claimed(delivery: Delivery, now: datetime) -> Claim:
    event, endpoint = delivery.event, delivery.endpoint
    body = formats.body_for(endpoint, event).encode()
    headers = _headers(delivery, event, endpoint, body, now)
    attempt = Attempt.objects.create(
        delivery=delivery, number=delivery.tries, at=now, headers=headers
    )
    crm = gohighlevel.Crm.read(endpoint.credentials) if endpoint.credentials else None
    return Claim(delivery.pk, attempt.pk, delivery.tries, endpoint.url, headers, body, crm)


def _headers(
    delivery: Delivery, event: Event, endpoint: Endpoint, body: bytes, now: datetime
) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": "Nixflex-Webhooks/1"}
    if endpoint.kind in (Endpoint.Kind.SLACK, Endpoint.Kind.GOHIGHLEVEL):
        return headers
    at = int(now.timestamp())
    headers |= standard_headers(endpoint.secrets(now), event.event_id, at, body)
    if (key := _signing_key(event)) is not None:
        headers["X-Nixflex-Signature"] = legacy_signature(key.secret, at, body)
    # Events may arrive late and out of order: the number grows in the order they happened.
    return headers | {
        "X-Nixflex-Event": event.type,
        "X-Nixflex-Event-Number": str(event.pk),
        "X-Nixflex-Event-Time": event.created_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "X-Nixflex-Attempt": str(delivery.tries),
    }


def _signing_key(event: Event) -> ApiKey | None:
    """The live key that made the agent, else the account's oldest live one."""
    if event.api_key is not None and event.api_key.revoked_at is None:
        return event.api_key
    return event.account.api_keys.filter(revoked_at=None).order_by("created_at", "pk").first()


async def _send_all(claims: Sequence[Claim]) -> list[Outcome]:
    return await asyncio.gather(*(_send(one) for one in claims))


async def _ask(one: Claim) -> net.Answer:
    if one.crm is not None:
        return await gohighlevel.tell(one.crm, json.loads(one.body))
    return await net.arequest(
        "POST", one.url, content=one.body, headers=one.headers, timeout_s=TIMEOUT_S, at_most=0
    )


async def _send(one: Claim) -> Outcome:
    began = time.monotonic()

    def outcome(
        status: int | None, error: str, *, is_final: bool, retry_after_s: int = 0
    ) -> Outcome:
        took = round((time.monotonic() - began) * 1000)
        return Outcome(status, error, took, is_final, retry_after_s)

    try:
        answer = await _ask(one)
    except net.Forbidden as refusal:
        return outcome(None, str(refusal), is_final=True)
    except net.RequestFailed as failure:
        return outcome(None, str(failure), is_final=False)
    except Exception as error:  # one odd answer must not take the batch with it
        log.exception("webhook_send_failed", attempt=one.attempt_pk)
        return outcome(None, type(error).__name__, is_final=False)
    status = answer.status
    if 200 <= status < 400:
        return outcome(status, "", is_final=True)
    passes_by_itself = status in (408, 429) or status >= 500
    wait = answer.headers.get("Retry-After", "")
    return outcome(
        status,
        f"HTTP {status}",
        is_final=not passes_by_itself,
        retry_after_s=int(wait[:6]) if wait.isascii() and wait.isdigit() else 0,
    )


@transaction.atomic
def settle(one: Claim, outcome: Outcome, now: datetime) -> None:
    """Write down what came of an attempt, and when the next one is.

    The endpoint is locked first, as its ending and its recovery reach all its deliveries.
    """
    endpoint = (
        Endpoint.objects.select_for_update(no_key=True, of=("self",))
        .select_related("account")
        .filter(deliveries=one.delivery_pk)
        .first()
    )
    Attempt.objects.filter(pk=one.attempt_pk).update(
        status_code=outcome.status, error=outcome.error[:60], duration_ms=outcome.duration_ms
    )
    delivery = Delivery.objects.select_for_update().filter(pk=one.delivery_pk).first()
    if endpoint is None or delivery is None:
        return  # deleted meanwhile
    if outcome.is_delivered:
        _recovered(endpoint, now)
    if delivery.status != Delivery.Status.PENDING:
        return
    if outcome.is_delivered:
        _finish(delivery, Delivery.Status.DELIVERED, now)
        return
    if delivery.tries != one.number:
        return  # whoever tried again meanwhile decides
    _failed(delivery, outcome, now)
    _note_failure(endpoint, outcome, now)


def _finish(delivery: Delivery, status: str, now: datetime, error: str = "") -> None:
    delivery.status = status
    delivery.due_at = None
    delivery.delivered_at = now if status == Delivery.Status.DELIVERED else None
    delivery.error = error[:60]
    delivery.save(update_fields=["status", "due_at", "delivered_at", "error"])


def _failed(delivery: Delivery, outcome: Outcome, now: datetime) -> None:
    delivery.failures += 1
    delivery.save(update_fields=["failures"])
    next_at = now + _wait(delivery.failures, outcome.retry_after_s)
    if outcome.is_final or next_at > delivery.begun_at + GIVE_UP_AFTER:
        _finish(delivery, Delivery.Status.FAILED, now, outcome.error)
        return
    delivery.due_at = next_at
    delivery.error = outcome.error[:60]
    delivery.save(update_fields=["due_at", "error"])


def _wait(failures: int, retry_after_s: int) -> timedelta:
    """How long to wait after so many failures, and at least as long as the receiver asked."""
    step = LADDER[failures - 1] if failures <= len(LADDER) else THEN_EVERY
    return max(step, min(timedelta(seconds=retry_after_s), THEN_EVERY))


def _recovered(endpoint: Endpoint, now: datetime) -> None:
    """Note that an endpoint takes deliveries; after a long silence the others need not wait for
    their next rung.
    """
    if endpoint.failing_since is None and endpoint.rests_until is None:
        return
    since = endpoint.failing_since
    Endpoint.objects.filter(pk=endpoint.pk).update(failing_since=None, rests_until=None)
    if since is not None and now - since >= LADDER[0]:
        waiting = Delivery.objects.filter(endpoint=endpoint, status=Delivery.Status.PENDING)
        # Who is being tried this moment is due when the lease ends.
        # It begins the ladder anew: a failure of ours now must not cost a late rung's two hours.
        waiting.filter(due_at__gt=now + LEASE).update(due_at=now, failures=0)


def _note_failure(endpoint: Endpoint, outcome: Outcome, now: datetime) -> None:
    mine = Endpoint.objects.filter(pk=endpoint.pk)
    mine.filter(failing_since=None).update(failing_since=now)
    # Who says no at once costs nobody's time.
    mine.update(rests_until=None if outcome.is_final else now + REST)
    endpoint.refresh_from_db(fields=["failing_since"])
    since = endpoint.failing_since or now
    if outcome.status == 410:
        outbox.disable(endpoint, "it answered 410 Gone")
    elif now - since >= GIVE_UP_AFTER:
        outbox.disable(endpoint, f"nothing was delivered for 72 hours ({outcome.error})")
