"""An operator's own endpoint, from the form to the log of what came of it, without the API."""

import base64
import hmac

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.factories import AccountFactory, UserFactory
from webhooks.delivery import deliver_due
from webhooks.endpoint_admin import PAUSED
from webhooks.factories import DeliveryFactory, EndpointFactory
from webhooks.inputs import EVENT_TYPES
from webhooks.models import Attempt, Delivery, Endpoint, Event
from webhooks.outbox import emit

pytestmark = pytest.mark.django_db
ADD = "/admin/webhooks/endpoint/add/"


def client_of(user) -> Client:
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def operator() -> Client:
    return client_of(UserFactory.create(is_superuser=True))


def page_of(endpoint) -> str:
    return f"/admin/webhooks/endpoint/{endpoint.pk}/change/"


def do(client, endpoint, what):
    return client.post(f"/admin/webhooks/endpoint/{endpoint.pk}/do/{what}/", follow=True)


def test_a_new_endpoint_shows_its_secret_once_and_gets_the_chosen_events(operator):
    account = AccountFactory.create()
    form = {
        "account": account.pk,
        "url": "https://example.com/hook",
        "events": ["call.completed", "sms.received"],
    }

    answer = operator.post(ADD, form)

    made = Endpoint.objects.get()
    assert (made.account, made.owner, made.kind) == (account, "account", "webhook")
    assert (made.url, made.events) == ("https://example.com/hook", form["events"])
    assert made.secret in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    assert made.secret not in operator.get(page_of(made)).content.decode()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/hook", "not https"),
        ("https://127.0.0.1/hook", "a private address"),
        ("https://169.254.169.254/latest", "a metadata address"),
        ("https://metadata.google.internal/", "a metadata address"),
    ],
)
def test_an_address_that_the_api_refuses_is_refused_beside_the_field(operator, url, says):
    answer = operator.post(ADD, {"account": AccountFactory.create().pk, "url": url})

    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == ["url"]
    assert says in answer.content.decode()
    assert not Endpoint.objects.exists()


def test_a_changed_address_is_guarded_too_and_keeps_what_it_was(operator):
    endpoint = EndpointFactory.create(url="https://example.com/a", events=["custom.type"])

    refused = operator.post(page_of(endpoint), {"url": "https://10.0.0.1/", "events": []})
    taken = operator.post(
        page_of(endpoint), {"url": "https://example.com/b", "events": ["custom.type"]}
    )

    assert "a private address" in refused.content.decode()
    assert taken.status_code == 302
    endpoint.refresh_from_db()
    # A type that only the API knew stays a choice.
    assert (endpoint.url, endpoint.events) == ("https://example.com/b", ["custom.type"])


def test_a_test_event_arrives_signed_and_its_page_says_so(operator, receiver):
    endpoint = EndpointFactory.create(url=receiver.url)

    waiting = do(operator, endpoint, "test").content.decode()
    deliver_due()
    told = operator.get(f"/admin/webhooks/endpoint/{endpoint.pk}/latest/").content.decode()

    ((headers, body),) = receiver.requests
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(endpoint.secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert "webhook.test" in waiting
    assert 'hx-trigger="every 1s"' in waiting
    assert "HTTP 200" in told
    assert "Delivered" in told
    assert "hx-trigger" not in told  # nothing is awaited any more


def test_a_paused_endpoint_gets_nothing_until_it_is_enabled_and_then_what_it_missed(
    operator, receiver
):
    endpoint = EndpointFactory.create(url=receiver.url)

    do(operator, endpoint, "pause")
    emit(endpoint.account, "call.completed", {"event": "call.completed"})
    deliver_due()
    missed = len(receiver.requests)
    paused = Endpoint.objects.get()
    do(operator, endpoint, "replay")
    deliver_due()

    assert missed == 0
    assert (paused.disabled_at is not None, paused.disabled_why) == (True, PAUSED)
    # Also that it was out of service, which it may want to know. They go out side by side.
    assert {one["event"] for one in receiver.bodies} == {"webhook.disabled", "call.completed"}
    assert len(receiver.bodies) == 2
    assert Endpoint.objects.get().disabled_at is None


def test_a_new_secret_is_shown_once_and_the_old_one_signs_along(operator):
    endpoint = EndpointFactory.create()
    before = endpoint.secret

    shown = do(operator, endpoint, "secret")

    endpoint.refresh_from_db()
    assert endpoint.secret != before
    assert endpoint.previous_secret == before
    assert endpoint.secret in shown.content.decode()
    assert before not in shown.content.decode()
    assert "no-store" in shown.headers["Cache-Control"]


def test_nothing_is_done_by_a_link(operator):
    endpoint = EndpointFactory.create()

    for what in ("test", "pause", "enable", "replay", "secret"):
        assert operator.get(f"/admin/webhooks/endpoint/{endpoint.pk}/do/{what}/").status_code == 403

    assert not Event.objects.exists()
    assert Endpoint.objects.get().secret == endpoint.secret


def test_who_may_only_look_changes_and_sends_nothing():
    endpoint = EndpointFactory.create()
    viewer = UserFactory.create()
    viewer.user_permissions.add(*Permission.objects.filter(codename="view_endpoint"))
    client = client_of(viewer)

    page = client.get(page_of(endpoint)).content.decode()
    answers = [do(client, endpoint, what).status_code for what in ("test", "pause", "secret")]
    added = client.post(ADD, {"account": endpoint.account.pk, "url": "https://example.com/"})
    chosen = {"_selected_action": [endpoint.pk], "action": "test"}
    client.post("/admin/webhooks/endpoint/", chosen)

    assert "Send a test event</button>" not in page
    assert answers == [403, 403, 403]
    assert added.status_code == 403
    assert not Event.objects.exists()
    assert Endpoint.objects.get().disabled_at is None


def test_a_numbers_slot_is_tested_here_and_changed_where_the_number_is(operator):
    slot = EndpointFactory.create(
        owner="number", phone_number="+447446466847", url="https://example.com/slot"
    )

    page = operator.get(page_of(slot)).content.decode()
    answer = operator.post(page_of(slot), {"url": "https://example.com/other", "events": []})
    do(operator, slot, "test")

    assert 'name="url"' not in page
    assert answer.status_code == 403
    slot.refresh_from_db()
    assert slot.url == "https://example.com/slot"
    assert Event.objects.get().type == "webhook.test"


def test_an_endpoint_without_deliveries_says_what_to_do(operator):
    page = operator.get(page_of(EndpointFactory.create())).content.decode()

    assert "Nothing yet: send a test event." in page


def test_an_endpoint_shows_its_own_deliveries_only(operator):
    mine, other = DeliveryFactory.create(event__type="sms.sent"), DeliveryFactory.create()

    page = operator.get(page_of(mine.endpoint)).content.decode()

    assert f"/admin/webhooks/event/{mine.event.pk}/" in page
    assert f"/admin/webhooks/event/{other.event.pk}/" not in page


def test_every_type_that_can_be_chosen_is_documented(request):
    words = (request.config.rootpath / "docs/webhooks.md").read_text()

    assert [one for one in EVENT_TYPES if f"`{one}`" not in words] == []


# --- deleting one ---------------------------------------------------------------------------------


def deletion_of(endpoint) -> str:
    return f"/admin/webhooks/endpoint/{endpoint.pk}/delete/"


@pytest.mark.parametrize("owner", ["account", "number"])
def test_an_endpoint_is_deleted_with_its_log_once_somebody_has_confirmed_it(operator, owner):
    delivery = DeliveryFactory.create(endpoint__owner=owner)
    other = DeliveryFactory.create(event=delivery.event)
    Attempt.objects.create(delivery=delivery, number=1)
    endpoint = delivery.endpoint

    asked = operator.get(deletion_of(endpoint))

    assert deletion_of(endpoint) in operator.get(page_of(endpoint)).content.decode()
    assert asked.status_code == 200
    assert asked.context["model_count"] == {"webhook endpoints": 1, "deliveries": 1}.items()
    assert Endpoint.objects.count() == 2

    assert operator.post(deletion_of(endpoint), {"post": "yes"}).status_code == 302

    assert list(Endpoint.objects.all()) == [other.endpoint]
    assert list(Delivery.objects.all()) == [other]
    assert not Attempt.objects.exists()
    assert list(Event.objects.all()) == [delivery.event]


def test_several_endpoints_are_deleted_at_once(operator):
    kept, *gone = [EndpointFactory.create() for _ in range(3)]
    form = {"action": "delete_selected", "_selected_action": [one.pk for one in gone]}

    assert operator.post("/admin/webhooks/endpoint/", form).status_code == 200
    assert Endpoint.objects.count() == 3
    operator.post("/admin/webhooks/endpoint/", {**form, "post": "yes"})

    assert list(Endpoint.objects.all()) == [kept]


def test_who_may_only_change_endpoints_deletes_none():
    user, endpoint = UserFactory.create(), EndpointFactory.create()
    may = Permission.objects.filter(codename__in=["view_endpoint", "change_endpoint"])
    user.user_permissions.set(may)

    answer = client_of(user).post(deletion_of(endpoint), {"post": "yes"})

    assert answer.status_code == 403
    assert Endpoint.objects.exists()
    assert deletion_of(endpoint) not in client_of(user).get(page_of(endpoint)).content.decode()
