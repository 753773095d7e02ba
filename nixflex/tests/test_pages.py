"""The dashboard as an operator sees it: in a real browser, wide and narrow, by day and by night."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from accounts.factories import AccountFactory, UserFactory
from accounts.models import User
from agents.factories import AgentFactory
from agents.models import Agent, PhoneNumber
from agents.tests.outside import Sandbox
from calls.factories import CallEventFactory, CallFactory, TransferFactory, TurnFactory
from calls.models import Call
from nixflex.tasks import HEARTBEAT_KEY
from nixflex.tests import browser as chromium
from nixflex.tests.browser import (
    LOW_CONTRAST,
    expect_width,
    keep_picture,
    running_browser,
    unreadable,
)
from webhooks.delivery import deliver_due
from webhooks.models import Endpoint
from webhooks.tests.receiver import running_receiver

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
PASSWORD = "a-long-password"


@pytest.fixture(scope="module")
def browser():
    with running_browser() as running:
        yield running


@pytest.fixture
def operator(transactional_db) -> User:
    cache.set(HEARTBEAT_KEY, "1")
    return UserFactory.create(
        username="olivia", password=PASSWORD, is_staff=True, is_superuser=True
    )


@pytest.fixture
def open_page(browser, live_server):
    """Return a function that opens a page of a width; at the end nothing may have gone wrong."""
    contexts, complaints = [], []

    def opened(width: int = 1280, *, dark: bool = False, user: User | None = None):
        page, found = chromium.open_page(
            browser,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            base_url=live_server.url,
        )
        contexts.append(page.context)
        complaints.append(found)
        if user is not None:
            client = Client()
            client.force_login(user, "django.contrib.auth.backends.ModelBackend")
            page.context.add_cookies(
                [
                    {
                        "name": "sessionid",
                        "value": client.cookies["sessionid"].value,
                        "url": live_server.url,
                    }
                ]
            )
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [complaint for found in complaints for complaint in found] == []


def a_call_that_was_held() -> Call:
    call = CallFactory.create(over=True, avg_latency_ms=640, caller_name="Laura")
    for role, text, more in (
        ("agent", "Hello, this is Mia of Bright Smile Dental.", {}),
        ("caller", "Yes, tomorrow is fine.", {}),
        ("agent", "Great, thank you.", {"latency_ms": 640, "timings": {"first_token_ms": 400}}),
    ):
        TurnFactory.create(call=call, role=role, text=text, **more)
    CallEventFactory.create(call=call, kind="answered", data={"answered_by": "human"})
    return call


def test_an_operator_gets_from_the_login_to_a_placed_call_without_curl(
    open_page, operator: User, carrier: Sandbox
):
    AgentFactory.create(name="Mia")
    page = open_page()

    page.goto("/")
    page.fill("[name=username]", "olivia")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    expect(page.get_by_text("First steps")).to_be_visible()
    expect(page.get_by_text("SIMULATION: no telephone rings")).to_be_visible()

    page.click("text=Import a number")
    page.wait_for_url("**/phonenumber/add/**")
    page.select_option("[name=agent]", label="Mia")
    page.fill("[name=twilio_token]", carrier.token)
    page.click("text=Import >> nth=-1")
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert PhoneNumber.objects.get().phone_number == "+12025550100"

    page.goto("/admin/agents/agent/")
    page.click("table >> text=Mia")
    page.wait_for_url("**/change/**")
    page.click("text=Call somebody")
    page.wait_for_url("**/call/add/**")
    page.fill("[name=to_number]", "0738 617")
    page.click("[name=_save]")
    # Not the help beside the field, which says E.164 before anything is sent.
    expect(page.get_by_text("must be in E.164: begin with +")).to_be_visible()
    page.wait_for_load_state()
    assert not Call.objects.exists()

    page.fill("[name=to_number]", "+447386172392")
    page.fill("[name=prompt]", "Remind them of the check-up.")
    page.click("[name=_save]")
    expect(page.get_by_text("is being placed")).to_be_visible()
    call = Call.objects.get()
    assert (call.to_number, call.prompt) == ("+447386172392", "Remind them of the check-up.")
    page.goto("/admin/calls/call/")
    expect(page.get_by_text(call.call_id)).to_be_visible()


def test_an_agent_is_edited_in_its_tabs(open_page, operator: User):
    agent = AgentFactory.create(name="Mia")
    page = open_page(user=operator)

    page.goto(f"/admin/agents/agent/{agent.pk}/change/")
    page.fill("[name=name]", "Maria")
    page.click("#content a:has-text('Conversation')")
    page.fill("[name=response_eagerness]", "350")
    keep_picture(page, "agent")
    page.click("[name=_save]")
    expect(page.get_by_text("was changed successfully")).to_be_visible()

    saved = Agent.objects.get()
    assert (saved.name, saved.response_eagerness) == ("Maria", 350)


def test_a_call_is_read_as_the_conversation_it_was(open_page, operator: User):
    call = a_call_that_was_held()
    page = open_page(user=operator)

    page.goto("/admin/")
    page.click("text=Latest calls >> xpath=.. >> a >> nth=0")
    page.wait_for_url(re.compile(f"/calls/call/{call.pk}/change/"))

    expect(page.locator(".nf-bubble")).to_have_text(
        [
            "Hello, this is Mia of Bright Smile Dental.",
            "Yes, tomorrow is fine.",
            "Great, thank you.",
        ]
    )
    expect(page.get_by_text("answered in 640 ms")).to_be_visible()
    page.click("#content a:has-text('Events')")
    expect(page.get_by_text("answered_by=human")).to_be_visible()
    expect(page.get_by_text("answered in 640 ms")).to_be_hidden()


def test_an_endpoint_is_made_tested_and_paused_without_curl(open_page, operator: User, settings):
    settings.OUTBOUND_ALLOW_PRIVATE = True
    AccountFactory.create()
    page = open_page(user=operator)

    with running_receiver() as receiver:
        page.goto("/admin/webhooks/endpoint/")
        page.get_by_role("link", name="Add webhook endpoint").first.click()
        page.wait_for_url("**/endpoint/add/**")
        page.fill("[name=url]", "https://169.254.169.254/")
        page.click("[name=_save]")
        expect(page.get_by_text("must be an https URL that others can reach")).to_be_visible()
        page.fill("[name=url]", receiver.url)
        page.get_by_label("call.completed").check()
        keep_picture(page, "endpoint-add")
        page.click("[name=_save]")
        expect(page.locator("#secret")).to_have_text(re.compile("whsec_"))
        keep_picture(page, "endpoint-secret")
        page.get_by_role("button", name="Send a test event").click()
        expect(page.get_by_role("cell", name="Pending")).to_be_visible()
        with ThreadPoolExecutor(1) as worker:  # the browser's loop runs in this thread
            worker.submit(deliver_due).result()
            worker.submit(connections.close_all).result()
        expect(page.get_by_role("cell", name="HTTP 200")).to_be_visible()
    assert [one["event"] for one in receiver.bodies] == ["webhook.test"]

    keep_picture(page, "endpoint")
    assert unreadable(page, 3.0) == []
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("paused in the dashboard")).to_be_visible()
    assert Endpoint.objects.get().disabled_at is not None
    page.get_by_role("button", name="Enable", exact=True).click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 900})
    expect_width(page, 390)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_every_page_fits_its_screen_and_can_be_read(
    open_page, operator: User, width: int, dark: bool
):
    call = a_call_that_was_held()
    assert call.agent is not None
    TransferFactory.create(call=call, bridged=True, warm=True)
    CallFactory.create(
        status="failed",
        ended_reason="failed",
        ended_at=timezone.now(),
        error_message="The Twilio account may not call this country. (Twilio error 21215)",
    )
    CallFactory.create(live=True)
    page = open_page(width, dark=dark, user=operator)

    for path in (
        "/admin/",
        "/admin/calls/call/",
        f"/admin/calls/call/{call.pk}/change/",
        "/admin/calls/call/add/",
        "/admin/agents/agent/add/",
        f"/admin/agents/agent/{call.agent.pk}/change/",
        "/admin/agents/phonenumber/",
        "/admin/agents/phonenumber/add/",
        "/admin/accounts/apikey/add/",
        "/admin/campaigns/campaign/add/",
    ):
        page.goto(path)
        expect_width(page, width)
        keep_picture(page, f"{path.strip('/').replace('/', '-')}-{width}{'-dark' * dark}")
        assert unreadable(page, 3.0) == [], path
    assert page.evaluate(LOW_CONTRAST, 21.5), "the measure finds nothing at all"


def test_every_list_fits_a_telephone(open_page, operator: User):
    a_call_that_was_held()
    page = open_page(390, user=operator)

    for model in admin.site._registry:
        path = reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist")
        page.goto(path)
        expect_width(page, 390)


def test_the_api_reference_opens_with_every_group(open_page):
    page = open_page()

    page.goto("/api/docs/")

    for group in ("Calls-calls_create", "Agents-agents_create"):
        expect(page.locator(f"#operations-{group}")).to_be_visible()
    expect(page.get_by_text("Phone numbers").first).to_be_visible()
