import pytest
from django.test import Client
from django.utils import timezone

from accounts.factories import UserFactory
from webhooks.factories import DeliveryFactory
from webhooks.models import Attempt, Delivery, Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(UserFactory.create(is_superuser=True))
    return client


def test_each_try_is_found_by_its_call_with_request_answer_and_time(operator):
    delivery = DeliveryFactory.create(event__subject="call_abc")
    attempt = Attempt.objects.create(
        delivery=delivery,
        number=1,
        headers={"webhook-id": delivery.event.event_id},
        status_code=503,
        error="HTTP 503",
        duration_ms=12,
    )

    found = operator.get("/admin/webhooks/attempt/?q=call_abc").content.decode()
    other = operator.get("/admin/webhooks/attempt/?q=call_other").content.decode()
    page = operator.get(f"/admin/webhooks/attempt/{attempt.pk}/change/").content.decode()

    assert delivery.event.event_id in found
    assert delivery.event.event_id not in other
    for part in ("503", "webhook-id", "call.completed", "12"):
        assert part in page


def test_no_page_shows_a_secret(operator):
    endpoint = DeliveryFactory.create().endpoint

    listed = operator.get("/admin/webhooks/endpoint/").content.decode()
    page = operator.get(f"/admin/webhooks/endpoint/{endpoint.pk}/change/").content.decode()

    assert endpoint.endpoint_id in listed
    assert endpoint.secret not in listed + page


def test_the_operator_enables_and_replays(operator):
    delivery = DeliveryFactory.create(
        status="failed", due_at=None, endpoint__disabled_at=timezone.now()
    )
    chosen = {"_selected_action": [delivery.endpoint.pk]}

    seen = operator.get("/admin/webhooks/endpoint/").content.decode()
    operator.post("/admin/webhooks/endpoint/", {"action": "replay_failed", **chosen})
    delivery.refresh_from_db()
    replayed = delivery.status
    Delivery.objects.update(status="delivered", due_at=None)
    operator.post(
        "/admin/webhooks/event/", {"action": "replay", "_selected_action": [delivery.event.pk]}
    )
    operator.post("/admin/webhooks/endpoint/", {"action": "test", **chosen})

    assert "disabled" in seen
    assert replayed == "pending"
    delivery.refresh_from_db()
    delivery.endpoint.refresh_from_db()
    assert delivery.status == "pending"
    assert delivery.endpoint.disabled_at is None
    assert Event.objects.filter(type="webhook.test").count() == 1


@pytest.mark.parametrize("name", ["endpoint", "event", "delivery", "attempt"])
def test_every_list_opens(operator, name):
    delivery = DeliveryFactory.create()
    Attempt.objects.create(delivery=delivery, number=1)

    assert operator.get(f"/admin/webhooks/{name}/").status_code == 200
