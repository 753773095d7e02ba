"""What a receiver sees, and what is on record of it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from asgiref.sync import sync_to_async
from django.db import DatabaseError
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from accounts.factories import ApiKeyFactory
from agents.tests.outside import official_sdk
from webhooks import delivery as delivering
from webhooks import outbox
from webhooks.delivery import Claim, Outcome, claim, deliver_due, settle
from webhooks.factories import DeliveryFactory, EndpointFactory
from webhooks.models import Attempt, Delivery, Endpoint

pytestmark = pytest.mark.django_db
sdk = official_sdk()

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NO_ANSWER = Outcome(None, "time-out", 10_000, is_final=False)
DELIVERED = Outcome(200, "", 20, is_final=True)


def due(url="https://hooks.example.com/", at=NOON, **fields) -> Delivery:
    return DeliveryFactory.create(event__created_at=at, endpoint__url=url, **fields)


def tried(delivery: Delivery, outcome: Outcome, now: datetime) -> Delivery:
    """Claim the one due delivery at ``now``, and settle it."""
    (one,) = claim(now)
    assert one.delivery_pk == delivery.pk
    settle(one, outcome, now)
    delivery.refresh_from_db()
    return delivery


def test_a_delivery_is_signed_twice_and_says_what_it_is(receiver):
    key = ApiKeyFactory.create()
    row = due(receiver.url, at=timezone.now(), event__account=key.account)

    assert deliver_due() == 1

    headers, body = receiver.requests[0]
    row.refresh_from_db()
    assert (row.status, row.tries, row.due_at) == ("delivered", 1, None)
    assert body.decode() == row.event.body
    assert sdk.verify_webhook_signature(body, headers["x-nixflex-signature"], key.secret)
    assert Webhook(row.endpoint.secret).verify(body, headers) == json.loads(body)
    assert headers["webhook-id"] == row.event.event_id
    assert headers["content-type"] == "application/json"
    assert headers["x-nixflex-event"] == "call.completed"
    assert headers["x-nixflex-attempt"] == "1"
    attempt = Attempt.objects.get()
    assert (attempt.status_code, attempt.error) == (200, "")
    assert attempt.duration_ms is not None


def test_the_legacy_signature_is_by_the_agents_key_else_by_the_oldest_live_one(receiver):
    oldest = ApiKeyFactory.create()
    agents = ApiKeyFactory.create(account=oldest.account)
    ApiKeyFactory.create(account=oldest.account)
    now = timezone.now()
    about = {"at": now, "event__account": oldest.account}
    due(receiver.url, event__api_key=agents, **about)
    due(receiver.url, **about)
    deliver_due()
    agents.revoked_at = now
    agents.save(update_fields=["revoked_at"])
    due(receiver.url, event__api_key=agents, **about)
    deliver_due()

    signed_by = [
        next(
            name
            for name, key in (("oldest", oldest), ("agents", agents))
            if sdk.verify_webhook_signature(body, headers["x-nixflex-signature"], key.secret)
        )
        for headers, body in receiver.requests
    ]
    assert sorted(signed_by[:2]) == ["agents", "oldest"]
    assert signed_by[2] == "oldest"


def test_an_account_without_a_key_is_told_all_the_same(receiver):
    due(receiver.url, at=timezone.now())

    deliver_due()

    headers, _ = receiver.requests[0]
    assert "x-nixflex-signature" not in headers
    assert "webhook-signature" in headers


def test_after_a_rotation_both_secrets_verify_until_the_old_one_ends(receiver):
    endpoint = EndpointFactory.create(url=receiver.url)
    old = endpoint.secret
    now = timezone.now()
    new = outbox.rotate_secret(endpoint, timedelta(hours=1))
    DeliveryFactory.create(event__account=endpoint.account, endpoint=endpoint)
    deliver_due()
    headers, body = receiver.requests[0]

    assert Webhook(new).verify(body, headers)
    assert Webhook(old).verify(body, headers)
    assert endpoint.secrets(now + timedelta(minutes=59)) == [new, old]
    assert endpoint.secrets(now + timedelta(minutes=61)) == [new]


@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 308])
def test_2xx_and_3xx_are_delivered(receiver, status):
    receiver.answers = [status]
    row = due(receiver.url, at=timezone.now())

    deliver_due()

    row.refresh_from_db()
    assert row.status == "delivered"
    assert len(receiver.requests) == 1  # a redirect is not followed


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_other_4xx_are_final(receiver, status):
    receiver.answers = [status]
    row = due(receiver.url, at=timezone.now())

    deliver_due()

    row.refresh_from_db()
    assert (row.status, row.error, row.due_at) == ("failed", f"HTTP {status}", None)
    assert row.endpoint.disabled_at is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, None])
def test_what_may_pass_is_tried_again_in_five_minutes(receiver, status):
    receiver.answers = [status]
    row = due(receiver.url, at=timezone.now())
    before = timezone.now()

    deliver_due()

    row.refresh_from_db()
    assert row.status == "pending"
    assert row.error == (f"HTTP {status}" if status else "broken answer")
    assert before + 5 * MINUTE <= row.due_at <= timezone.now() + 5 * MINUTE


def test_a_receiver_that_asks_for_longer_gets_it(receiver):
    receiver.answers, receiver.headers = [503], {"Retry-After": "1800"}
    row = due(receiver.url, at=timezone.now())

    deliver_due()

    row.refresh_from_db()
    assert row.due_at - timezone.now() > 29 * MINUTE


def test_410_disables_the_endpoint(receiver):
    receiver.answers = [410]
    row = due(receiver.url, at=timezone.now())

    deliver_due()

    row.endpoint.refresh_from_db()
    assert row.endpoint.disabled_why == "it answered 410 Gone"


def test_an_inner_address_is_refused_on_record_and_not_asked(receiver, settings):
    settings.OUTBOUND_ALLOW_PRIVATE = False
    row = due(receiver.url.replace("http://", "https://"), at=timezone.now())

    deliver_due()

    row.refresh_from_db()
    assert (row.status, row.error) == ("failed", "a private address")
    assert receiver.requests == []


def test_the_ladder_is_5_5_5_60_minutes_then_every_2_hours_up_to_72(receiver):
    row, now, waits = due(), NOON, []

    while row.status == "pending":
        tried(row, NO_ANSWER, now)
        if row.due_at is not None:
            waits.append(round((row.due_at - now) / MINUTE))
            now = row.due_at

    assert waits[:5] == [5, 5, 5, 60, 120]
    assert set(waits[4:]) == {120}
    assert now - NOON == timedelta(hours=71, minutes=15)
    assert row.tries == len(waits) + 1 == 40
    assert row.error == "time-out"


def test_an_endpoint_that_fails_for_72_hours_is_disabled(receiver):
    first = due()
    tried(first, NO_ANSWER, NOON)
    later = NOON + timedelta(hours=72)
    Delivery.objects.filter(pk=first.pk).update(due_at=None, status="failed")
    second = DeliveryFactory.create(
        event__account=first.event.account, event__created_at=later, endpoint=first.endpoint
    )

    tried(second, NO_ANSWER, later)

    first.endpoint.refresh_from_db()
    assert first.endpoint.disabled_at is not None
    assert first.endpoint.disabled_why == "nothing was delivered for 72 hours (time-out)"
    assert second.status == "failed"
    assert claim(later + timedelta(hours=3)) == []


def test_a_success_ends_the_count_of_failing_hours():
    row = due()
    tried(row, NO_ANSWER, NOON)
    tried(row, DELIVERED, NOON + 5 * MINUTE)

    row.endpoint.refresh_from_db()
    assert (row.endpoint.failing_since, row.endpoint.rests_until) == (None, None)


def test_what_waits_on_a_late_rung_goes_at_a_recovery_and_begins_the_ladder_anew():
    old = due()
    Delivery.objects.filter(pk=old.pk).update(failures=9, due_at=NOON + timedelta(hours=2))
    Endpoint.objects.filter(pk=old.endpoint_id).update(failing_since=NOON - timedelta(hours=5))
    fresh = DeliveryFactory.create(
        event__account=old.event.account, event__created_at=NOON, endpoint=old.endpoint
    )
    tried(fresh, DELIVERED, NOON)

    tried(old, NO_ANSWER, NOON)

    assert (old.failures, old.due_at) == (1, NOON + 5 * MINUTE)


def test_nobody_waits_for_who_does_not_answer_and_one_delivery_asks_after_the_rest():
    one = due()
    others = [
        DeliveryFactory.create(
            event__account=one.event.account, event__created_at=NOON, endpoint=one.endpoint
        )
        for _ in range(3)
    ]
    first, *rest = claim(NOON)
    assert len(rest) == 3
    for claimed in (first, *rest):
        settle(claimed, NO_ANSWER, NOON)
    fresh = [
        DeliveryFactory.create(
            event__account=one.event.account, event__created_at=NOON, endpoint=one.endpoint
        )
        for _ in others
    ]

    resting = claim(NOON + timedelta(seconds=29))
    asking = claim(NOON + timedelta(seconds=30))
    at_once = claim(NOON + timedelta(seconds=31))

    assert resting == []
    assert [claimed.delivery_pk for claimed in asking] == [fresh[0].pk]
    assert at_once == []


def test_a_healthy_endpoint_does_not_rest_for_another():
    one = due()
    tried(one, NO_ANSWER, NOON)
    healthy = due(at=NOON)

    assert [claimed.delivery_pk for claimed in claim(NOON)] == [healthy.pk]


def test_a_claimed_delivery_is_nobody_elses_until_its_lease_ends():
    row = due()
    (killed,) = claim(NOON)  # its worker dies here

    assert claim(NOON + timedelta(seconds=59)) == []
    (again,) = claim(NOON + timedelta(seconds=60))

    assert (again.delivery_pk, again.number) == (row.pk, 2)
    assert again.headers["webhook-id"] == killed.headers["webhook-id"]
    assert again.body == killed.body


def test_a_failure_that_comes_after_another_try_decides_nothing():
    row = due()
    (slow,) = claim(NOON)
    (quick,) = claim(NOON + MINUTE)
    settle(slow, NO_ANSWER, NOON + MINUTE)
    row.refresh_from_db()
    untouched = (row.status, row.failures)
    settle(quick, DELIVERED, NOON + MINUTE)
    settle(slow, NO_ANSWER, NOON + MINUTE)

    row.refresh_from_db()
    assert untouched == ("pending", 0)
    assert row.status == "delivered"
    assert row.endpoint.disabled_at is None


def test_six_hours_down_and_nothing_is_lost_ids_stay_and_order_shows(receiver):
    endpoint = EndpointFactory.create(url=receiver.url)
    emitted, asked = [], []

    with time_machine.travel(NOON, tick=False) as clock:
        receiver.answers = [503]
        for turn in range(6 * 12):
            if turn % 3 == 0:
                body = {"event": "call.completed", "n": len(emitted)}
                emitted.append(outbox.emit(endpoint.account, "call.completed", body).event_id)
            deliver_due()
            clock.shift(5 * MINUTE)
        asked = list(receiver.ids)
        receiver.requests.clear()
        receiver.answers = [200]
        back = timezone.now()
        for _ in range(10):
            deliver_due()
            clock.shift(MINUTE)

    assert len(emitted) == 24
    assert set(asked) <= set(emitted)
    assert sorted(receiver.ids) == sorted(emitted)  # each once, under the id it always had
    assert Delivery.objects.filter(status="delivered").count() == 24
    numbers = [int(headers["x-nixflex-event-number"]) for headers, _ in receiver.requests]
    in_order = sorted(range(24), key=lambda at: numbers[at])
    assert [receiver.bodies[at]["n"] for at in in_order] == list(range(24))
    last = max(Delivery.objects.values_list("delivered_at", flat=True))
    assert last - back <= 2 * MINUTE  # once it answers, the others do not wait for their rung
    first = Delivery.objects.order_by("event_id").first()
    assert first.delivered_at - first.event.created_at >= timedelta(hours=6)


def test_slack_is_told_a_summary_and_nothing_it_could_act_on(receiver):
    row = due(
        receiver.url,
        at=timezone.now(),
        endpoint__kind=Endpoint.Kind.SLACK,
        event__body=json.dumps(
            {
                "direction": "outbound",
                "from": "+447446466847",
                "to": "+447386172392",
                "successful": True,
                "ended_reason": "completed",
                "summary": "Call <!channel> & rejoice.",
                "transcript": "Agent: a secret",
            }
        ),
    )

    deliver_due()

    headers, body = receiver.requests[0]
    assert json.loads(body) == {
        "text": "Call to +447386172392: successful (completed)\n"
        "Call &lt;!channel&gt; &amp; rejoice."
    }
    assert "webhook-signature" not in headers
    row.refresh_from_db()
    assert row.status == "delivered"


def test_an_event_that_cannot_be_put_into_words_is_put_off_and_holds_up_no_other(receiver):
    now = timezone.now()
    broken = due(receiver.url, at=now - MINUTE, endpoint__kind="slack", event__body="[]")
    other = due(receiver.url, at=now)

    assert deliver_due() == 1

    broken.refresh_from_db()
    assert (broken.status, broken.tries, broken.failures) == ("pending", 1, 1)
    assert broken.error == "AttributeError"
    assert broken.due_at > now + 4 * MINUTE
    other.refresh_from_db()
    assert other.status == "delivered"


def test_one_settlement_that_fails_does_not_take_the_others_with_it(receiver, monkeypatch):
    rows = [due(receiver.url, at=timezone.now()) for _ in range(2)]
    real = settle

    def breaks_on_the_first(one: Claim, outcome: Outcome, now: datetime) -> None:
        if one.delivery_pk == rows[0].pk:
            raise DatabaseError("deadlock detected")
        real(one, outcome, now)

    monkeypatch.setattr(delivering, "settle", breaks_on_the_first)
    deliver_due()

    statuses = [Delivery.objects.get(pk=row.pk).status for row in rows]
    assert statuses == ["pending", "delivered"]


def test_an_endpoint_that_is_deleted_while_it_is_asked_costs_the_others_nothing(
    receiver, monkeypatch
):
    gone, stays = due(receiver.url), due(receiver.url)
    ask = delivering._send_all

    async def and_meanwhile(claims):
        outcomes = await ask(claims)
        await sync_to_async(gone.endpoint.delete)()
        return outcomes

    monkeypatch.setattr(delivering, "_send_all", and_meanwhile)
    assert deliver_due() == 2

    stays.refresh_from_db()
    assert stays.status == "delivered"
    assert not Delivery.objects.filter(pk=gone.pk).exists()
