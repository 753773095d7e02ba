"""Texts whose webhooks never came."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import timezone
from django.utils.http import http_date

from accounts.suppression import is_suppressed
from agents.models import PhoneNumber
from sms import inbound, recovery, services
from sms.factories import PERSON, MessageFactory, ThreadFactory, new_sid
from sms.models import Message, Thread
from sms.tests.twilio_side import message_json, messages_url, texts_us

pytestmark = pytest.mark.django_db


@pytest.fixture
def thread() -> Thread:
    cache.clear()
    thread = ThreadFactory.create(open=True)
    PhoneNumber.objects.update(created_at=timezone.now() - timedelta(days=2))
    return thread


def text(body: str, *, minutes_ago: float = 5, **fields: Any) -> dict[str, Any]:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    date = http_date(at.timestamp()).replace("GMT", "+0000")
    return (
        message_json(
            new_sid(),
            **{"body": body, "from": PERSON, "direction": "inbound", "date_created": date},
        )
        | fields
    )


def lists(thread: Thread, *texts: dict[str, Any]) -> responses.BaseResponse:
    page = {"messages": texts, "page_size": 50, "next_page_uri": None}
    return responses.get(messages_url(thread), json=page)


def test_a_text_that_no_webhook_brought_is_taken_in_as_of_when_it_was_written(
    telco: Any, thread: Thread
):
    lost = text("Is it still on?")
    lists(thread, lost)

    assert recovery.recover_received() == 1

    message = thread.messages.get()
    assert (message.body, message.carrier_sid, message.reply) == (
        "Is it still on?",
        lost["sid"],
        "pending",
    )
    age = timezone.now() - message.created_at
    assert timedelta(minutes=5) <= age < timedelta(minutes=6)
    thread.refresh_from_db()
    assert thread.answer_due_at is not None


def test_a_lost_text_that_cannot_be_taken_in_holds_up_no_other_and_is_tried_again(
    telco: Any, thread: Thread, monkeypatch: pytest.MonkeyPatch
):
    lists(thread, text("Bad"), text("Good"))
    receive = inbound.receive

    def may_fail(arrival: Any) -> Any:
        if arrival.body == "Bad":
            raise ValueError("unforeseen")
        return receive(arrival)

    monkeypatch.setattr(recovery, "receive", may_fail)
    assert recovery.recover_received() == 1
    assert [one.body for one in thread.messages.all()] == ["Good"]

    monkeypatch.setattr(recovery, "receive", receive)
    later = timezone.now() + timedelta(hours=2)
    cache.delete(f"texts-listed:{thread.number_id}")
    assert recovery.recover_received(later) == 1
    assert sorted(one.body for one in thread.messages.all()) == ["Bad", "Good"]


def test_a_lost_stop_still_stops(telco: Any, thread: Thread):
    lists(thread, text("STOP"))

    recovery.recover_received()

    assert is_suppressed(thread.account, PERSON, "voice") is not None


def test_a_start_that_is_found_late_does_not_undo_the_stop_that_came_after_it(
    telco: Any, thread: Thread
):
    texts_us(thread.number, "STOP")
    lists(thread, text("START", minutes_ago=5))

    assert recovery.recover_received() == 1

    assert is_suppressed(thread.account, PERSON) is not None


@pytest.mark.parametrize(
    ("words", "may_be_texted"), [(("STOP", "START"), True), (("START", "STOP"), False)]
)
def test_a_stop_and_a_start_that_are_found_late_count_in_the_order_in_which_they_were_written(
    telco: Any, thread: Thread, words: tuple[str, str], may_be_texted: bool
):
    first, second = words
    lists(thread, text(second, minutes_ago=4), text(first, minutes_ago=5))

    assert recovery.recover_received() == 2

    assert (is_suppressed(thread.account, PERSON) is None) is may_be_texted


def test_what_a_webhook_brought_what_we_wrote_and_what_is_still_on_its_way_is_left(
    telco: Any, thread: Thread
):
    sid = new_sid()
    texts_us(thread.number, "Hello", sid)
    lists(
        thread,
        text("Hello", sid=sid),
        text("Ours", direction="outbound-api"),
        text("Just now", minutes_ago=0.1),
        text("Before we had the number", minutes_ago=60 * 24 * 3),
    )

    assert recovery.recover_received() == 0

    assert Message.objects.count() == 1


def test_the_list_is_asked_for_once_a_minute_and_from_where_it_was_left(telco: Any, thread: Thread):
    asked = lists(thread)

    recovery.recover_received()
    recovery.recover_received()
    assert asked.call_count == 1
    cache.delete(f"texts-listed:{thread.number_id}")
    recovery.recover_received()

    first, second = (parse_qs(urlsplit(call.request.url).query) for call in telco.calls)
    assert first["To"] == [thread.our_number]
    day_ago = datetime.fromisoformat(first["DateSent>"][0])
    assert timezone.now() - day_ago > timedelta(hours=24)
    assert timezone.now() - datetime.fromisoformat(second["DateSent>"][0]) < timedelta(minutes=3)


def test_where_numbers_are_many_each_has_its_turn(
    telco: Any, thread: Thread, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recovery, "NUMBERS_AT_ONCE", 1)
    monkeypatch.setattr(recovery, "LOOK_EVERY", timedelta(milliseconds=1))
    asked = [lists(one) for one in (thread, *ThreadFactory.create_batch(2))]

    for _ in range(6):
        recovery.recover_received()

    assert [one.call_count for one in asked] == [2, 2, 2]


def test_a_carrier_that_fails_is_asked_for_the_same_time_again(telco: Any, thread: Thread):
    telco.add("GET", messages_url(thread), status=500)
    assert recovery.recover_received() == 0

    telco.reset()
    cache.delete(f"texts-listed:{thread.number_id}")
    lists(thread, text("Is it still on?", minutes_ago=60))

    assert recovery.recover_received() == 1


def test_attachments_of_a_recovered_text_are_on_record(telco: Any, thread: Thread):
    lost = text("", num_media="1")
    lists(thread, lost)
    media = messages_url(thread, lost["sid"]).replace(".json", "/Media.json")
    path = f"/2010-04-01/Accounts/AC1/Messages/{lost['sid']}/Media/ME1.json"
    page = {"media_list": [{"sid": "ME1", "uri": path, "content_type": "image/png"}]}
    responses.get(media, json=page | {"page_size": 50, "next_page_uri": None})

    recovery.recover_received()

    url = f"{settings.TWILIO_API_URL}{path.removesuffix('.json')}"
    assert thread.messages.get().media == [{"url": url, "content_type": "image/png"}]


@pytest.mark.django_db(transaction=True)
def test_what_is_being_written_while_a_person_is_erased_is_erased_with_them():
    thread = ThreadFactory.create(open=True)
    assert thread.number is not None
    question = MessageFactory.create(thread=thread, inbound=True)

    def erase() -> list[str]:
        try:
            with transaction.atomic():
                return recovery.erase(thread.account, PERSON)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as beside:
        with transaction.atomic():
            Thread.objects.select_for_update(no_key=True).get(pk=thread.pk)
            answer = services.send_text(
                thread.account,
                agent=thread.agent,
                number=thread.number,
                to_number=PERSON,
                body="At 3 pm.",
                origin=Message.Origin.AUTO_REPLY,
                answers=question,
            )
            erased = beside.submit(erase)
            while not erased.done() and not _somebody_waits():
                pass

        assert set(erased.result()) == {question.message_id, answer.message_id}

    assert not Message.objects.exists()


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone() is not None
