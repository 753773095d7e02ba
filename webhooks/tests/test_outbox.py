from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.factories import AccountFactory
from webhooks import outbox
from webhooks.factories import DeliveryFactory, EndpointFactory, EventFactory
from webhooks.models import Delivery, Endpoint, Event

pytestmark = pytest.mark.django_db

NUMBER = "+447446466847"
CALL = {"event": "call.completed", "call_id": "call_1"}


def slot(account, slot=1, **fields):
    return EndpointFactory.create(
        account=account, owner=Endpoint.Owner.NUMBER, phone_number=NUMBER, slot=slot, **fields
    )


def emitted(account, event_type="call.completed", **about):
    return outbox.emit(account, event_type, CALL, phone_number=NUMBER, **about)


def receivers(event):
    return {delivery.endpoint.endpoint_id for delivery in event.deliveries.all()}


def test_both_slots_of_the_number_and_the_accounts_endpoints_get_it():
    account = AccountFactory.create()
    ours = [slot(account), slot(account, 2), EndpointFactory.create(account=account)]
    EndpointFactory.create(
        account=account, owner=Endpoint.Owner.NUMBER, phone_number="+447446466848"
    )
    EndpointFactory.create()  # of somebody else

    event = emitted(account)

    assert receivers(event) == {endpoint.endpoint_id for endpoint in ours}


def test_the_agents_own_url_is_told_only_where_the_number_has_no_slot():
    account = AccountFactory.create()
    of_agent = {"agent_id": "agent_1", "agent_url": "https://agent.example.com/"}

    without = emitted(account, **of_agent)
    number = slot(account)
    with_slot = emitted(account, **of_agent)

    told = without.deliveries.get().endpoint
    assert (told.owner, told.agent_id, told.url) == (
        "agent",
        "agent_1",
        "https://agent.example.com/",
    )
    assert receivers(with_slot) == {number.endpoint_id}


def test_a_changed_agent_url_moves_and_enables_its_endpoint():
    account = AccountFactory.create()
    emitted(account, agent_id="agent_1", agent_url="https://old.example.com/")
    outbox.disable(Endpoint.objects.get(), "it answered 410 Gone")

    emitted(account, agent_id="agent_1", agent_url="https://new.example.com/")

    endpoint = Endpoint.objects.get()
    assert (endpoint.url, endpoint.disabled_at) == ("https://new.example.com/", None)


def test_nothing_is_written_where_nobody_listens():
    assert emitted(AccountFactory.create()) is None
    assert Event.objects.count() == 0


def test_an_endpoint_gets_only_the_events_it_wants():
    account = AccountFactory.create()
    EndpointFactory.create(account=account, events=["sms.received"])
    slack = slot(account, kind=Endpoint.Kind.SLACK)

    assert emitted(account, "call.started") is None
    assert receivers(emitted(account, "call.completed")) == {slack.endpoint_id}


@pytest.mark.django_db(transaction=True)
def test_news_of_a_transaction_that_is_rolled_back_is_not_told():
    account = AccountFactory.create()
    slot(account)

    with transaction.atomic():
        event = emitted(account)
        transaction.set_rollback(True)

    assert event is not None
    assert Event.objects.count() == 0


def test_what_a_disabled_endpoint_misses_is_on_record_and_can_be_replayed():
    account = AccountFactory.create()
    endpoint = slot(account)
    outbox.disable(endpoint, "why")
    since = timezone.now()
    event = emitted(account)
    missed = event.deliveries.get()

    outbox.enable(endpoint)
    again = outbox.replay_since(endpoint, since)

    assert (missed.status, missed.due_at, missed.error) == ("failed", None, "disabled")
    assert again == 1
    missed.refresh_from_db()
    assert missed.status == "pending"


def test_disabling_fails_what_is_pending_and_tells_the_accounts_other_endpoints_once():
    delivery = DeliveryFactory.create()
    other = EndpointFactory.create(account=delivery.event.account)

    assert outbox.disable(delivery.endpoint, "nobody there") is True
    assert outbox.disable(delivery.endpoint, "nobody there") is False

    delivery.refresh_from_db()
    assert (delivery.status, delivery.due_at) == ("failed", None)
    told = Event.objects.get(type="webhook.disabled")
    assert told.deliveries.get(status="pending").endpoint == other


def test_a_replay_since_a_moment_takes_no_older_and_no_erased_event():
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    endpoint = EndpointFactory.create()
    rows = {}
    for name, minutes in (("before", -1), ("at", 0), ("after", 1), ("erased", 2)):
        event = EventFactory.create(
            account=endpoint.account,
            created_at=noon + timedelta(minutes=minutes),
            erased_at=noon if name == "erased" else None,
        )
        rows[name] = DeliveryFactory.create(
            event=event, endpoint=endpoint, status="delivered", due_at=None
        )

    assert outbox.replay_since(endpoint, noon) == 2

    pending = Delivery.objects.filter(status="pending")
    assert set(pending) == {rows["at"], rows["after"]}


def test_a_replay_of_failures_leaves_what_was_delivered():
    endpoint = EndpointFactory.create()
    for status in ("delivered", "failed"):
        event = EventFactory.create(account=endpoint.account)
        DeliveryFactory.create(event=event, endpoint=endpoint, status=status, due_at=None)

    hour_ago = timezone.now() - timedelta(hours=1)
    assert outbox.replay_since(endpoint, hour_ago, failed_only=True) == 1


def test_erasing_blanks_the_body_keeps_the_log_and_sends_nothing_more():
    delivery = DeliveryFactory.create()
    event = delivery.event

    assert outbox.erase(event.account, [event.subject]) == 1
    assert outbox.erase(event.account, [event.subject]) == 0

    event.refresh_from_db()
    delivery.refresh_from_db()
    assert event.body == ""
    assert event.erased_at is not None
    assert (delivery.status, delivery.error) == ("failed", "erased")
    assert outbox.replay(event) == 0


def test_another_accounts_subject_is_not_erased():
    delivery = DeliveryFactory.create()

    assert outbox.erase(AccountFactory.create(), [delivery.event.subject]) == 0


def test_what_is_older_than_the_retention_goes_with_its_log():
    now = timezone.now()
    old = DeliveryFactory.create(event__created_at=now - timedelta(days=91))
    young = DeliveryFactory.create(event__created_at=now - timedelta(days=89))

    assert outbox.delete_before(now - timedelta(days=90)) == 1

    assert list(Delivery.objects.all()) == [young]
    assert not Event.objects.filter(pk=old.event_id).exists()


def test_a_slot_is_one_row_however_often_it_is_set():
    account = AccountFactory.create()

    for url in ("https://one.example.com/", "https://two.example.com/"):
        outbox.set_slot(account, NUMBER, kind="webhook", url=url)

    assert Endpoint.objects.get().url == "https://two.example.com/"
