"""Where a number's calls are told."""

import pytest

from accounts.factories import ApiKeyFactory, api_client
from agents import numbers
from agents.factories import PhoneNumberFactory
from agents.tests.outside import official_sdk
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db
sdk = official_sdk()

URL = "https://hooks.example.com/nixflex?key=abc"


def put(client, path, body):
    return client.put(f"/v1/integrations/{path}", body, content_type="application/json")


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


@pytest.mark.parametrize("name", ["webhook", "webhook2", "slack", "zapier", "make", "gohighlevel"])
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


def test_a_number_shows_its_webhooks_in_one_query_however_many_numbers(
    django_assert_max_num_queries,
):
    first = PhoneNumberFactory.create()
    client = api_client(first.account)
    others = PhoneNumberFactory.create_batch(5, account=first.account)
    put(client, f"webhook/number/{first.phone_number}", {"url": URL})
    put(client, f"webhook2/number/{others[0].phone_number}", {"url": "https://two.example.com/"})

    with django_assert_max_num_queries(4):
        listed = client.get("/v1/phone-numbers").json()["phone_numbers"]

    shown = {one["phone_number"]: (one["webhook_url"], one["webhook_url_2"]) for one in listed}
    assert shown[first.phone_number] == (URL, None)
    assert shown[others[0].phone_number] == (None, "https://two.example.com/")
    assert shown[others[1].phone_number] == (None, None)


def test_make_takes_a_hook_for_finished_calls_a_scenario_for_live_ones_or_both():
    number = PhoneNumberFactory.create()
    path = f"make/number/{number.phone_number}"
    client = api_client(number.account)
    scenario = "https://hook.eu1.make.com/live"

    neither = put(client, path, {})
    asked = put(client, path, {"in_call_url": scenario}).json()
    both = put(client, path, {"post_call_url": URL}).json()
    shown = client.get(f"/v1/integrations/{path}").json()
    client.delete(f"/v1/integrations/{path}")
    gone = client.get(f"/v1/integrations/{path}").json()

    assert neither.json()["error"]["code"] == "missing_field"
    assert (asked["in_call_url"], asked["post_call_url"], asked["is_set"]) == (scenario, None, True)
    assert (both["in_call_url"], both["post_call_url"]) == (scenario, URL)
    assert shown["in_call_url"] == scenario
    assert (gone["in_call_url"], gone["post_call_url"], gone["is_set"]) == (None, None, False)


def test_a_scenario_that_cannot_be_asked_is_refused_and_the_hook_is_not_set_either():
    number = PhoneNumberFactory.create()
    both = {"post_call_url": URL, "in_call_url": "http://127.0.0.1/"}

    refused = put(api_client(number.account), f"make/number/{number.phone_number}", both)

    assert refused.json()["error"]["code"] == "invalid_url"
    assert Endpoint.objects.count() == 0


def test_gohighlevel_takes_a_token_and_never_shows_it():
    number = PhoneNumberFactory.create()
    path = f"gohighlevel/number/{number.phone_number}"
    client = api_client(number.account)
    given = {"pit": "pit-s3cret", "location_id": "loc1", "tags": ["called"]}

    missing = put(client, path, {"pit": "pit-s3cret"})
    put(client, path, given | {"location_id": "old"})
    answer = put(client, path, given)
    shown = client.get(f"/v1/integrations/{path}")

    assert missing.json()["error"]["code"] == "missing_field"
    assert answer.json()["is_set"] is True
    assert (shown.json()["location_id"], shown.json()["tags"]) == ("loc1", ["called"])
    assert shown.json()["pit_set"] is True
    assert b"s3cret" not in answer.content + shown.content
    assert Endpoint.objects.count() == 1
