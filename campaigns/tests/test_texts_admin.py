"""A text campaign from a dropped CSV to its launch, in the dashboard."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.factories import UserFactory, operator_client
from agents.factories import PhoneNumberFactory
from sms.models import Message, TextCampaign, TextRecipient

pytestmark = pytest.mark.django_db

ANN, BOB = "+447386172391", "+447386172392"
CSV = f"Mobile;First name\n{ANN};Ann\n{BOB};Bob\n{ANN};Ann\n12;Cem\n"


@pytest.fixture
def staff() -> Client:
    return operator_client()


def upload(client: Client, csv: str = CSV, **fields: Any) -> Any:
    number = PhoneNumberFactory.create()
    assert number.agent is not None
    given = {
        "name": "Reminders",
        "agent": number.agent.pk,
        "number": number.pk,
        "prompt": "Hi {First_name}, see you on Tuesday.",
        "follow_law": "on",
        "file": SimpleUploadedFile("people.csv", csv.encode()),
    }
    return client.post(reverse("admin:sms_textcampaign_add"), given | fields, follow=True)


def test_a_dropped_file_becomes_a_draft_of_its_good_rows(staff: Client):
    answer = upload(staff)

    campaign = TextCampaign.objects.get()
    assert (campaign.status, campaign.source) == ("draft", "dashboard")
    assert campaign.follow_law
    people = TextRecipient.objects.order_by("row_index").values_list("phone", "variables")
    assert list(people) == [(ANN, {"First_name": "Ann"}), (BOB, {"First_name": "Bob"})]
    page = answer.content.decode()
    assert "Hi Ann, see you on Tuesday." in page
    assert "1 segment (GSM-7)" in page
    assert "Line 5: phone must be in E.164" in page
    assert not Message.objects.exists()


def test_a_file_that_is_none_makes_no_campaign(staff: Client):
    answer = upload(staff, "%PDF-1.7")

    assert "This is a PDF" in answer.content.decode()
    assert not TextCampaign.objects.exists()


def test_a_draft_is_launched_and_called_off(staff: Client):
    upload(staff)
    campaign = TextCampaign.objects.get()

    staff.post(reverse("admin:sms_textcampaign_do", args=[campaign.pk, "launch"]))
    campaign.refresh_from_db()
    assert campaign.status == "running"

    staff.post(reverse("admin:sms_textcampaign_do", args=[campaign.pk, "delete"]))
    assert not TextCampaign.objects.exists()


def test_who_may_only_look_launches_nothing(client: Client, staff: Client):
    upload(staff)
    campaign = TextCampaign.objects.get()
    client.force_login(UserFactory.create())

    answer = client.post(reverse("admin:sms_textcampaign_do", args=[campaign.pk, "launch"]))

    assert answer.status_code == 403
    campaign.refresh_from_db()
    assert campaign.status == "draft"


def test_the_list_counts_people(staff: Client):
    upload(staff)

    page = staff.get(reverse("admin:sms_textcampaign_changelist")).content.decode()

    assert "Reminders" in page
