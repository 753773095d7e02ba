from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts import suppression
from accounts.models import Account
from agents.factories import AgentFactory, PhoneNumberFactory
from agents.models import PhoneNumber
from calls.models import Call
from campaigns.dispatch import dispatch_all
from campaigns.models import Campaign, Recipient
from campaigns.tests.asking import ANN, BOB, CEM, NOON, asked, error_of, post

pytestmark = pytest.mark.django_db


def test_the_missions_example_calls_three_people_now(client: Client, number: PhoneNumber):
    body = {
        "agent_id": number.agent.agent_id,  # type: ignore[union-attr]
        "from_number": number.phone_number,
        "name": "Tuesday reminders",
        "recipients": [{"phone_number": ANN}, {"phone_number": BOB}, {"phone_number": CEM}],
        "schedule_type": "now",
    }

    answer = post(client, "calls/batch", body)

    assert answer.status_code == 201
    made = answer.json()
    assert made["campaign_id"].startswith("batchcall_")
    assert (made["status"], made["name"]) == ("running", "Tuesday reminders")
    assert (made["valid_count"], made["invalid_count"], made["invalid"]) == (3, 0, [])
    assert dispatch_all() == 3
    assert set(Call.objects.values_list("to_number", flat=True)) == {ANN, BOB, CEM}
    assert set(Call.objects.values_list("campaign_id", flat=True)) == {made["campaign_id"]}


def test_every_generations_names_of_a_recipient_are_understood(client: Client, number: PhoneNumber):
    recipients = [
        {"phone": ANN, "variables": {"name": "Ann"}, "prompt_override": "For Ann."},
        {"phone_number": BOB, "dynamic_vars": {"name": "Bob"}, "metadata": {"id": 7}},
        {"phone": CEM, "dynamic_variables": {"name": "Cem"}, "timezone": "Europe/Istanbul"},
    ]

    answer = post(client, "calls/batch", asked(number, recipients=recipients))

    assert answer.status_code == 201
    ann, bob, cem = Recipient.objects.order_by("row_index")
    assert (ann.variables, ann.prompt_override) == ({"name": "Ann"}, "For Ann.")
    assert (bob.variables, bob.metadata) == ({"name": "Bob"}, {"id": 7})
    assert (cem.variables, cem.group.zones) == ({"name": "Cem"}, ["Europe/Istanbul"])


def test_one_bad_number_refuses_all_and_leaves_no_row(client: Client, number: PhoneNumber):
    answer = post(client, "calls/batch", asked(number, "+44745357377", ANN))

    assert error_of(answer) == (400, "invalid_phone_format")
    details = answer.json()["error"]["details"]
    assert (details["total"], details["valid_count"], details["invalid_count"]) == (2, 1, 1)
    assert details["invalid"] == [
        {
            "phone": "+44745357377",
            "reason": "phone is not a number of the numbering plan of country code +44.",
            "row_index": 0,
        }
    ]
    assert "skip_invalid=true" in details["hint"]
    assert not Campaign.objects.exists()


def test_with_skip_invalid_the_good_ones_are_called(client: Client, number: PhoneNumber):
    answer = post(client, "calls/batch", asked(number, "+44745357377", ANN, skip_invalid=True))

    assert answer.status_code == 201
    assert (answer.json()["valid_count"], answer.json()["invalid_count"]) == (1, 1)
    assert answer.json()["invalid"][0]["row_index"] == 0
    assert list(Recipient.objects.values_list("phone", flat=True)) == [ANN]


def test_with_nobody_left_there_is_no_campaign(client: Client, number: PhoneNumber):
    answer = post(client, "calls/batch", asked(number, "+44745357377", skip_invalid=True))

    assert error_of(answer) == (400, "campaign_no_recipients")
    assert not Campaign.objects.exists()


def test_a_person_given_twice_is_called_once(client: Client, number: PhoneNumber):
    recipients = [{"phone": ANN, "variables": {"v": 1}}, {"phone": ANN, "variables": {"v": 2}}]

    answer = post(client, "calls/batch", asked(number, recipients=[*recipients, recipients[0]]))

    made = answer.json()
    assert (made["valid_count"], made["duplicates_count"], made["recipients_count"]) == (3, 2, 1)
    (warning,) = [w for w in made["warnings"] if w["code"] == "duplicates_merged"]
    assert warning["count"] == 2
    assert "1 of them had other variables" in warning["message"]
    assert Recipient.objects.get().variables == {"v": 1}


def test_who_asked_not_to_be_called_is_skipped_with_the_reason(
    client: Client, number: PhoneNumber, account: Account
):
    suppression.suppress(account, BOB, source="operator")

    made = post(client, "calls/batch", asked(number, ANN, BOB)).json()

    assert made["suppressed_count"] == 1
    bob = Recipient.objects.get(phone=BOB)
    assert (bob.status, bob.reason) == ("skipped", "This person asked not to be called.")
    assert dispatch_all() == 1
    assert Call.objects.get().to_number == ANN


@pytest.mark.parametrize("field", ["agent_id", "recipients"])
def test_what_a_campaign_needs_is_named(client: Client, number: PhoneNumber, field: str):
    body = asked(number)
    del body[field]

    answer = post(client, "calls/batch", body)

    assert error_of(answer) == (400, "missing_field")
    assert answer.json()["error"]["details"] == {"field": field}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"recipients": []}, "campaign_no_recipients"),
        ({"recipients": [{"phone": ANN}] * 10_001}, "too_many_recipients"),
        ({"recipients": "all"}, "invalid_request"),
        ({"from_number": "+447446999999"}, "campaign_creation_failed"),
        ({"timezone": "Europe/Nowhere"}, "campaign_creation_failed"),
        ({"schedule_type": "schedule"}, "invalid_schedule"),
        ({"schedule_type": "schedule", "scheduled_at": "soon"}, "invalid_schedule"),
        ({"schedule_type": "schedule", "scheduled_date": "2026-02-30"}, "invalid_schedule"),
        ({"scheduled_at": "0001-01-01T00:00:00+14:00"}, "invalid_schedule"),
        ({"scheduled_at": "9999-12-31T23:59:59-14:00"}, "invalid_schedule"),
        ({"scheduled_date": "9999-12-31"}, "invalid_schedule"),
        ({"window_start_minutes": 600, "window_end_minutes": 600}, "invalid_schedule"),
        ({"window_days": ["someday"]}, "invalid_schedule"),
        ({"windows": [{"start": "9", "end": "17:00"}]}, "invalid_schedule"),
        ({"retries": {"answered": {"times": 1}}}, "invalid_request"),
        ({"retries": {"busy": {"times": 99}}}, "invalid_request"),
        ({"max_concurrent": 0}, "invalid_request"),
        ({"agent_id": "agent_0000000000000000"}, "agent_not_found"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_row(
    client: Client, number: PhoneNumber, fields: dict[str, Any], code: str
):
    answer = post(client, "calls/batch", asked(number, **fields))

    assert error_of(answer) == (404 if code == "agent_not_found" else 400, code)
    assert not Campaign.objects.exists()
    assert not Recipient.objects.exists()


def test_another_accounts_agent_and_number_do_not_exist(client: Client):
    foreign = PhoneNumberFactory.create()

    assert error_of(post(client, "calls/batch", asked(foreign))) == (404, "agent_not_found")


def test_without_from_number_the_agents_own_is_used(client: Client, number: PhoneNumber):
    body = asked(number)
    del body["from_number"]

    assert post(client, "calls/batch", body).status_code == 201

    assert Campaign.objects.get().from_number == number.phone_number


def test_without_credentials_the_campaign_is_kept_as_failed(client: Client, number: PhoneNumber):
    number.carrier_account.auth_token = ""
    number.carrier_account.save()

    answer = post(client, "calls/batch", asked(number))

    assert error_of(answer) == (400, "campaign_launch_failed")
    campaign = Campaign.objects.get()
    assert campaign.status == "failed"
    assert "no Twilio credentials" in campaign.status_reason
    assert answer.json()["error"]["details"] == {"campaign_id": campaign.campaign_id}
    assert dispatch_all() == 0


def test_the_same_request_again_within_a_minute_makes_no_second_campaign(
    client: Client, number: PhoneNumber
):
    first = post(client, "calls/batch", asked(number))
    again = post(client, "calls/batch", asked(number))

    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert Campaign.objects.count() == 1


# --- when -----------------------------------------------------------------------------------------


@time_machine.travel(NOON, tick=False)
def test_now_without_hours_dials_at_once_and_counts_who_is_outside_theirs(
    client: Client, number: PhoneNumber
):
    made = post(client, "calls/batch", asked(number, ANN, "+12125550123", "+13055550123")).json()

    (warning,) = made["warnings"]
    assert (warning["code"], warning["count"]) == ("outside_calling_hours", 2)
    assert "follow_law" in warning["message"]
    assert dispatch_all() == 3


@time_machine.travel(NOON, tick=False)
def test_with_the_law_people_are_held_until_their_morning(client: Client, number: PhoneNumber):
    body = asked(number, ANN, "+12125550123", follow_law=True)

    made = post(client, "calls/batch", body).json()

    assert made["warnings"] == []
    assert dispatch_all() == 1
    with time_machine.travel(NOON + timedelta(hours=1), tick=False):  # 8:00 in New York
        assert dispatch_all() == 1


@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({"schedule_type": "schedule", "scheduled_at": "2026-11-23T09:00:00+01:00"}, (23, 8, 0)),
        # Without an offset it is in the campaign's zone.
        (
            {
                "schedule_type": "schedule",
                "scheduled_at": "2026-11-23T09:00:00",
                "timezone": "America/New_York",
            },
            (23, 14, 0),
        ),
        ({"scheduled_at": "2026-11-24T09:00:00Z"}, (24, 9, 0)),
        ({"schedule_type": "schedule", "scheduled_date": "2026-11-25"}, (25, 0, 0)),
    ],
)
def test_a_scheduled_campaign_waits_for_its_time(
    client: Client, number: PhoneNumber, fields: dict[str, Any], starts: tuple[int, int, int]
):
    made = post(client, "calls/batch", asked(number, **fields)).json()

    day, hour, minute = starts
    at = datetime(2026, 11, day, hour, minute, tzinfo=UTC)
    assert made["status"] == "scheduled"
    assert Campaign.objects.get().starts_at == at
    assert dispatch_all(at - timedelta(seconds=1)) == 0
    assert dispatch_all(at) == 1
    assert Campaign.objects.get().status == "running"


@time_machine.travel(NOON, tick=False)
def test_a_time_that_is_past_means_now_with_a_warning(client: Client, number: PhoneNumber):
    body = asked(number, schedule_type="schedule", scheduled_at="2026-11-22T11:59:00Z")

    made = post(client, "calls/batch", body).json()

    assert made["status"] == "running"
    assert [w["code"] for w in made["warnings"]] == ["scheduled_in_the_past"]


@time_machine.travel(NOON, tick=False)
def test_the_documented_window_fields_hold_people_overnight(client: Client, number: PhoneNumber):
    body = asked(
        number,
        schedule_type="schedule",
        scheduled_date="2026-11-22",
        window_start_minutes=22 * 60,
        window_end_minutes=60,
        window_days=["sun"],
    )

    made = post(client, "calls/batch", body).json()

    assert (made["status"], made["warnings"]) == ("running", [])
    assert dispatch_all() == 0
    assert dispatch_all(datetime(2026, 11, 23, 0, 30, tzinfo=UTC)) == 1


@time_machine.travel(NOON, tick=False)
def test_people_whom_no_hour_suits_are_counted(client: Client, number: PhoneNumber):
    windows = [{"start": "09:00", "end": "10:00"}]

    made = post(client, "calls/batch", asked(number, "+18005550123", windows=windows)).json()

    assert [(w["code"], w["count"]) for w in made["warnings"]] == [("never_callable", 1)]


@time_machine.travel(NOON, tick=False)
def test_a_preview_says_who_can_be_called_when_and_when_it_ends(
    client: Client, number: PhoneNumber, settings: Any
):
    settings.CARRIER_CALLS_PER_SECOND = 0.5
    body = asked(number, ANN, BOB, "+12125550123", follow_law=True, schedule_type="draft")
    campaign_id = post(client, "calls/batch", body).json()["campaign_id"]

    shown = client.get(f"/v1/campaigns/{campaign_id}/hours").json()

    assert (shown["recipients_count"], shown["never_count"]) == (3, 0)
    assert shown["calls_per_minute"] == 30.0
    london, new_york = shown["groups"]
    assert (london["recipients_count"], london["law"]) == (2, "GB")
    assert london["opens_at"] == "2026-11-22T12:00:00+00:00"
    assert london["closes_at"] == "2026-11-22T20:00:00+00:00"
    assert new_york["timezones"] == ["America/New_York"]
    assert new_york["opens_at"] == "2026-11-22T13:00:00+00:00"
    assert shown["ends_at"] == "2026-11-22T13:00:02+00:00"


def test_the_agent_named_is_the_one_that_calls(client: Client, number: PhoneNumber):
    other = AgentFactory.create(account=number.account)

    post(client, "calls/batch", asked(number, agent_id=other.agent_id))

    assert dispatch_all() == 1
    assert Call.objects.get().agent == other
