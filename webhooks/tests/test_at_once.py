"""Workers at one endpoint at the same time: none waits for another in a circle."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from webhooks import delivery as delivering
from webhooks import outbox
from webhooks.delivery import Outcome, claim, settle
from webhooks.factories import DeliveryFactory, EndpointFactory
from webhooks.models import Attempt, Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_S = 20.0
GONE = Outcome(410, "HTTP 410", 20, is_final=True)


def until_somebody_waits() -> None:
    """Return once a process waits in this test's database for another one's row."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)


@contextmanager
def elsewhere() -> Iterator[Callable[..., Future[Any]]]:
    """Run something as another worker does, on a connection of its own."""
    with ThreadPoolExecutor(1) as pool:

        def run(work: Callable[..., Any], *args: Any) -> Any:
            try:
                return work(*args)
            finally:
                connection.close()

        yield lambda work, *args: pool.submit(run, work, *args)


def two_due() -> tuple[Endpoint, list[delivering.Claim]]:
    endpoint = EndpointFactory.create()
    for _ in range(2):
        DeliveryFactory.create(event__account=endpoint.account, endpoint=endpoint)
    return endpoint, claim(timezone.now())


def test_two_who_hear_that_an_endpoint_is_gone_both_settle_it(monkeypatch: pytest.MonkeyPatch):
    endpoint, (first, second) = two_due()
    held, failed = threading.Event(), delivering._failed

    def and_wait_for_the_other(delivery: Delivery, outcome: Outcome, now: datetime) -> None:
        failed(delivery, outcome, now)
        if delivery.pk == first.delivery_pk:
            held.set()
            until_somebody_waits()

    monkeypatch.setattr(delivering, "_failed", and_wait_for_the_other)
    with elsewhere() as other:
        theirs = other(settle, first, GONE, timezone.now())
        held.wait(PATIENCE_S)
        settle(second, GONE, timezone.now())
        theirs.result(PATIENCE_S)

    endpoint.refresh_from_db()
    assert endpoint.disabled_why == "it answered 410 Gone"
    told = Delivery.objects.filter(event__type="call.completed")
    errors = {row.pk: row.error for row in told}
    assert errors == {first.delivery_pk: "HTTP 410", second.delivery_pk: "disabled"}
    codes = Attempt.objects.values_list("status_code", flat=True)
    assert list(codes) == [410, 410]


def test_an_endpoint_that_is_deleted_while_it_is_settled_is_gone(monkeypatch: pytest.MonkeyPatch):
    endpoint, (first, _) = two_due()
    held, failed = threading.Event(), delivering._failed

    def and_wait_for_the_other(delivery: Delivery, outcome: Outcome, now: datetime) -> None:
        failed(delivery, outcome, now)
        held.set()
        until_somebody_waits()

    monkeypatch.setattr(delivering, "_failed", and_wait_for_the_other)
    with elsewhere() as other:
        theirs = other(settle, first, GONE, timezone.now())
        held.wait(PATIENCE_S)
        outbox.delete_endpoint(endpoint)
        theirs.result(PATIENCE_S)

    assert not Endpoint.objects.exists()
    assert not Delivery.objects.exists()


def test_who_claims_waits_for_nobody_who_settles():
    endpoint, _ = two_due()
    now = timezone.now() + timedelta(hours=1)
    Endpoint.objects.update(rests_until=now)

    with elsewhere() as other, transaction.atomic():
        Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        assert other(claim, now).result(PATIENCE_S) == []

    assert len(claim(now)) == 1  # the one try after the rest
