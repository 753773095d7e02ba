"""Campaigns in a real browser, from a chosen file to the page that steers them."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from accounts.factories import UserFactory
from agents.factories import PhoneNumberFactory
from agents.models import PhoneNumber
from agents.tests.outside import running_sandbox
from campaigns.models import Campaign
from nixflex.tests.browser import LOW_CONTRAST, complaints_of, keep_picture, running_browser
from sms.models import TextCampaign

expect.set_options(timeout=30_000)
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
CSV = (
    "phone,name,time\n"
    "+12025550110,Emma Hughes,2 pm\n"
    "+12025550111,Daniel Reed,half past nine\n"
    "+12025550113,Sofia Marsh,11 am\n"
    "+12025550111,Daniel Reed,half past nine\n"
    "0738 617,Tom Banks,3 pm\n"
)


@pytest.fixture(scope="module")
def browser():
    # playwright's own event loop runs in this thread; the ORM is used beside it, not on it
    with pytest.MonkeyPatch.context() as patch, running_browser() as running:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield running


@pytest.fixture
def number(transactional_db) -> PhoneNumber:
    UserFactory.create(username="olivia", password="a-long-password", is_superuser=True)
    return PhoneNumberFactory.create(agent__name="Mia")


@pytest.fixture
def page(browser, live_server, number):
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    complaints = complaints_of(page)
    page.goto("/admin/login/?next=/admin/")
    page.fill("[name=username]", "olivia")
    page.fill("[name=password]", "a-long-password")
    page.click("button[type=submit]")
    page.wait_for_selector("text=Latest calls")
    yield page
    context.close()
    assert complaints == []


def choose(page: Page, folder: Path) -> None:
    file = folder / "Tuesday reminders.csv"
    file.write_text(CSV)
    page.set_input_files("#id_file", file)
    page.wait_for_selector("#columns table")


def fits(page: Page, name: str) -> None:
    """The page is no wider than its screen, in either width, and can be read."""
    keep_picture(page, name)
    assert page.evaluate(LOW_CONTRAST, 4.5) == []
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_chosen_file_names_the_campaign_and_leads_to_a_rehearsal(
    page: Page, number: PhoneNumber, tmp_path: Path, settings
):
    page.goto("/admin/campaigns/campaign/add/")
    choose(page, tmp_path)
    assert page.input_value("[name=name]") == "Tuesday reminders"
    assert page.input_value("[name=region]") == ""
    page.fill("[name=prompt]", "Remind {name} of the check-up tomorrow at {time}.")
    page.fill("[name=max_cost]", "20")
    keep_picture(page, "campaign-upload")
    page.get_by_role("button", name="Read the file").click()
    expect(page.get_by_text("5 rows: 3 people, 1 repeated and merged")).to_be_visible()
    expect(page.get_by_text("It pauses once its calls have cost $20.00.")).to_be_visible()
    fits(page, "campaign-preview")

    with running_sandbox("model") as sandbox:
        settings.ANTHROPIC_API_URL = sandbox.url
        page.get_by_role("button", name="Rehearse").click()
        expect(page.get_by_text("on a virtual clock. Nobody was called.")).to_be_visible()
        # The forecast is there at once; each conversation comes when it is written.
        expect(page.get_by_text("is writing their conversation")).to_have_count(0)
        expect(page.get_by_text("Yes, that's fine.")).to_be_visible()
        expect(page.get_by_text("Who is this, and what is it about?")).to_be_visible()
        expect(page.get_by_text("I'm not interested.")).to_be_visible()
        fits(page, "rehearsal")

    campaign = Campaign.objects.get()
    assert (campaign.status, campaign.number) == ("draft", number)


def test_a_text_campaign_shows_what_the_first_person_reads(page: Page, tmp_path: Path):
    page.goto("/admin/sms/textcampaign/add/")
    choose(page, tmp_path)
    page.fill("[name=prompt]", "Hi {name}, your check-up is tomorrow at {time}.")
    page.get_by_role("button", name="Read the file").click()

    expect(page.get_by_text("Hi Emma Hughes, your check-up is tomorrow at 2 pm.")).to_be_visible()
    fits(page, "text-campaign")
    assert TextCampaign.objects.get().status == "draft"
