import io
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts import suppression
from accounts.factories import UserFactory
from accounts.models import CarrierAccount
from accounts.tests.loopback import Handler, serving
from agents.tests.model_side import ModelServer, running_model
from calls.factories import CallFactory
from calls.models import Call
from calls.tests.conftest import telco as telco
from campaigns.factories import CampaignFactory, RecipientCallFactory, RecipientFactory, people
from campaigns.models import Campaign, Recipient, RecipientCall
from campaigns.rehearsal import DEFAULTS, Sample, history, rehearse
from campaigns.samples import Conversation, converse
from campaigns.samples import people as people_to_talk_to
from conftest import PATIENCE_S

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
UNANSWERED = [Sample("no-answer", 30.0)]


@pytest.fixture
def campaign(settings: Any) -> Campaign:
    settings.CARRIER_CALLS_PER_SECOND = 1e9  # turns are no microsecond apart
    return CampaignFactory.create(draft=True, account__max_concurrent_calls=100)


def test_a_rehearsal_ends_when_the_lines_allow_it(campaign: Campaign):
    campaign.max_concurrent = 2
    campaign.save()
    people(campaign, 10)

    found = rehearse(campaign, now=NOON, samples=UNANSWERED)

    assert (found.people, found.calls) == (10, 10)
    assert found.ends_at == NOON + timedelta(seconds=150)  # five rounds of two lines
    assert found.calls_per_minute == 4.0
    assert found.outcomes == {"no-answer": 10}


def test_a_campaign_without_hours_is_rehearsed_through_the_night(campaign: Campaign):
    campaign.max_concurrent = 1
    campaign.save()
    people(campaign, 10)

    found = rehearse(campaign, now=NOON, samples=[Sample("no-answer", 7200.0)])

    assert found.ends_at == NOON + timedelta(hours=20)


def test_a_rehearsal_leaves_nothing_behind_and_wakes_nobody(campaign: Campaign, sent: list[str]):
    people(campaign, 3)
    carriers = CarrierAccount.objects.count()

    rehearse(campaign, now=NOON, samples=UNANSWERED)

    campaign.refresh_from_db()
    assert campaign.status == "draft"
    assert Campaign.objects.count() == 1
    assert set(Recipient.objects.values_list("status", "attempts")) == {("pending", 0)}
    assert not Call.objects.exists()
    assert not RecipientCall.objects.exists()
    assert CarrierAccount.objects.count() == carriers
    assert sent == []


def test_retries_and_windows_are_rehearsed_too(campaign: Campaign):
    campaign.windows = [
        {"start_minutes": 9 * 60, "end_minutes": 12 * 60 + 1},
        {"start_minutes": 14 * 60, "end_minutes": 15 * 60},
    ]
    campaign.retries = {"no-answer": {"times": 1, "after_minutes": 30, "other_hour": False}}
    campaign.save()
    people(campaign, 2)

    found = rehearse(campaign, now=NOON, samples=UNANSWERED)

    assert found.calls == 4
    assert found.ends_at == datetime(2026, 11, 23, 14, 0, 30, tzinfo=UTC)


def test_the_carriers_pace_is_rehearsed(campaign: Campaign, settings):
    settings.CARRIER_CALLS_PER_SECOND = 2.0
    people(campaign, 21)

    found = rehearse(campaign, now=NOON, samples=UNANSWERED)

    assert found.ends_at is not None
    assert timedelta(seconds=38) < found.ends_at - NOON < timedelta(seconds=41)


def test_a_campaign_that_would_stop_says_why(campaign: Campaign):
    people(campaign, 30)
    campaign.max_concurrent = 5
    campaign.save()

    found = rehearse(campaign, now=NOON, samples=[Sample("failed", 1.0)])

    assert found.ends_at is None
    assert found.stopped_because.startswith("10 of the last 10 calls failed.")


def test_who_said_no_is_skipped_in_a_rehearsal(campaign: Campaign):
    person, _ = people(campaign, 2)
    suppression.suppress(campaign.account, person.phone, source="operator")

    found = rehearse(campaign, now=NOON, samples=UNANSWERED)

    assert (found.calls, found.counts["skipped"]) == (1, 1)


def test_outcomes_come_from_the_accounts_own_calls_where_there_are_enough(campaign: Campaign):
    assert history(campaign)[1] is False
    assert len(history(campaign)[0]) == sum(share for _, share, _ in DEFAULTS)
    now = datetime.now(UTC)
    for _ in range(30):
        RecipientCallFactory.create(
            campaign=campaign,
            outcome="busy",
            settled_at=now,
            recipient__status="done",
            recipient__outcome="busy",
            call=CallFactory.create(over=True, account=campaign.account),
        )

    samples, from_history = history(campaign)

    assert from_history
    assert {sample.outcome for sample in samples} == {"busy"}


def test_the_command_names_variables_that_people_lack(campaign: Campaign):
    campaign.prompt = "Remind {name} of {{time}}, it is {current_date}."
    campaign.save()
    RecipientFactory.create(campaign=campaign, variables={"name": "Ann", "time": "two"})
    RecipientFactory.create(campaign=campaign, variables={"name": "Bob"})
    out = io.StringIO()

    call_command("rehearse", campaign.campaign_id, samples=0, stdout=out)

    said = out.getvalue()
    assert "2 people wait; nobody is called now." in said
    assert "Outcomes are assumed" in said
    assert "Missing: 1 people have no {time}." in said
    assert "{name}" not in said
    assert "current_date" not in said


# --- sample conversations -------------------------------------------------------------------------


def conversations(campaign: Campaign) -> list[Conversation]:
    return [converse(campaign, *one) for one in people_to_talk_to(campaign)]


@pytest.fixture
def model(settings: Any) -> Iterator[ModelServer]:
    with running_model() as server:
        settings.ANTHROPIC_API_URL = server.url
        settings.ANTHROPIC_API_KEY = "key"
        yield server


def test_a_few_conversations_are_written_by_the_agents_prompt_and_model(
    campaign: Campaign, model: ModelServer, telco: Any
):
    model.answers = [{"said": "Hello"}]
    campaign.prompt = "Remind {name} of {time}."
    campaign.save()
    for n, name in enumerate(("Ann", "Bob", "Cem", "Dan")):
        RecipientFactory.create(
            campaign=campaign, row_index=n, variables={"name": name, "time": "two"}
        )

    talks = conversations(campaign)

    assert [talk.manner for talk in talks] == ["agrees", "asks", "declines"]
    assert talks[2].lines == [
        ("person", "Hello?"),
        ("agent", '{"said": "Hello"}'),
        ("person", "No, thank you. I'm not interested."),
        ("agent", '{"said": "Hello"}'),
    ]
    assert len(model.requests) == 3 + 3 + 2
    asked = json.dumps(model.requests[0]["system"])
    assert campaign.agent is not None
    assert campaign.agent.system_prompt in asked
    assert "Remind Ann of two." in asked
    assert len(telco.calls) == 0
    assert not Call.objects.exists()


def test_a_model_that_does_not_answer_is_named_in_the_sample(
    campaign: Campaign, model: ModelServer
):
    model.answers = [400]
    people(campaign, 1)

    (talk,) = conversations(campaign)

    assert talk.lines == [("person", "Hello?")]
    assert talk.failure == "The model gave no answer: invalid_request_error."


def test_a_conversation_ends_where_the_time_for_it_does(campaign: Campaign, settings: Any):
    people(campaign, 1)
    asked, over = threading.Event(), threading.Event()

    class Silent(Handler):
        def do_POST(self) -> None:
            asked.set()
            over.wait(PATIENCE_S)

    with serving(Silent) as port:
        settings.ANTHROPIC_API_URL = f"http://127.0.0.1:{port}"
        ((recipient, manner),) = people_to_talk_to(campaign)
        cut = converse(campaign, recipient, manner, within_s=0.3)
        was_asked = asked.is_set()
        asked.clear()
        none = converse(campaign, recipient, manner, within_s=0)
        over.set()

    assert was_asked
    assert cut.lines == [("person", "Hello?")]
    assert cut.failure == "The model took longer than 0.3 s for this conversation."
    assert none.failure == "The model took longer than 0 s for this conversation."
    assert not asked.is_set()


def test_the_button_shows_the_forecast_at_once_and_then_each_conversation(
    campaign: Campaign, model: ModelServer, client: Client
):
    model.answers = [{"said": "Hello"}]
    _, second = people(campaign, 2)
    client.force_login(UserFactory.create(is_superuser=True))

    page = client.get(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
    url = reverse("admin:campaigns_campaign_rehearse", args=[campaign.pk])
    shown = client.post(url)
    asked_for_the_page = len(model.requests)
    talk_url = reverse("admin:campaigns_campaign_talk", args=[campaign.pk, second.pk, "asks"])
    talk = client.post(talk_url).content.decode()

    assert url in page.content.decode()
    text = shown.content.decode()
    assert "How calls may go" in text
    assert "Outcomes are assumed" in text
    assert "somebody who asks" in text
    assert talk_url in text
    assert asked_for_the_page == 0
    assert "Who is this, and what is it about?" in talk
    assert len(model.requests) == 3
    assert client.get(url).status_code == client.get(talk_url).status_code == 403
    assert not Call.objects.exists()


def test_a_conversation_is_with_this_campaigns_people_in_a_known_manner(
    campaign: Campaign, model: ModelServer, client: Client
):
    (mine,) = people(campaign, 1)
    theirs = RecipientFactory.create()
    client.force_login(UserFactory.create(is_superuser=True))

    for person, manner in ((theirs, "asks"), (mine, "shouts")):
        args = [campaign.pk, person.pk, manner]
        assert client.post(reverse("admin:campaigns_campaign_talk", args=args)).status_code == 404

    assert model.requests == []
