from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.factories import api_client
from webhooks.factories import DeliveryFactory, EndpointFactory
from webhooks.models import Delivery, Endpoint, Event

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.com/nixflex?key=abc"


def post(client, path, body=None, **headers):
    return client.post(
        f"/v1/{path}", body or {}, content_type="application/json", headers=headers or None
    )


def test_an_accounts_endpoint_is_made_with_a_secret_that_is_shown_once():
    client = api_client()

    made = post(client, "webhook-endpoints", {"url": URL, "events": ["call.completed"]})
    one = client.get(f"/v1/webhook-endpoints/{made.json()['endpoint_id']}")

    assert made.status_code == 201
    assert made.json()["signing_secret"] == Endpoint.objects.get().secret
    assert one.json()["url"] == URL
    assert "signing_secret" not in one.json()
    assert "secret" not in one.json()


def test_an_endpoint_that_is_asked_for_again_with_its_key_is_made_once():
    client, asked = api_client(), {"url": URL}

    made, copy = (
        post(client, "webhook-endpoints", asked, **{"Idempotency-Key": "k1"}) for _ in range(2)
    )

    assert (made.status_code, copy.status_code) == (201, 201)
    assert copy.json() == made.json()  # the secret too, which a lost answer took with it
    assert copy["Idempotent-Replayed"] == "true"
    assert Endpoint.objects.count() == 1
    other = post(client, "webhook-endpoints", {"url": f"{URL}&x=1"}, **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert post(client, "webhook-endpoints", asked).json() != made.json()
    assert Endpoint.objects.count() == 2


@pytest.mark.parametrize("what", ["rotate-secret", "test", "replay"])
def test_what_is_asked_of_an_endpoint_again_with_its_key_is_done_once(what):
    delivery = DeliveryFactory.create(status="failed", due_at=None)
    client = api_client(delivery.event.account)
    path = f"webhook-endpoints/{delivery.endpoint.endpoint_id}/{what}"
    body = {"since": "2026-01-01T00:00:00Z"} if what == "replay" else {}

    done = post(client, path, body, **{"Idempotency-Key": "k1"})
    after = [Event.objects.count(), Endpoint.objects.get().secret]
    Delivery.objects.update(status="failed", due_at=None)
    copy = post(client, path, body, **{"Idempotency-Key": "k1"})

    assert (done.status_code, copy.json()) == (200, done.json())
    assert [Event.objects.count(), Endpoint.objects.get().secret] == after
    assert not Delivery.objects.filter(status="pending").exists()


def test_a_change_an_ending_and_a_replay_that_are_asked_for_again_are_done_once():
    delivery = DeliveryFactory.create(status="failed", due_at=None)
    client = api_client(delivery.event.account)
    path = f"/v1/webhook-endpoints/{delivery.endpoint.endpoint_id}"
    asked = {"content_type": "application/json", "headers": {"Idempotency-Key": "k1"}}

    changed = client.patch(path, {"url": URL}, **asked)
    Endpoint.objects.update(disabled_at=timezone.now())
    assert client.patch(path, {"url": URL}, **asked).json() == changed.json()
    assert Endpoint.objects.get().disabled_at is not None

    Endpoint.objects.update(disabled_at=None)
    again = f"webhook-events/{delivery.event.event_id}/replay"
    assert post(client, again, **{"Idempotency-Key": "k2"}).json() == {"events": 1}
    Delivery.objects.update(status="failed", due_at=None)
    assert post(client, again, **{"Idempotency-Key": "k2"}).json() == {"events": 1}
    assert Delivery.objects.get().status == "failed"

    gone = [client.delete(path, headers={"Idempotency-Key": "k3"}) for _ in range(2)]
    assert [one.status_code for one in gone] == [200, 200]
    assert not Endpoint.objects.exists()


def test_endpoints_and_events_of_others_do_not_exist():
    delivery = DeliveryFactory.create()
    endpoint, event = delivery.endpoint.endpoint_id, delivery.event.event_id
    client = api_client()

    answers = [
        client.get(f"/v1/webhook-endpoints/{endpoint}"),
        client.delete(f"/v1/webhook-endpoints/{endpoint}"),
        post(client, f"webhook-endpoints/{endpoint}/rotate-secret"),
        post(client, f"webhook-endpoints/{endpoint}/test"),
        post(client, f"webhook-endpoints/{endpoint}/replay", {"since": "2026-01-01T00:00:00Z"}),
        client.get(f"/v1/webhook-events/{event}"),
        post(client, f"webhook-events/{event}/replay"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert client.get("/v1/webhook-events").json() == []
    assert client.get("/v1/webhook-endpoints").json() == []
    assert Endpoint.objects.get() == delivery.endpoint


def test_a_change_enables_a_disabled_endpoint():
    endpoint = EndpointFactory.create(disabled_at=timezone.now(), disabled_why="why")

    changed = api_client(endpoint.account).patch(
        f"/v1/webhook-endpoints/{endpoint.endpoint_id}",
        {"url": "https://new.example.com/"},
        content_type="application/json",
    )

    assert changed.json()["is_enabled"] is True
    assert changed.json()["url"] == "https://new.example.com/"


def test_a_rotation_shows_the_new_secret_and_when_the_old_one_ends():
    endpoint = EndpointFactory.create()
    old = endpoint.secret

    rotated = post(
        api_client(endpoint.account),
        f"webhook-endpoints/{endpoint.endpoint_id}/rotate-secret",
        {"overlap_seconds": 3600},
    )

    endpoint.refresh_from_db()
    assert rotated.json()["signing_secret"] == endpoint.secret != old
    assert endpoint.previous_secret == old
    assert timezone.now() < endpoint.previous_secret_ends_at < timezone.now() + timedelta(hours=2)


def test_the_test_button_sends_webhook_test_to_that_endpoint_only():
    endpoint = EndpointFactory.create()
    EndpointFactory.create(account=endpoint.account)

    sent = post(api_client(endpoint.account), f"webhook-endpoints/{endpoint.endpoint_id}/test")

    assert sent.json()["type"] == "webhook.test"
    assert [row["endpoint_id"] for row in sent.json()["deliveries"]] == [endpoint.endpoint_id]


def test_everything_since_a_moment_is_replayed_and_the_endpoint_enabled():
    delivery = DeliveryFactory.create(
        status="failed", due_at=None, endpoint__disabled_at=timezone.now()
    )
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    path = f"webhook-endpoints/{delivery.endpoint.endpoint_id}/replay"

    replayed = post(api_client(delivery.event.account), path, {"since": since})

    assert replayed.json() == {"events": 1}
    delivery.refresh_from_db()
    delivery.endpoint.refresh_from_db()
    assert delivery.status == "pending"
    assert delivery.endpoint.disabled_at is None


def test_one_event_is_replayed_under_its_id():
    delivery = DeliveryFactory.create(status="delivered", due_at=None)
    client = api_client(delivery.event.account)

    replayed = post(client, f"webhook-events/{delivery.event.event_id}/replay")
    shown = client.get(f"/v1/webhook-events/{delivery.event.event_id}").json()

    assert replayed.json() == {"events": 1}
    assert Event.objects.count() == 1
    assert shown["deliveries"][0]["status"] == "pending"
    assert Delivery.objects.get().status == "pending"
