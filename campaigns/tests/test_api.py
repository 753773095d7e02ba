import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts import suppression
from accounts.factories import AccountFactory, api_client
from accounts.models import Account
from agents.factories import AgentFactory, PhoneNumberFactory
from agents.models import PhoneNumber
from calls.factories import CallFactory, DialAttemptFactory
from calls.models import Call
from campaigns import outcomes
from campaigns.dispatch import dispatch_all
from campaigns.factories import CampaignFactory, RecipientCallFactory, RecipientFactory, people
from campaigns.models import Campaign, Recipient

pytestmark = pytest.mark.django_db

ANN, BOB, CEM = "+447386172391", "+447386172392", "+447386172393"
# A Sunday: in London 12:00, in New York 7:00.
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def account() -> Account:
    return AccountFactory.create(max_concurrent_calls=100)


@pytest.fixture
def client(account: Account) -> Client:
    return api_client(account)


@pytest.fixture
def number(account: Account) -> PhoneNumber:
    return PhoneNumberFactory.create(account=account)


def asked(number: PhoneNumber, *phones: str, **fields: Any) -> dict[str, Any]:
    assert number.agent is not None
    return {
        "agent_id": number.agent.agent_id,
        "from_number": number.phone_number,
        "prompt": "Remind them.",
        "recipients": [{"phone": phone} for phone in phones or (ANN,)],
        **fields,
    }


def post(client: Client, path: str, body: Any = None, **headers: str) -> Any:
    return client.post(
        f"/v1/{path}",
        "" if body is None else json.dumps(body),
        content_type="application/json",
        headers=headers,
    )


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# --- creating -------------------------------------------------------------------------------------


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


# --- steering -------------------------------------------------------------------------------------


def test_a_draft_is_launched_by_the_documented_path_with_an_empty_body(
    client: Client, number: PhoneNumber
):
    body = asked(number, ANN, BOB, schedule_type="draft")
    campaign_id = post(client, "calls/batch", body).json()["campaign_id"]
    assert dispatch_all() == 0

    answer = post(client, f"calls/batch/{campaign_id}/launch")

    assert answer.status_code == 200
    assert answer.json() == {
        "campaign_id": campaign_id,
        "status": "running",
        "recipients_count": 2,
        "queued_count": 2,
    }
    assert dispatch_all() == 2
    assert post(client, f"calls/batch/{campaign_id}/launch").json()["status"] == "running"


def test_launching_a_scheduled_campaign_ignores_its_schedule(client: Client, number: PhoneNumber):
    body = asked(number, schedule_type="schedule", scheduled_at="2099-01-01T00:00:00Z")
    campaign_id = post(client, "calls/batch", body).json()["campaign_id"]

    post(client, f"calls/batch/{campaign_id}/launch")

    assert dispatch_all() == 1


def test_what_is_over_or_empty_is_not_launched(client: Client, account: Account):
    over = CampaignFactory.create(account=account, status="completed", ended_at=timezone.now())
    empty = CampaignFactory.create(account=account, draft=True)
    foreign = CampaignFactory.create(draft=True)

    def launch(campaign: Campaign) -> tuple[int, str]:
        return error_of(post(client, f"calls/batch/{campaign.campaign_id}/launch"))

    assert launch(over) == (400, "campaign_already_completed")
    assert launch(empty) == (400, "campaign_no_recipients")
    assert launch(foreign) == (404, "campaign_not_found")


def test_a_paused_campaign_calls_nobody_and_takes_back_who_waits(client: Client, account: Account):
    campaign = CampaignFactory.create(account=account)
    people(campaign, 3)
    assert dispatch_all() == 3
    ringing = Call.objects.order_by("pk")[0]
    DialAttemptFactory.create(call=ringing, status="accepted")

    answer = post(client, f"campaigns/{campaign.campaign_id}/pause")

    outcomes.sweep()
    assert answer.json()["status"] == "paused"
    assert list(Call.objects.order_by("pk").values_list("status", flat=True)) == [
        "queued",
        "canceled",
        "canceled",
    ]
    assert list(campaign.recipients.values_list("status", flat=True)) == [
        "calling",
        "pending",
        "pending",
    ]
    assert dispatch_all() == 0

    assert post(client, f"campaigns/{campaign.campaign_id}/resume").json()["status"] == "running"
    assert dispatch_all() == 2


def test_a_canceled_campaign_is_over_for_everybody_who_was_not_called(
    client: Client, account: Account
):
    campaign = CampaignFactory.create(account=account, max_concurrent=1)
    people(campaign, 3)
    dispatch_all()

    answer = post(client, f"campaigns/{campaign.campaign_id}/cancel")

    outcomes.sweep()
    assert answer.json()["status"] == "canceled"
    assert set(campaign.recipients.values_list("status", flat=True)) == {"canceled"}
    assert dispatch_all() == 0
    assert error_of(post(client, f"campaigns/{campaign.campaign_id}/resume")) == (
        409,
        "campaign_wrong_state",
    )


def test_the_unanswered_are_called_again_on_request(client: Client, account: Account):
    campaign = CampaignFactory.create(account=account, status="completed", ended_at=timezone.now())
    RecipientFactory.create(campaign=campaign, status="done", outcome="answered", attempts=1)
    missed = RecipientFactory.create(
        campaign=campaign, status="done", outcome="no-answer", attempts=1
    )

    answer = post(client, f"campaigns/{campaign.campaign_id}/retry")

    assert (answer.json()["status"], answer.json()["queued_count"]) == ("running", 1)
    assert dispatch_all() == 1
    assert Call.objects.get().to_number == missed.phone


def test_there_is_nothing_to_retry_when_everybody_answered(client: Client, account: Account):
    campaign = CampaignFactory.create(account=account)
    RecipientFactory.create(campaign=campaign, status="done", outcome="answered")

    answer = post(client, f"campaigns/{campaign.campaign_id}/retry")

    assert error_of(answer) == (400, "campaign_no_recipients")


# --- reading --------------------------------------------------------------------------------------


def test_the_list_shows_the_newest_first_in_few_queries(
    client: Client, account: Account, django_assert_max_num_queries: Any
):
    CampaignFactory.create()
    for _ in range(5):
        people(CampaignFactory.create(account=account), 2)

    with django_assert_max_num_queries(8):
        listed = client.get("/v1/campaigns?limit=3").json()

    newest = Campaign.objects.of(account)[:3]
    assert [c["campaign_id"] for c in listed["campaigns"]] == [c.campaign_id for c in newest]
    assert listed["count"] == 5
    assert listed["campaigns"][0]["queued_count"] == 2
    assert client.get("/v1/campaigns?status=paused").json() == {"campaigns": [], "count": 0}
    assert error_of(client.get("/v1/campaigns?status=odd")) == (400, "invalid_request")


def test_one_campaign_shows_how_far_it_is(client: Client, account: Account, settings: Any):
    settings.CALL_PRICE_MICROS_PER_MINUTE = 80_000
    campaign = CampaignFactory.create(account=account)
    people(campaign, 2)
    for outcome in ("answered", "no-answer"):
        RecipientCallFactory.create(
            campaign=campaign,
            call=None,
            outcome=outcome,
            cost_micros=80_000,
            settled_at=timezone.now(),
            recipient__status="done",
            recipient__outcome=outcome,
        )
    RecipientCallFactory.create(campaign=campaign)

    shown = client.get(f"/v1/campaigns/{campaign.campaign_id}").json()

    assert shown["counts"] == {
        "pending": 2,
        "calling": 1,
        "done": 2,
        "skipped": 0,
        "canceled": 0,
    }
    assert (shown["outcomes"]["answered"], shown["outcomes"]["no-answer"]) == (1, 1)
    assert (shown["progress"], shown["live_calls"], shown["calls_count"]) == (0.4, 1, 3)
    assert shown["cost"] == 0.16
    assert shown["calls_per_minute"] > 0
    assert shown["estimated_end_at"] is not None


def test_recipients_come_in_order_with_their_calls(client: Client, account: Account):
    campaign = CampaignFactory.create(account=account)
    people(campaign, 3)
    dispatch_all()
    RecipientFactory.create(campaign=campaign, status="skipped", reason="Said no.", row_index=9999)
    path = f"/v1/campaigns/{campaign.campaign_id}/recipients"

    listed = client.get(f"{path}?limit=2&offset=1").json()
    skipped = client.get(f"{path}?status=skipped").json()

    assert listed["count"] == 4
    rows = [one["row_index"] for one in client.get(path).json()["recipients"]]
    assert rows == sorted(rows)
    (call_id,) = listed["recipients"][0]["call_ids"]
    assert Call.objects.get(call_id=call_id).to_number == listed["recipients"][0]["phone"]
    assert [(one["row_index"], one["reason"]) for one in skipped["recipients"]] == [
        (9999, "Said no.")
    ]


@pytest.mark.parametrize(
    "path", ["", "/recipients", "/hours", "/results.csv", "/pause", "/resume", "/cancel", "/retry"]
)
def test_another_accounts_campaign_does_not_exist(client: Client, path: str):
    foreign = CampaignFactory.create()
    url = f"campaigns/{foreign.campaign_id}{path}"

    reads = path in {"", "/recipients", "/hours", "/results.csv"}
    answer = client.get(f"/v1/{url}") if reads else post(client, url)

    assert error_of(answer) == (404, "campaign_not_found")


# The server's own way through the rows; Django's test client is no such server.
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous iterators")
def test_results_download_as_csv_that_runs_no_formula(client: Client, account: Account):
    campaign = CampaignFactory.create(account=account)
    RecipientFactory.create(
        campaign=campaign, phone=ANN, name='=HYPERLINK("http://evil")', row_index=0
    )
    made = RecipientCallFactory.create(
        campaign=campaign,
        recipient__phone=BOB,
        recipient__row_index=1,
        outcome="answered",
        settled_at=timezone.now(),
        call=CallFactory.create(over=True, account=account),
    )

    answer = client.get(f"/v1/campaigns/{campaign.campaign_id}/results.csv")

    lines = b"".join(answer).decode("utf-8-sig").splitlines()
    assert lines[0].startswith("row_index,phone,name,status,outcome,attempts,call_id")
    assert lines[1].startswith(f'0,{ANN},"\'=HYPERLINK(""http://evil"")",pending')
    assert made.call is not None
    assert f"1,{BOB},,calling" in lines[2]
    assert made.call.call_id in lines[2]
    assert answer["Content-Disposition"].endswith(f'"{campaign.campaign_id}.csv"')


# --- adding people by file ------------------------------------------------------------------------


def test_a_csv_body_adds_people_to_a_draft(client: Client, account: Account):
    campaign = CampaignFactory.create(account=account, draft=True)
    text = f"phone,name,Due date\n{ANN},Ann,Monday\nnonsense,Bob,\n{ANN},Ann,Monday\n"

    answer = client.post(
        f"/v1/campaigns/{campaign.campaign_id}/recipients", text, content_type="text/csv"
    )

    assert answer.status_code == 201
    made = answer.json()
    assert (made["valid_count"], made["added_count"], made["duplicates_count"]) == (2, 1, 1)
    assert made["invalid"] == [
        {
            "phone": "nonsense",
            "reason": "phone must be in E.164: begin with + and the country code, "
            "as +447446466847.",
            "row_index": 1,
            "line": 3,
        }
    ]
    person = campaign.recipients.get()
    assert (person.name, person.variables) == ("Ann", {"name": "Ann", "Due_date": "Monday"})


def test_a_forms_file_and_json_add_people_too(client: Client, account: Account):
    campaign = CampaignFactory.create(account=account, draft=True)
    path = f"/v1/campaigns/{campaign.campaign_id}/recipients"

    file = SimpleUploadedFile("people.csv", f"phone\n{ANN}\n".encode())
    assert client.post(path, {"file": file}).status_code == 201
    added = post(client, path.removeprefix("/v1/"), {"recipients": [{"phone": BOB}]})

    assert added.json()["added_count"] == 1
    assert set(campaign.recipients.values_list("phone", flat=True)) == {ANN, BOB}


def test_nobody_is_added_to_a_campaign_that_is_over(client: Client, account: Account):
    campaign = CampaignFactory.create(account=account, status="canceled", ended_at=timezone.now())

    answer = post(
        client, f"campaigns/{campaign.campaign_id}/recipients", {"recipients": [{"phone": ANN}]}
    )

    assert error_of(answer) == (409, "campaign_wrong_state")
    assert not campaign.recipients.exists()


def test_a_file_that_is_no_table_is_refused_in_words(client: Client, account: Account):
    campaign = CampaignFactory.create(account=account, draft=True)

    answer = client.post(
        f"/v1/campaigns/{campaign.campaign_id}/recipients",
        io.BytesIO(b"%PDF-1.7 ...").read(),
        content_type="text/csv",
    )

    assert error_of(answer) == (400, "invalid_csv")
    assert "This is a PDF" in answer.json()["error"]["message"]


def test_the_agent_named_is_the_one_that_calls(client: Client, number: PhoneNumber):
    other = AgentFactory.create(account=number.account)

    post(client, "calls/batch", asked(number, agent_id=other.agent_id))

    assert dispatch_all() == 1
    assert Call.objects.get().agent == other
