import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from accounts.factories import UserFactory
from accounts.models import Suppression
from accounts.suppression import lift, suppress
from agents.factories import NoteFactory
from sms import answering, questions
from sms.factories import PERSON, MessageFactory, ThreadFactory
from sms.models import Message, Thread, ToolRound
from sms.tests.twilio_side import texts_us
from sms.written_once import write_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(UserFactory.create(username="ada", is_superuser=True))
    return client


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def page(client: Client, thread: Thread, what: str = "change") -> str:
    answer = client.get(f"/admin/sms/thread/{thread.pk}/{what}/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_inbox_lists_conversations_and_finds_those_that_need_somebody(operator: Client):
    flagged = ThreadFactory.create(needs_human="Look.", unread=2)
    ThreadFactory.create(their_number="+447386170001")
    MessageFactory.create(thread=flagged, inbound=True, body="Is anybody there?")

    everything = operator.get("/admin/sms/thread/").content.decode()
    needing = operator.get("/admin/sms/thread/?needs=yes&unread=yes&taken=no").content.decode()

    assert "+447386170001" in everything
    assert "Is anybody there?" in everything
    assert PERSON in needing
    assert "+447386170001" not in needing


def test_a_conversation_shows_who_wrote_what_and_how_it_fared(operator: Client):
    thread = ThreadFactory.create(open=True, unread=1)
    MessageFactory.create(thread=thread, taken=True, status="delivered")
    MessageFactory.create(thread=thread, inbound=True, body="<b>Thanks</b>", reply="off")
    MessageFactory.create(thread=thread, origin="operator", written_by="bob", body="Hello")
    MessageFactory.create(thread=thread, status="failed", error_message="It is a landline.")

    shown = page(operator, thread)

    assert "✓✓ delivered" in shown
    assert "&lt;b&gt;Thanks&lt;/b&gt;" in shown
    assert "not answered: answers are switched off" in shown
    assert "bob" in shown
    assert "It is a landline." in shown
    assert "Reply window open for 22 h 59 min more" in shown
    thread.refresh_from_db()
    assert thread.unread == 0


def test_calls_with_the_person_stand_between_the_texts_and_lead_to_the_call(operator: Client):
    thread = ThreadFactory.create(open=True)
    MessageFactory.create(thread=thread, body="Written first", created_at=days_ago(2))
    NoteFactory.create(account=thread.account, source="call_1", at=days_ago(1), text="Asked it.")
    MessageFactory.create(thread=thread, body="Written last", origin="post_call", call_id="call_1")

    shown = page(operator, thread)

    order = ("Written first", "They called us", "Asked it.", "Written last")
    places = [shown.index(words) for words in order]
    assert places == sorted(places)
    assert shown.count('href="/admin/calls/call/?q=call_1"') == 2


def test_a_new_text_is_on_the_page_the_next_time_it_asks(operator: Client):
    thread = ThreadFactory.create(open=True)
    assert "Is it still on?" not in page(operator, thread)

    texts_us(thread.number, "Is it still on?")

    assert "Is it still on?" in page(operator, thread, "texts")


def test_an_operator_takes_over_writes_and_hands_back(operator: Client):
    thread = ThreadFactory.create(open=True)
    base = f"/admin/sms/thread/{thread.pk}"

    assert "Taken over by ada" in operator.post(f"{base}/take-over/").content.decode()
    texts_us(thread.number, "Is it still on?")
    written = operator.post(f"{base}/write/", {"body": "Yes, at 3."}).content.decode()
    assert "Take over" in operator.post(f"{base}/hand-back/").content.decode()

    assert "Yes, at 3." in written
    message = Message.objects.get(origin="operator")
    assert (message.written_by, message.to_number, message.status) == ("ada", PERSON, "queued")
    assert thread.messages.inbound().get().reply == "human"


@pytest.mark.parametrize(
    ("body", "words"), [("", "body is required."), ("Hello", "asked not to be contacted")]
)
def test_what_cannot_be_sent_is_said_on_the_page(operator: Client, body: str, words: str):
    thread = ThreadFactory.create(open=True)
    if body:
        suppress(thread.account, PERSON, source=Suppression.Source.OPERATOR)

    answer = operator.post(f"/admin/sms/thread/{thread.pk}/write/", {"body": body})

    assert words in answer.content.decode()
    assert answer["HX-Retarget"] == "#nf-refused"  # outside of what is replaced by the next news
    assert not Message.objects.exists()


def test_what_an_operator_answers_the_agent_does_not_answer_too(operator: Client):
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        question = questions.take_next()  # an answer is being written
        assert question is not None

        operator.post(f"/admin/sms/thread/{thread.pk}/write/", {"body": "Yes, at 3."})
        assert not answering._send(question, "Yes, at three.")

    thread.refresh_from_db()
    assert thread.answer_due_at is None
    assert thread.messages.inbound().get().reply == "human"
    assert [text.body for text in Message.objects.filter(direction="outbound")] == ["Yes, at 3."]


def form_of(shown: str) -> str:
    (form_id,) = re.findall(r'name="form_id" value="(\w+)"', shown)
    return form_id


def send(client: Client, thread: Thread, body: str, form_id: str) -> str:
    asked = {"body": body, "form_id": form_id}
    return client.post(f"/admin/sms/thread/{thread.pk}/write/", asked).content.decode()


def test_a_form_that_is_sent_twice_texts_once_and_the_next_one_texts_again(operator: Client):
    thread = ThreadFactory.create(open=True)
    form_id = form_of(page(operator, thread))

    first, copy = (send(operator, thread, "OK.", form_id) for _ in range(2))

    assert Message.objects.count() == 1
    assert "OK." in copy
    assert form_id not in {form_of(first), form_of(copy)}
    send(operator, thread, "OK.", form_of(first))
    send(operator, thread, "Other words.", form_id)  # whose answer was lost, and who wrote anew
    bodies = Message.objects.order_by("pk").values_list("body", flat=True)
    assert list(bodies) == ["OK.", "OK.", "Other words."]


def test_a_form_that_was_refused_can_be_sent_again(operator: Client):
    thread = ThreadFactory.create(open=True)
    form_id = form_of(page(operator, thread))
    suppress(thread.account, PERSON, source=Suppression.Source.OPERATOR)

    assert "asked not to be contacted" in send(operator, thread, "Hello", form_id)
    lift(thread.account, PERSON)
    send(operator, thread, "Hello", form_id)

    assert Message.objects.get().body == "Hello"


def test_a_copy_that_breaks_makes_no_other_copy_a_text(monkeypatch: pytest.MonkeyPatch):
    thread = ThreadFactory.create(open=True)
    write_once(thread, "OK.", by="ada", form_id="f1")
    with monkeypatch.context() as broken:
        broken.setattr(cache, "get", Mock(side_effect=DatabaseError("gone")))
        with pytest.raises(DatabaseError):
            write_once(thread, "OK.", by="ada", form_id="f1")

    assert write_once(thread, "OK.", by="ada", form_id="f1") is None

    assert Message.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_form_that_comes_several_times_at_once_texts_once():
    thread = ThreadFactory.create(open=True)

    def press(_: int) -> bool:
        try:
            return write_once(thread, "OK.", by="ada", form_id="f1") is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(press, range(4)))

    assert sorted(sent) == [False, False, False, True]
    assert Message.objects.count() == 1


@pytest.mark.parametrize("what", ["write", "take-over", "hand-back"])
def test_who_may_only_look_changes_nothing(client: Client, what: str):
    user: Any = UserFactory.create()
    user.user_permissions.add(Permission.objects.get(codename="view_thread"))
    client.force_login(user)
    thread = ThreadFactory.create(open=True, unread=2)

    assert client.post(f"/admin/sms/thread/{thread.pk}/{what}/", {"body": "Hi"}).status_code == 403
    assert 'name="body"' not in page(client, thread)
    page(client, thread, "texts")

    assert not Message.objects.exists()
    thread.refresh_from_db()
    assert thread.taken_over_at is None
    assert thread.unread == 2  # for those who can answer


def test_strangers_see_nothing(client: Client):
    thread = ThreadFactory.create(open=True)

    for what in ("change", "texts"):
        assert client.get(f"/admin/sms/thread/{thread.pk}/{what}/").status_code == 302


def test_what_the_agent_did_to_answer_is_shown(operator: Client):
    thread = ThreadFactory.create(open=True)
    text = MessageFactory.create(thread=thread, inbound=True, reply="answered")
    for number, (name, results) in enumerate(
        [("find_booking", {"t": {"content": "{}", "failed": False}}), ("cancel_booking", {})], 1
    ):
        ToolRound.objects.create(
            message=text,
            number=number,
            asked=[{"type": "tool_use", "id": "t", "name": name, "input": {}}],
            results=results,
        )

    assert "the agent used find_booking, cancel_booking (failed)" in page(operator, thread)


def test_a_picture_can_be_opened_and_is_named_in_the_list(operator: Client):
    thread = ThreadFactory.create(open=True)
    media = {"NumMedia": "1", "MediaContentType0": "image/jpeg"}
    texts_us(thread.number, "", MediaUrl0="https://api.twilio.com/media/ME1", **media)
    texts_us(thread.number, "", MediaUrl0="javascript:alert(1)", **media)

    shown = page(operator, thread)

    assert 'href="https://api.twilio.com/media/ME1"' in shown
    assert "javascript:alert" not in shown
    assert "a picture or file" in operator.get("/admin/sms/thread/").content.decode()


def test_all_texts_are_listed_newest_first_with_their_words(operator: Client):
    MessageFactory.create(inbound=True, body="An old one")
    MessageFactory.create(body="Your check-up is tomorrow.")

    shown = operator.get("/admin/sms/message/").content.decode()

    assert shown.index("Your check-up is tomorrow.") < shown.index("An old one")
    assert "↗\N{NO-BREAK SPACE}outbound" in shown


def test_a_person_who_wants_no_texts_is_said_to(operator: Client):
    thread = ThreadFactory.create(open=True)
    assert "They do not want texts" not in page(operator, thread)

    entry, _ = suppress(
        thread.account,
        thread.their_number,
        source=Suppression.Source.OPERATOR,
        scope=Suppression.Scope.TEXT,
    )

    shown = page(operator, thread)
    assert "They do not want texts (" in shown
    assert f"/admin/accounts/suppression/{entry.pk}/change/" in shown
    assert "Reply window open" not in shown
