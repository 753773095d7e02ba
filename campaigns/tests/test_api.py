import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from agents.models import PhoneNumber
from calls.factories import CallFactory, DialAttemptFactory
from calls.models import Call
from campaigns import outcomes
from campaigns.dispatch import dispatch_all
from campaigns.factories import CampaignFactory, RecipientCallFactory, RecipientFactory, people
from campaigns.models import Campaign
from campaigns.tests.asking import ANN, BOB, asked, error_of, post

pytestmark = pytest.mark.django_db


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
