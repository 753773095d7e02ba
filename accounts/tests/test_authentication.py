import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from accounts.authentication import verify
from accounts.factories import AccountFactory, ApiKeyFactory, api_client
from accounts.keys import create_key, revoke_key
from accounts.models import ApiKey

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 25, 12, 0, tzinfo=UTC)


def status_and_code(header: str | None) -> tuple[int, str]:
    response = Client(headers={"authorization": header} if header else None).get("/v1/agents")
    body = response.json()
    return response.status_code, body["error"]["code"] if response.status_code != 200 else ""


def test_a_key_pair_has_the_documented_form():
    key, secret = create_key(AccountFactory.create(), "Production")

    assert re.fullmatch(r"nxf_[0-9a-f]{32}", key.key_id)
    assert re.fullmatch(r"nxfs_[0-9a-f]{64}", secret)
    assert verify(f"{key.key_id}:{secret}") == key


def test_a_live_key_opens_the_api():
    assert status_and_code(ApiKeyFactory.create().header) == (200, "")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Bearer ",
        "Bearer :",
        "Bearer nxf_a",
        "Bearer nxf_a:",
        "Bearer nxf_unknown:nxfs_unknown",
        "Basic bnhmXzpueGZzXw==",
        "Bearer \u00e9:\u00e9",
        "Bearer nxf_\x00:nxfs_x",
    ],
)
def test_anything_but_a_key_is_the_same_401(header: str | None):
    ApiKeyFactory.create()

    assert status_and_code(header) == (401, "unauthorized")


def test_the_secret_of_another_key_is_a_401():
    mine, other = ApiKeyFactory.create(), ApiKeyFactory.create()

    assert status_and_code(f"Bearer {mine.key_id}:{other.secret}") == (401, "unauthorized")


def test_a_401_says_what_to_send():
    response = Client().get("/v1/agents")

    assert response["WWW-Authenticate"] == "Bearer"
    error = response.json()["error"]
    assert error["type"] == "authentication_error"
    assert error["message"].startswith("Invalid or missing API key")


def test_a_revoked_key_is_a_401_at_once():
    key = ApiKeyFactory.create()

    assert revoke_key(key) is True
    assert revoke_key(key) is False
    assert status_and_code(key.header) == (401, "unauthorized")


def test_a_key_of_an_inactive_account_is_a_401():
    key = ApiKeyFactory.create(account=AccountFactory.create(is_active=False))

    assert status_and_code(key.header) == (401, "unauthorized")


def test_the_secret_lies_encrypted_in_the_database(django_db_blocker):
    from django.db import connection

    key = ApiKeyFactory.create()

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, secret_sha256 FROM accounts_apikey WHERE id = %s", [key.pk])
        stored = "".join(cursor.fetchone())
    assert key.secret not in stored
    assert ApiKey.objects.get(pk=key.pk).secret == key.secret


def test_last_used_at_is_written_at_most_once_a_minute():
    key = ApiKeyFactory.create()
    client = Client(headers={"authorization": key.header})

    def used_at(moment: datetime) -> datetime | None:
        with time_machine.travel(moment, tick=False):
            client.get("/v1/agents")
        key.refresh_from_db()
        return key.last_used_at

    assert used_at(NOON) == NOON
    assert used_at(NOON + timedelta(seconds=59)) == NOON
    assert used_at(NOON + timedelta(seconds=61)) == NOON + timedelta(seconds=61)


def test_every_answer_has_a_request_id_under_both_names():
    good, refused, missing = (
        api_client().get("/v1/agents"),
        Client().get("/v1/agents"),
        Client().get("/v1/nothing"),
    )

    for response in (good, refused, missing):
        assert re.fullmatch(r"req_[0-9a-f]{16}", response["x-request-id"])
        assert response["x-railway-request-id"] == response["x-request-id"]
    assert good["x-request-id"] != refused["x-request-id"]


def test_past_the_limit_a_key_waits_for_the_next_minute(settings):
    settings.API_RATE_LIMIT_PER_MINUTE = 2
    client, other = api_client(), api_client()

    with time_machine.travel(NOON + timedelta(seconds=15.5), tick=False):
        first, second, third = (client.get("/v1/agents") for _ in range(3))
        bystander = other.get("/v1/agents")
    with time_machine.travel(NOON + timedelta(seconds=60), tick=False):
        later = client.get("/v1/agents")

    assert [r.status_code for r in (first, second, third, bystander, later)] == [
        200,
        200,
        429,
        200,
        200,
    ]
    assert [r["X-RateLimit-Remaining"] for r in (first, second, third)] == ["1", "0", "0"]
    assert third["X-RateLimit-Limit"] == "2"
    assert third["X-RateLimit-Reset"] == str(int(NOON.timestamp()) + 60)
    assert third["Retry-After"] == "45"
    error = third.json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit")
    assert error["details"] == {"retry_after": 45}


def test_a_cache_that_is_down_does_not_close_the_api(settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }

    assert api_client().get("/v1/agents").status_code == 200
