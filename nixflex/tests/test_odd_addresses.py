"""Addresses of the dashboard that somebody typed, or cut short: what means nothing is not found."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.factories import AccountFactory, UserFactory
from campaigns.factories import CampaignFactory

pytestmark = pytest.mark.django_db

LONG = "9" * 5_000  # more digits than Python reads


@pytest.fixture
def office(client: Client) -> Client:
    client.force_login(UserFactory.create(is_superuser=True))
    return client


@pytest.mark.parametrize("one", ["abc", "9" * 30, LONG, "%00", "1%00", "_00", "%D9%A3", "%C2%B2"])
@pytest.mark.parametrize("page", ["campaigns/campaign", "sms/textcampaign"])
def test_an_id_that_is_none_is_not_found(office: Client, page: str, one: str):
    assert office.get(f"/admin/{page}/{one}/change/").status_code == 404


@pytest.mark.parametrize(
    "where",
    [
        "campaigns/campaign/{}/live/",
        "campaigns/campaign/{}/results.csv",
        "webhooks/endpoint/{}/latest/",
        "sms/thread/{}/texts/",
        "calls/call/{}/said/",
    ],
)
@pytest.mark.parametrize("one", ["0", "9" * 30])
def test_a_part_of_a_page_of_nothing_is_not_found(office: Client, where: str, one: str):
    assert office.get(f"/admin/{where.format(one)}").status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        "calls/call/?status__exact=%00",
        "calls/call/?q=a%00",
        "accounts/suppression/?source=1%00",
        "webhooks/event/?type=%00",
        "calls/call/?created_at__year=9999",
        f"calls/call/?created_at__year={'9' * 30}",
        f"calls/call/?created_at__year=2026&created_at__month={'9' * 11}",
        f"calls/call/?created_at__year=2026&created_at__month=2&created_at__day={LONG}",
        "search/?s=abc&page=abc",
        f"search/?s=abc&page={LONG}",
        "agents/agent/add/?account=abc",
        f"agents/agent/add/?account={LONG}",
        "agents/caller/add/?number=%C2%B2",
        "agents/note/add/?account=%00",
    ],
)
def test_a_question_that_means_nothing_is_not_found(office: Client, asked: str):
    assert office.get(f"/admin/{asked}").status_code == 404


def test_what_means_something_is_shown(office: Client):
    campaign, account = CampaignFactory.create(), AccountFactory.create()

    pages = [
        reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
        "/admin/calls/call/?created_at__year=2026&created_at__month=11&created_at__day=22&q=%2B44",
        "/admin/search/?s=abc&page=1",
        f"/admin/agents/agent/add/?account={account.pk}&name=Mia",
    ]

    assert [office.get(page).status_code for page in pages] == [200] * len(pages)
