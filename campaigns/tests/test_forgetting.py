"""What campaigns hold about people is exported, forgotten and too old with everything else."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from calls import retention
from campaigns import services
from campaigns.factories import CampaignFactory, RecipientCallFactory, people
from campaigns.models import Campaign, Recipient
from campaigns.rows import Row
from campaigns.texts.services import Status
from sms.models import TextCampaign, TextRecipient

pytestmark = pytest.mark.django_db

THEM = "+447386172392"


def text_campaign(voice: Campaign, **about: Any) -> TextCampaign:
    campaign = TextCampaign.objects.create(
        account=voice.account, agent=voice.agent, from_number=voice.from_number, **about
    )
    TextRecipient.objects.create(campaign=campaign, row_index=0, phone=THEM, law="GB")
    return campaign


def test_every_night_campaigns_go_that_were_over_or_left_as_drafts_for_too_long(settings: Any):
    settings.RETENTION_DAYS = 30
    old, new = timezone.now() - timedelta(days=31), timezone.now() - timedelta(days=29)
    over = {"status": "completed"}
    gone = CampaignFactory.create(**over, ended_at=old)
    people(gone, 3)
    RecipientCallFactory.create(campaign=gone, settled_at=old)
    kept = [
        CampaignFactory.create(**over, ended_at=new),
        CampaignFactory.create(status="paused"),
        CampaignFactory.create(),
        CampaignFactory.create(draft=True),
    ]
    draft = CampaignFactory.create(draft=True)
    Campaign.objects.filter(pk__in=[kept[1].pk, kept[2].pk, draft.pk]).update(created_at=old)
    text_campaign(gone, status=Status.DONE, ended_at=old)
    kept_texts = text_campaign(kept[0], status=Status.RUNNING, created_at=old)

    retention.purge()

    assert set(Campaign.objects.all()) == set(kept)
    assert not Recipient.objects.filter(campaign=gone.pk).exists()
    assert list(TextCampaign.objects.all()) == [kept_texts]


def test_a_forgotten_person_is_in_no_text_campaign_either():
    campaign = CampaignFactory.create()
    text_campaign(campaign)

    retention.forget_person(campaign.account, THEM)

    assert not TextRecipient.objects.exists()


def refused(*cells: str, **about: Any) -> Campaign:
    """A campaign with rows that could not be used, as its page shows them."""
    campaign = CampaignFactory.create(**about)
    services.add_people(campaign.pk, [Row(n, cell, line=n + 2) for n, cell in enumerate(cells)])
    campaign.refresh_from_db()
    return campaign


@pytest.mark.parametrize(
    "cell",
    [
        "07386172392",
        "447386172392",
        "0044 7386 172392",
        "+44 (0)7386-172392",
        "+4407386172392",
        "07386 172392 / 07386 172394",
        "7386172392.0",
        "٠٧٣٨٦١٧٢٣٩٢",
    ],
)
def test_a_forgotten_persons_bad_row_goes_however_it_was_written(cell: str):
    campaign = refused(cell, "07386172393", "none", "", "2392")
    assert campaign.intake["invalid_count"] == 5

    retention.forget_person(campaign.account, THEM)

    campaign.refresh_from_db()
    left = [row["phone"] for row in campaign.intake["invalid"]]
    assert left == ["07386172393", "none", "", "2392"]
    assert campaign.intake["invalid_count"] == 5  # so many it was


def test_a_bad_row_is_forgotten_under_the_other_spelling_of_a_number():
    campaign = refused("541123456789", "+54 9 11 2345-6789 x2", "541123456780")

    retention.forget_person(campaign.account, "+5491123456789")

    campaign.refresh_from_db()
    assert [row["phone"] for row in campaign.intake["invalid"]] == ["541123456780"]


def test_a_person_is_forgotten_with_a_bad_row_whose_number_was_right_and_not_elsewhere():
    campaign = CampaignFactory.create()
    services.add_people(campaign.pk, [Row(0, THEM, timezone="Moon")])
    elsewhere = refused("07386172392")

    retention.forget_person(campaign.account, THEM)

    campaign.refresh_from_db()
    elsewhere.refresh_from_db()
    assert campaign.intake["invalid"] == []
    assert len(elsewhere.intake["invalid"]) == 1


def test_an_export_has_the_rows_that_were_refused():
    campaign = refused("07386172392", "07386172393")

    exported = retention.export_person(campaign.account, THEM)

    assert exported["refused_rows"] == [
        {
            "campaign__campaign_id": campaign.campaign_id,
            "phone": "07386172392",
            "reason": "phone must be in E.164: begin with + and the country code, as "
            "+447446466847.",
            "row_index": 0,
            "line": 2,
        }
    ]


def test_an_export_has_a_persons_place_in_campaigns_of_this_account_alone():
    campaign = CampaignFactory.create()
    people(campaign, 1, phone=THEM, name="Ann", variables={"time": "two"})
    texts = text_campaign(campaign)
    people(CampaignFactory.create(), 1, phone=THEM)

    exported = retention.export_person(campaign.account, THEM)

    assert exported["campaigns"] == [
        {
            "campaign__campaign_id": campaign.campaign_id,
            "name": "Ann",
            "variables": {"time": "two"},
            "metadata": {},
            "status": "pending",
            "outcome": "",
        }
    ]
    assert exported["text_campaigns"] == [
        {"campaign__campaign_id": texts.campaign_id, "variables": {}, "state": "pending"}
    ]
