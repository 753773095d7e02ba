"""The dashboard's front page and forms, as the server answers them; test_pages.py has a browser."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.factories import ApiKeyFactory, UserFactory
from agents.factories import AgentFactory, PhoneNumberFactory
from agents.models import Agent, PhoneNumber
from agents.tests.outside import Sandbox
from calls.factories import CallFactory
from calls.models import Call
from nixflex.tasks import HEARTBEAT_KEY

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def office() -> Client:
    client = Client()
    client.force_login(UserFactory.create(is_superuser=True, is_staff=True), BACKEND)
    cache.set(HEARTBEAT_KEY, "1")
    return client


def words(page: Any) -> str:
    return " ".join(re.sub(r"<style.*?</style>|<[^>]+>", " ", page.content.decode()).split())


def figures(page: Any) -> dict[str, Any]:
    return {figure["name"]: figure["value"] for figure in page.context["figures"]}


def number_with_agent(**about: Any) -> tuple[PhoneNumber, Agent]:
    number = PhoneNumberFactory.create(**about)
    assert number.agent is not None
    return number, number.agent


def call_form(office: Client, **given: Any) -> dict[str, Any]:
    page = office.get(reverse("admin:calls_call_add"))
    form = page.context["adminform"].form
    return {"form_id": form["form_id"].value(), "prompt": "", "from_number": "", **given}


def test_an_empty_house_says_what_to_do_first(office: Client):
    said = words(office.get("/admin/"))

    assert "Make an agent" in said
    assert "Import a number" in said
    assert "curl http://127.0.0.1:8000/v1/calls/outbound" in said


def test_first_steps_are_ticked_off_and_go_after_the_first_call(office: Client):
    number, agent = number_with_agent()
    ApiKeyFactory.create(account=number.account)

    page = office.get("/admin/")
    assert "✓ There is an agent" in words(page)
    assert agent.agent_id in words(page)

    CallFactory.create(number=number, agent=agent, account=number.account)
    assert "First steps" not in words(office.get("/admin/"))


def test_the_figures_count_the_last_day_only(office: Client):
    CallFactory.create(over=True, avg_latency_ms=600, duration_ms=90_000)
    CallFactory.create(over=True, avg_latency_ms=800, duration_ms=30_000)
    CallFactory.create(status=Call.Status.BUSY, ended_reason="busy", ended_at=timezone.now())
    CallFactory.create(over=True, created_at=timezone.now() - timedelta(hours=25))
    CallFactory.create(live=True)
    CallFactory.create()

    page = office.get("/admin/")

    assert figures(page) == {
        "Calls now": 1,
        "Calls, last 24 h": 5,
        "Answered": "60 %",
        "Answer latency": "700 ms",
    }
    assert page.context["figures"][0]["note"] == "1 waiting for a line"
    assert page.context["figures"][1]["note"] == "2 minutes talked"
    assert [(row["name"], row["calls"]) for row in page.context["outcomes"]] == [
        ("Callee Hangup", 2),
        ("Busy", 1),
    ]


def test_what_needs_attention_is_named_with_its_reason(office: Client):
    PhoneNumberFactory.create(agent=None, phone_number="+447446000001")
    sleeping = AgentFactory.create(is_active=False, name="Max")
    PhoneNumberFactory.create(agent=sleeping, account=sleeping.account)
    CallFactory.create(
        status=Call.Status.FAILED,
        ended_reason="failed",
        ended_at=timezone.now(),
        error_message="The Twilio account may not call this country. (Twilio error 21215)",
    )
    cache.delete(HEARTBEAT_KEY)

    said = [one["text"] for one in office.get("/admin/").context["attention"]]

    assert "no heartbeat" in said[0]
    assert said[1] == "+447446000001 has no agent: calls to it are not taken."
    assert "Max is not active" in said[2]
    assert said[3].endswith("may not call this country. (Twilio error 21215)")
    assert len(said) == 4


def test_every_page_says_that_calls_are_simulated_only_where_they_are(office: Client, settings):
    pages = ["/admin/", "/admin/calls/call/", "/admin/calls/call/add/"]

    assert all("SIMULATION" in words(office.get(page)) for page in pages)
    assert "SIMULATION" in words(Client().get("/admin/login/"))

    settings.SANDBOX = False
    assert not any("SIMULATION" in words(office.get(page)) for page in pages)
    assert settings.SANDBOX_AUTH_TOKEN not in words(office.get("/admin/agents/phonenumber/add/"))


def test_a_user_without_rights_sees_no_figures():
    client = Client()
    client.force_login(UserFactory.create(is_staff=True, is_superuser=False), BACKEND)
    CallFactory.create(live=True, to_number="+447386172392")

    page = client.get("/admin/")

    assert page.status_code == 200
    assert "+447386172392" not in words(page)
    assert client.get("/admin/calls/call/add/").status_code == 403


def test_a_call_placed_in_the_office_is_the_apis_call(office: Client):
    number, agent = number_with_agent()
    form = call_form(office, agent=agent.pk, to_number="+447386172392", prompt="Say hello.")

    answer = office.post(reverse("admin:calls_call_add"), form)

    call = Call.objects.get()
    assert answer["Location"] == reverse("admin:calls_call_change", args=[call.pk])
    assert (call.account, call.agent, call.number) == (number.account, agent, number)
    assert (call.to_number, call.prompt, call.status) == ("+447386172392", "Say hello.", "queued")


def test_a_call_form_sent_twice_calls_once(office: Client):
    _, agent = number_with_agent()
    form = call_form(office, agent=agent.pk, to_number="+447386172392")

    office.post(reverse("admin:calls_call_add"), form)
    again = office.post(reverse("admin:calls_call_add"), form)

    assert "was sent already" in words(again)
    assert Call.objects.count() == 1


@pytest.mark.parametrize(
    ("to_number", "says"),
    [("07386172392", "to_number"), ("+447386172392", "no number with outbound calls")],
)
def test_a_call_that_the_api_would_refuse_is_refused_in_its_words(
    office: Client, to_number: str, says: str
):
    agent = AgentFactory.create()
    form = call_form(office, agent=agent.pk, to_number=to_number)

    page = office.post(reverse("admin:calls_call_add"), form)

    assert says in words(page)
    assert not Call.objects.exists()


def test_a_refused_call_form_can_be_corrected_and_sent_again(office: Client):
    _, agent = number_with_agent(outbound_enabled=False)
    form = call_form(office, agent=agent.pk, to_number="+447386172392")
    office.post(reverse("admin:calls_call_add"), form)
    PhoneNumber.objects.update(outbound_enabled=True)

    office.post(reverse("admin:calls_call_add"), form)

    assert Call.objects.count() == 1


def test_a_number_is_imported_in_the_office(office: Client, carrier: Sandbox):
    agent = AgentFactory.create()
    form = {
        "phone_number": "+12025550100",
        "agent": agent.pk,
        "twilio_sid": carrier.sid,
        "twilio_token": carrier.token,
    }

    office.post(reverse("admin:agents_phonenumber_add"), form)

    number = PhoneNumber.objects.get()
    assert (number.phone_number, number.agent, number.account) == (
        "+12025550100",
        agent,
        agent.account,
    )
    assert carrier.number("+12025550100")["voice_url"] == "http://127.0.0.1:8000/twilio/voice/"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"twilio_token": "0" * 32}, "does not accept this account SID and auth token"),
        ({"phone_number": "+12025550199"}, "does not hold +12025550199"),
        ({"twilio_sid": "AC1"}, "must be AC and 32 lower-case hex digits"),
        ({"phone_number": "7"}, "phone_number"),
    ],
)
def test_an_import_that_the_api_would_refuse_leaves_nothing(
    office: Client, carrier: Sandbox, wrong: dict[str, str], says: str
):
    form = {
        "phone_number": "+12025550101",
        "agent": AgentFactory.create().pk,
        "twilio_sid": carrier.sid,
        "twilio_token": carrier.token,
    }

    page = office.post(reverse("admin:agents_phonenumber_add"), form | wrong)

    assert says in words(page)
    assert not PhoneNumber.objects.exists()


def test_an_agent_leads_to_a_form_with_itself_chosen(office: Client):
    agent = AgentFactory.create()

    answer = office.get(reverse("admin:agents_agent_call_somebody", args=[agent.pk]), follow=True)

    assert answer.context["adminform"].form["agent"].value() == str(agent.pk)


@pytest.mark.parametrize("path", ["/", "/admin"])
def test_what_people_type_leads_to_the_dashboard(path: str):
    assert Client().get(path)["Location"] == "/admin/"


def test_only_the_dashboard_and_the_docs_loosen_the_content_policy(office: Client):
    strict = Client().get("/healthz")["Content-Security-Policy"]

    assert "unsafe" not in strict
    assert "default-src 'self'" in strict
    assert "frame-ancestors 'none'" in strict
    assert "'unsafe-eval'" in office.get("/admin/")["Content-Security-Policy"]
    docs = office.get("/api/docs/")["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in docs
    assert "unsafe-eval" not in docs
    assert "script-src" not in docs


def test_an_empty_list_says_so_and_a_search_without_result_says_that(office: Client):
    assert "No webhook endpoints yet." in words(office.get("/admin/webhooks/endpoint/"))
    assert "No webhook endpoints fit." in words(office.get("/admin/webhooks/endpoint/?q=x"))


def test_dates_have_their_day_first_and_their_zone(office: Client):
    account = AgentFactory.create(created_at=timezone.now()).account

    shown = words(office.get("/admin/accounts/account/"))

    made = f"{account.created_at:%-d %b %Y, %H:%M} UTC"
    assert made in shown.replace("\N{NO-BREAK SPACE}", " ")


def test_a_number_takes_its_agents_settings_until_it_is_told_otherwise(office: Client):
    number = PhoneNumberFactory.create()

    shown = words(office.get(f"/admin/agents/phonenumber/{number.pk}/change/"))

    assert "As the agent has it" in shown
    assert "Unknown" not in shown


def test_the_sidebar_calls_each_page_what_the_page_calls_itself(office: Client):
    groups = office.get("/admin/").context["sidebar_navigation"]
    items = [item for group in groups for item in group["items"]]
    lists = [item for item in items if item["link"].count("/") == 4]

    for item in lists:
        page = office.get(item["link"]).content.decode()
        shown = re.findall(rf">\s*{re.escape(item['title'])}\s*<", page)
        assert len(shown) >= 2, f"{item['title']} is in the sidebar alone"

    titles = [item["title"] for item in lists]
    assert len(titles) == len(set(titles)) > 20
    assert {"Twilio accounts", "Webhook endpoints", "Do-not-contact list"} <= set(titles)
