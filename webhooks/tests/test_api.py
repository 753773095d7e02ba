from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.factories import ApiKeyFactory, api_client
from agents import numbers
from agents.factories import PhoneNumberFactory
from agents.tests.outside import official_sdk
from webhooks.factories import DeliveryFactory, EndpointFactory
from webhooks.models import Delivery, Endpoint, Event

pytestmark = pytest.mark.django_db
sdk = official_sdk()

URL = "https://hooks.example.com/nixflex?key=abc"


def put(client, path, body):
    return client.put(f"/v1/integrations/{path}", body, content_type="application/json")


def post(client, path, body=None):
    return client.post(f"/v1/{path}", body or {}, content_type="application/json")


@pytest.mark.django_db(transaction=True)
def test_the_official_sdk_sets_both_slots_of_a_number(live_server):
    key = ApiKeyFactory.create()
    number = PhoneNumberFactory.create(account=key.account).phone_number
    with sdk.Nixflex(api_key=key.credentials, base_url=live_server.url, max_retries=0) as client:
        client.webhooks.set(number, URL)
        client.webhooks.set(number, "https://two.example.com/", slot=2)
        first, second = client.webhooks.get(number), client.webhooks.get(number, slot=2)
        client.webhooks.delete(number)
        gone = client.webhooks.get(number)

    assert (first["webhook_url"], first["url"], first["is_set"]) == (URL, URL, True)
    assert (second["webhook_url_2"], second["is_set"]) == ("https://two.example.com/", True)
    assert (gone["webhook_url"], gone["is_set"]) == (None, False)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_field"),
        ({"url": ""}, "missing_field"),
        ({"url": "http://hooks.example.com/"}, "invalid_url"),
        ({"url": "https://127.0.0.1/"}, "invalid_url"),
        ({"url": "https://169.254.169.254/"}, "invalid_url"),
        ({"url": 5}, "invalid_request"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_and_nothing_set(body, code):
    number = PhoneNumberFactory.create()

    refused = put(api_client(number.account), f"webhook/number/{number.phone_number}", body)

    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == code
    assert "webhook_url" in refused.json()["error"]["message"]
    assert Endpoint.objects.count() == 0


@pytest.mark.parametrize("name", ["webhook", "webhook2", "slack", "zapier", "make"])
def test_somebody_elses_number_is_a_404(name):
    number = PhoneNumberFactory.create()
    path = f"{name}/number/{number.phone_number}"
    client = api_client()

    answers = [
        put(client, path, {"url": URL}),
        client.get(f"/v1/integrations/{path}"),
        client.delete(f"/v1/integrations/{path}"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert Endpoint.objects.count() == 0


def test_slack_takes_only_slacks_own_addresses():
    number = PhoneNumberFactory.create()
    path = f"slack/number/{number.phone_number}"
    client = api_client(number.account)

    other = put(client, path, {"webhook_url": "https://evil.example.com/hooks.slack.com"})
    slack = put(client, path, {"webhook_url": "https://hooks.slack.com/services/T0/B0/x"})

    assert other.json()["error"]["code"] == "invalid_url"
    assert slack.json()["ok"] is True
    assert slack.json()["phone_number"] == number.phone_number
    assert Endpoint.objects.get().kind == "slack"


def test_zapier_is_given_its_post_call_url():
    number = PhoneNumberFactory.create()

    put(
        api_client(number.account),
        f"zapier/number/{number.phone_number}",
        {"post_call_url": "https://hooks.zapier.com/hooks/catch/1/2/"},
    )

    assert Endpoint.objects.get().url == "https://hooks.zapier.com/hooks/catch/1/2/"


def test_a_deleted_number_takes_its_slots_with_it(carrier):
    number = PhoneNumberFactory.create(carrier_account__sid=carrier.sid)
    put(api_client(number.account), f"webhook/number/{number.phone_number}", {"url": URL})

    numbers.release_number(number.account, number.phone_number)

    assert Endpoint.objects.count() == 0


def test_an_accounts_endpoint_is_made_with_a_secret_that_is_shown_once():
    client = api_client()

    made = post(client, "webhook-endpoints", {"url": URL, "events": ["call.completed"]})
    one = client.get(f"/v1/webhook-endpoints/{made.json()['endpoint_id']}")

    assert made.status_code == 201
    assert made.json()["signing_secret"] == Endpoint.objects.get().secret
    assert one.json()["url"] == URL
    assert "signing_secret" not in one.json()
    assert "secret" not in one.json()


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
