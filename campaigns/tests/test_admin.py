from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.factories import UserFactory, operator_client
from agents.factories import AgentFactory, PhoneNumberFactory
from calls.factories import CallFactory
from calls.models import Call
from campaigns.dispatch import dispatch_all
from campaigns.factories import CampaignFactory, RecipientCallFactory, people
from campaigns.models import Campaign, Recipient

pytestmark = pytest.mark.django_db

ANN, BOB = "+447386172391", "+447386172392"
CSV = f"Mobile;First name;City\n{ANN};Ann;Bath\n{BOB};Bob;York\n{ANN};Ann;Bath\n12;Cem;Ely\n"


@pytest.fixture
def staff() -> Client:
    return operator_client()


def page(client: Client, campaign: Campaign) -> str:
    answer = client.get(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def do(client: Client, campaign: Campaign, what: str) -> Any:
    return client.post(reverse("admin:campaigns_campaign_do", args=[campaign.pk, what]))


def form(**fields: Any) -> dict[str, Any]:
    number = PhoneNumberFactory.create()
    assert number.agent is not None
    return {
        "name": "Reminders",
        "agent": number.agent.pk,
        "number": number.pk,
        "prompt": "Remind {First_name}.",
        "follow_law": "on",
        "file": SimpleUploadedFile("people.csv", CSV.encode("cp1252")),
        **fields,
    }


ADD = "admin:campaigns_campaign_add"


def test_an_uploaded_file_becomes_a_draft_that_shows_what_came_in(staff: Client):
    answer = staff.post(reverse(ADD), form(window_start="09:00", window_end="17:30", retry_times=2))

    campaign = Campaign.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    assert (campaign.status, campaign.follow_law) == ("draft", True)
    assert [(w["start_minutes"], w["end_minutes"]) for w in campaign.windows] == [(540, 1050)]
    assert campaign.retries["busy"]["times"] == 2
    assert campaign.recipients.get(phone=ANN).variables == {"First_name": "Ann", "City": "Bath"}
    html = page(staff, campaign)
    assert "4 rows: 2 people, 1 repeated and merged" in html
    assert "<td>5</td><td>12</td><td>phone must be in E.164" in html
    assert "2 wait." in html
    assert "United Kingdom" in html
    assert not Call.objects.exists()


def test_limits_and_the_breaker_are_set_in_the_form_and_read_on_the_page(staff: Client):
    staff.post(
        reverse(ADD),
        form(max_calls="200", max_cost="19.99", max_concurrent="3", stop_on_failures="on"),
    )

    campaign = Campaign.objects.get()
    assert (campaign.max_calls, campaign.max_cost_micros) == (200, 19_990_000)
    assert (campaign.max_concurrent, campaign.stop_on_failures) == (3, True)
    html = page(staff, campaign)
    assert "At most 3 calls at a time." in html
    assert "It pauses after 200 calls." in html
    assert "It pauses once its calls have cost $19.99." in html
    assert "It pauses when 80% of the last 20 calls failed." in html


def test_without_limits_nothing_is_limited_and_the_breaker_can_be_switched_off(staff: Client):
    staff.post(reverse(ADD), form(window_start="09:00", window_end="17:30", retry_times=2))

    campaign = Campaign.objects.get()
    assert (campaign.max_calls, campaign.max_cost_micros) == (None, None)
    assert campaign.stop_on_failures is False
    html = page(staff, campaign)
    assert "It pauses" not in html
    assert "daily 09:00-17:30 on each person" in html
    assert "Busy: called again up to 2 times, after 60 minutes." in html


def test_the_form_chooses_what_there_is_only_one_of(staff: Client):
    number = PhoneNumberFactory.create()
    assert number.agent is not None

    html = staff.get(reverse(ADD)).content.decode()

    assert f'<option value="{number.agent.pk}" selected>' in html
    assert f'<option value="{number.pk}" selected>' in html
    AgentFactory.create()
    html = staff.get(reverse(ADD)).content.decode()
    assert f'<option value="{number.agent.pk}" selected>' not in html
    assert html.count('<option value="" selected>') == 1  # nobody's agent is taken by accident


def test_the_columns_of_a_file_are_shown_before_it_is_sent(staff: Client):
    start = SimpleUploadedFile("people.csv", f"{CSV}+4473861".encode())

    answer = staff.post(reverse("admin:campaigns_campaign_columns"), {"start": start, "cut": "1"})

    html = answer.content.decode()
    assert '<option value="0" selected>Mobile</option>' in html
    assert "<code>First_name</code> Ann" in html
    assert "cp1252" not in html
    assert "+4473861<" not in html


def test_a_file_that_is_none_is_named_while_it_is_chosen(staff: Client):
    start = SimpleUploadedFile("people.csv", b"%PDF-1.7")

    answer = staff.post(reverse("admin:campaigns_campaign_columns"), {"start": start})

    assert "This is a PDF" in answer.content.decode()


def test_the_sender_may_say_which_column_is_the_number(staff: Client):
    table = SimpleUploadedFile("p.csv", f"phone,other\nx,{ANN}\n".encode())

    staff.post(reverse(ADD), form(file=table, map_phone="1", map_name="", map_timezone=""))

    person = Recipient.objects.get()
    assert (person.phone, person.variables) == (ANN, {"phone": "x"})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"file": SimpleUploadedFile("p.csv", b"PK\x03\x04")}, "This is an Excel workbook"),
        ({"file": SimpleUploadedFile("p.csv", b"phone\n")}, "no rows below it"),
        ({"timezone": "Nowhere"}, "This is no IANA time zone"),
        ({"window_start": "09:00", "window_end": "09:00"}, "must not end when it starts"),
        ({"name": ""}, "This field is required"),
        ({"max_calls": "0"}, "greater than or equal to 1"),
        ({"max_cost": "0"}, "greater than or equal to 0.01"),
        ({"max_cost": "twenty"}, "Enter a number"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_nothing_is_made(
    staff: Client, fields: dict[str, Any], says: str
):
    answer = staff.post(reverse(ADD), form(**fields))

    assert answer.status_code == 200
    assert says in answer.content.decode()
    assert not Campaign.objects.exists()


def test_a_number_of_another_account_is_refused(staff: Client):
    other = PhoneNumberFactory.create()

    answer = staff.post(reverse(ADD), form(number=other.pk))

    assert "belongs to another account" in answer.content.decode()
    assert not Campaign.objects.exists()


def test_the_buttons_steer_the_campaign(staff: Client):
    campaign = CampaignFactory.create(draft=True)
    people(campaign, 1)
    assert "Launch now" in page(staff, campaign)

    for what, status, next_button in (
        ("launch", "running", "Pause"),
        ("pause", "paused", "Resume"),
        ("resume", "running", "Cancel for good"),
        ("cancel", "canceled", "Results as CSV"),
    ):
        assert do(staff, campaign, what).status_code == 302
        campaign.refresh_from_db()
        assert campaign.status == status
        assert next_button in page(staff, campaign)


def test_a_get_changes_nothing(staff: Client):
    campaign = CampaignFactory.create()

    url = reverse("admin:campaigns_campaign_do", args=[campaign.pk, "cancel"])
    assert staff.get(url).status_code == 403

    campaign.refresh_from_db()
    assert campaign.status == "running"


def test_what_cannot_be_done_is_said(staff: Client):
    campaign = CampaignFactory.create(draft=True)

    do(staff, campaign, "launch")

    assert "This campaign has nobody to call." in page(staff, campaign)


def test_a_draft_is_scheduled_on_the_clock_of_its_zone(staff: Client):
    campaign = CampaignFactory.create(draft=True, timezone="America/New_York")
    people(campaign, 1)
    url = reverse("admin:campaigns_campaign_schedule", args=[campaign.pk])

    staff.post(url, {"starts_at": "2020-01-01T09:00"})
    assert "This time is past" in page(staff, campaign)
    staff.post(url, {"starts_at": "9999-12-31T09:00"})
    assert "Nobody will be there to answer." in page(staff, campaign)
    staff.post(url, {"starts_at": "2099-01-05T09:00"})

    campaign.refresh_from_db()
    assert campaign.status == "scheduled"
    assert campaign.starts_at is not None
    assert campaign.starts_at.isoformat() == "2099-01-05T14:00:00+00:00"


def test_a_running_campaign_is_seen_live(staff: Client):
    campaign = CampaignFactory.create(max_concurrent=1, account__max_concurrent_calls=50)
    people(campaign, 3)
    dispatch_all()
    url = reverse("admin:campaigns_campaign_live", args=[campaign.pk])

    html = page(staff, campaign)
    assert f'hx-get="{url}?status=running"' in html
    call = Call.objects.get()
    assert reverse("admin:calls_call_change", args=[call.pk]) in html
    part = staff.get(f"{url}?status=running")
    assert "0 of 3 (0 %)" in part.content.decode()
    assert "HX-Refresh" not in part
    assert staff.get(f"{url}?status=paused")["HX-Refresh"] == "true"


def test_a_finished_campaign_shows_what_became_of_its_calls(staff: Client):
    now = timezone.now()
    campaign = CampaignFactory.create(
        status="completed", ended_at=now, launched_at=now - timedelta(minutes=10)
    )
    for outcome in ("answered", "answered", "busy"):
        RecipientCallFactory.create(
            campaign=campaign,
            outcome=outcome,
            settled_at=now,
            recipient__status="done",
            recipient__outcome=outcome,
            call=CallFactory.create(over=True, account=campaign.account),
        )

    html = page(staff, campaign)

    assert "3 of 3 (100 %)" in html
    assert "Call the unanswered again" in html
    assert "&quot;answered&quot;, &quot;data&quot;: [2]" in html
    assert reverse("admin:campaigns_campaign_live", args=[campaign.pk]) not in html


def test_the_lists_show_progress_and_people_with_their_calls(staff: Client):
    campaign = CampaignFactory.create(account__max_concurrent_calls=50)
    people(campaign, 2)
    dispatch_all()

    html = staff.get(reverse("admin:campaigns_campaign_changelist")).content.decode()
    assert campaign.name in html
    assert '<progress max="100" value="0"></progress> 0 %' in html
    url = reverse("admin:campaigns_recipient_changelist")
    html = staff.get(f"{url}?q={campaign.campaign_id}").content.decode()
    assert html.count("underline") >= 2
    assert all(call.call_id in html for call in Call.objects.all())


def test_whoever_may_only_look_may_not_steer():
    looker = UserFactory.create()
    looker.user_permissions.add(Permission.objects.get(codename="view_campaign"))
    client = Client()
    client.force_login(looker)
    campaign = CampaignFactory.create()

    assert (
        client.get(reverse("admin:campaigns_campaign_change", args=[campaign.pk])).status_code
        == 200
    )
    assert do(client, campaign, "pause").status_code == 403
    assert client.get(reverse(ADD)).status_code == 403
