"""What an account has used."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from accounts.factories import ApiKeyFactory, api_client
from agents.tests.outside import official_sdk
from calls import services, usage
from calls.factories import CallFactory
from calls.models import Call, UsageMonth

pytestmark = pytest.mark.django_db
sdk = official_sdk()

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ended(account, status="completed", minutes=1, at=NOON) -> Call:
    call = CallFactory.create(account=account, status=Call.Status.IN_PROGRESS, created_at=at)
    with time_machine.travel(at, tick=False):
        services.end_call(call.pk, status, at=at, duration_s=minutes * 60)
    call.refresh_from_db()
    return call


def test_a_call_is_counted_once_however_often_its_end_is_told():
    account = ApiKeyFactory.create().account
    call = ended(account, minutes=3)

    services.end_call(call.pk, "completed", at=NOON, duration_s=180)

    used = usage.of(account)
    assert (used.calls, used.minutes, used.cost_micros) == (1, 3, 240_000)


def test_totals_outlive_the_calls_and_the_month():
    account = ApiKeyFactory.create().account
    ended(account, minutes=1, at=NOON - timedelta(days=40))
    ended(account, minutes=2)

    Call.objects.all().delete()

    assert UsageMonth.objects.count() == 2
    assert (usage.of(account).calls, usage.of(account).minutes) == (2, 3)


def test_a_call_that_never_left_is_no_usage_and_another_accounts_neither():
    account = ApiKeyFactory.create().account
    waiting = CallFactory.create(account=account, status=Call.Status.QUEUED)
    services.end_call(waiting.pk, "canceled")
    ended(ApiKeyFactory.create().account)

    assert usage.of(account).calls == 0


def test_the_peak_is_of_calls_connected_at_one_moment():
    account = ApiKeyFactory.create().account
    for begins, ends in ((0, 10), (5, 12), (9, 11), (12, 20), (30, 31)):
        CallFactory.create(
            account=account,
            status=Call.Status.COMPLETED,
            answered_at=NOON + timedelta(minutes=begins),
            ended_at=NOON + timedelta(minutes=ends),
            ended_reason="completed",
        )

    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        now = usage.of(account)
    with time_machine.travel(NOON + timedelta(days=30), tick=False):
        next_month = usage.of(account)

    assert (now.peak_concurrent, next_month.peak_concurrent) == (3, 0)


@pytest.mark.django_db(transaction=True)
def test_the_official_sdk_reads_the_usage_and_rotates_the_key(live_server):
    key = ApiKeyFactory.create()
    ended(key.account, minutes=2, at=NOON)
    usage.count_rejected(key.account)
    old = key.credentials
    with sdk.Nixflex(api_key=old, base_url=live_server.url, max_retries=0) as client:
        read = client.usage.get()
        rotated = client.keys.rotate()
        with pytest.raises(sdk.NixflexAuthenticationError):
            client.usage.get()
    fresh = f"{rotated['key_id']}:{rotated['key_secret']}"
    with sdk.Nixflex(api_key=fresh, base_url=live_server.url, max_retries=0) as client:
        again = client.usage.get()

    assert read == {
        "plan": "self_hosted",
        "total_calls": 1,
        "total_minutes": 2.0,
        "total_cost": 0.16,
        "rate_limit_per_minute": 300,
        "max_concurrent": 10,
        "peak_concurrent_this_month": read["peak_concurrent_this_month"],
        "rejected_at_cap_this_month": 1,
    }
    assert rotated["key_id"] == key.key_id
    assert again == read


def test_usage_is_for_who_holds_a_key(client):
    assert client.get("/v1/usage").status_code == 401
    assert client.post("/v1/keys/rotate").status_code == 401
    assert api_client().get("/v1/usage").json()["total_calls"] == 0
