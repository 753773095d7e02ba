"""The inbox in a real browser: texts appear by themselves, and an operator steps in."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.factories import UserFactory
from agents.factories import NoteFactory
from nixflex.tests.browser import keep_picture, open_page, running_browser, unreadable
from sms.factories import MessageFactory, ThreadFactory
from sms.models import Message, Thread, ToolRound
from sms.segments import size_of
from sms.tests.twilio_side import texts_us

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.django_db(transaction=True),
]


# At the edges of one, two and three segments, in either alphabet, with pairs that are never parted.
CORPUS = (
    "Of course you can.",
    "x" * 160,
    "x" * 161,
    "x" * 306,
    "x" * 307,
    "€" * 80,
    "€" * 81,
    "x" * 152 + "€" + "x" * 152,
    "[" * 153,
    "Crème brûlée à 8 €",
    "Crème brulée à 8 €\nä ö ü ß Ω",
    "я" * 70,
    "я" * 71,
    "🙂" * 35,
    "🙂" * 36,
    "я" * 66 + "🙂" + "я" * 60,
    "👩‍👧 at two?",
    "“Quoted” – and so on…",
    "a\tb",
    "x" * 1600,
)


def somebody_texts(thread: Thread, body: str) -> None:
    """In a thread of its own: the browser's driver runs an event loop in this one."""

    def text() -> None:
        try:
            texts_us(thread.number, body)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(text).result()


@pytest.fixture
def page(live_server, transactional_db) -> Iterator[Page]:
    client = Client()
    operator = UserFactory.create(username="olivia", is_superuser=True)
    client.force_login(operator, "django.contrib.auth.backends.ModelBackend")
    with running_browser() as browser:
        page, complaints = open_page(
            browser, base_url=live_server.url, viewport={"width": 1280, "height": 900}
        )
        session = client.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        yield page
        page.context.close()
    assert complaints == []


def ago(minutes: float) -> datetime:
    return timezone.now() - timedelta(minutes=minutes)


def test_a_text_appears_live_and_an_operator_takes_over_writes_and_hands_back(page: Page):
    thread = ThreadFactory.create(open=True)
    MessageFactory.create(thread=thread, taken=True, status="delivered", created_at=ago(50))
    called = NoteFactory.create(account=thread.account, at=ago(40))
    asked = MessageFactory.create(
        thread=thread,
        inbound=True,
        reply="answered",
        created_at=ago(30),
        body="Is Thursday at nine still free?",
    )
    ToolRound.objects.create(
        message=asked,
        number=1,
        asked=[{"type": "tool_use", "id": "t", "name": "check_availability", "input": {}}],
        results={"t": {"content": "{}", "failed": False}},
    )
    MessageFactory.create(
        thread=thread,
        taken=True,
        origin="auto_reply",
        status="delivered",
        created_at=ago(29),
        body="Yes, Thursday at 9 is free. Shall I move you there?",
    )
    page.goto(f"/admin/sms/thread/{thread.pk}/change/")
    expect(page.get_by_text("✓✓ delivered").first).to_be_visible()
    expect(page.get_by_text(called.text)).to_be_visible()
    expect(page.get_by_text("the agent used check_availability")).to_be_visible()

    somebody_texts(thread, "Can I bring my dog?")
    expect(page.get_by_text("Can I bring my dog?")).to_be_visible()

    page.get_by_role("button", name="Take over").click()
    expect(page.get_by_text("Taken over by olivia")).to_be_visible()
    page.get_by_label("Reply").fill("Of course you can.")
    page.get_by_role("button", name="Send").dblclick()
    expect(page.get_by_text("Of course you can.", exact=True)).to_be_visible()
    expect(page.get_by_label("Reply")).to_have_value("")
    keep_picture(page, "inbox")
    page.get_by_role("button", name="Hand back to the agent").click()
    expect(page.get_by_role("button", name="Take over")).to_be_visible()

    assert unreadable(page, 4.5) == []
    assert Message.objects.get(origin="operator").written_by == "olivia"
    assert Thread.objects.get().taken_over_at is None

    page.get_by_label("Reply").fill("Of course you can.")  # the same words, in a form of their own
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Of course you can.", exact=True)).to_have_count(2)


def test_the_reply_box_says_what_a_text_will_cost_as_the_carrier_counts(page: Page):
    thread = ThreadFactory.create(open=True)
    page.goto(f"/admin/sms/thread/{thread.pk}/change/")
    size = page.locator("#nf-size")
    expect(size).to_have_text("")

    for body in CORPUS:
        page.get_by_label("Reply").fill(body)
        counted = size_of(body)
        plural = "segment" if counted.segments == 1 else "segments"
        expect(size).to_have_text(
            f"{len(body)} characters · {counted.encoding} · {counted.segments} {plural}"
        )

    page.get_by_label("Reply").fill("Of course you can.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Reply")).to_have_value("")
    expect(size).to_have_text("")


def test_why_a_text_was_refused_stays_beside_the_words_that_were_not_sent(page: Page):
    thread = ThreadFactory.create(open=True)
    page.goto(f"/admin/sms/thread/{thread.pk}/change/")
    page.get_by_label("Reply").fill("   ")

    with page.expect_response(lambda answer: "/write/" in answer.url):
        page.get_by_role("button", name="Send").click()
    with page.expect_response(lambda answer: "/texts/" in answer.url):
        pass

    expect(page.get_by_role("alert")).to_have_text("body is required.")
    expect(page.get_by_label("Reply")).to_have_value("   ")
    page.get_by_label("Reply").fill("Of course you can.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Of course you can.", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_text("")


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desk", "phone"])
def test_a_long_conversation_shows_its_newest_text_beside_the_reply_box(
    page: Page, size: tuple[int, int]
):
    thread = ThreadFactory.create(open=True)
    for minutes in range(40, 0, -1):
        MessageFactory.create(
            thread=thread, inbound=True, body=f"Asked {minutes}.", created_at=ago(minutes)
        )
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(f"/admin/sms/thread/{thread.pk}/change/")
    expect(page.get_by_text("Asked 1.", exact=True)).to_be_in_viewport()
    expect(page.get_by_role("button", name="Take over")).to_be_in_viewport()
    expect(page.get_by_label("Reply")).to_be_in_viewport()

    somebody_texts(thread, "Anybody?")
    expect(page.get_by_text("Anybody?")).to_be_in_viewport()
    page.get_by_text("Asked 40.").scroll_into_view_if_needed()
    somebody_texts(thread, "Hello?")
    expect(page.get_by_text("Hello?")).to_be_attached()

    expect(page.get_by_text("Asked 40.")).to_be_in_viewport()  # who reads is left in peace


def test_the_inbox_fits_a_phone(page: Page):
    thread = ThreadFactory.create(open=True, needs_human="The person answered.")
    NoteFactory.create(account=thread.account)
    MessageFactory.create(
        thread=thread, taken=True, status="delivered", body="https://example.com/" + "x" * 120
    )
    somebody_texts(thread, "Can I bring my dog? " * 10)
    page.set_viewport_size({"width": 390, "height": 844})

    page.goto(f"/admin/sms/thread/{thread.pk}/change/")

    expect(page.get_by_role("button", name="Send")).to_be_visible()
    keep_picture(page, "inbox-phone")
    widest = page.evaluate(
        """() => Math.max(...[...document.querySelectorAll('.nf-inbox, .nf-inbox *')]
            .map(element => element.getBoundingClientRect().right))"""
    )
    assert widest <= 390
    page.get_by_label("Reply").fill("Of course.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Of course.", exact=True)).to_be_visible()
