from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Suppression
from accounts.suppression import is_suppressed
from agents.factories import PhoneNumberFactory
from agents.models import Agent, PhoneNumber
from sms import arrivals, services
from sms.factories import PERSON, MessageFactory, ThreadFactory, new_sid
from sms.models import Arrival, Message, Thread
from sms.tests.stored import newest, thread_of
from sms.tests.twilio_side import brings, brings_all, texts_us

pytestmark = pytest.mark.django_db


# --- the knock ------------------------------------------------------------------------------------


def test_a_text_is_stored_once_and_answered_with_nothing():
    thread = ThreadFactory.create(open=True)
    sid = new_sid()

    answers = [texts_us(thread.number, "Is it still on?", sid) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[0]["Content-Type"] == "text/xml"
    assert answers[0].content.endswith(b"<Response />")
    message = thread.messages.get()
    assert (message.body, message.direction, message.status) == (
        "Is it still on?",
        "inbound",
        "received",
    )
    thread.refresh_from_db()
    assert thread.unread == 1


def test_the_carrier_has_its_answer_after_one_question_to_the_database(
    django_assert_num_queries: Any,
):
    thread = ThreadFactory.create(open=True)
    assert thread.number is not None

    with django_assert_num_queries(2):  # whose number it is, which is kept, and the text's row
        assert brings(thread.number).status_code == 200
    with django_assert_num_queries(1):
        assert brings(thread.number, From="+447386172393").status_code == 200

    assert not Message.objects.exists()
    assert arrivals.take_in() == 2
    assert newest(thread).reply == "pending"


@pytest.mark.parametrize("people", [1, 10])
def test_texts_are_taken_in_with_as_many_questions_for_ten_as_for_one(
    django_assert_num_queries: Any, people: int
):
    number = PhoneNumberFactory.create(sms_reply_enabled=True)
    for body in ("Hello", "At 3?"):
        for n in range(people):
            brings(number, From=f"+44738617{n:04}", Body=body)
        if body == "Hello":
            arrivals.take_in()

    with django_assert_num_queries(15):
        assert arrivals.take_in() == people

    assert Message.objects.inbound().filter(reply="pending").count() == 2 * people


def test_a_change_to_a_number_its_agent_or_its_carrier_holds_for_the_next_text():
    thread = ThreadFactory.create(open=True)
    number: Any = thread.number
    texts_us(number, "One")

    PhoneNumber.objects.update(sms_reply_enabled=False)
    texts_us(number, "Two")
    PhoneNumber.objects.update(sms_reply_enabled=None)
    Agent.objects.update(is_active=False)
    texts_us(number, "Three")
    number.carrier_account.auth_token = "another"
    number.carrier_account.save(update_fields=["auth_token"])
    assert texts_us(number, "Four", token="the old one").status_code == 403
    texts_us(number, "Five")

    assert [(one.body, one.reply) for one in thread.messages.order_by("pk")] == [
        ("One", "pending"),
        ("Two", "off"),
        ("Three", "no_agent"),
        ("Five", "no_agent"),
    ]


@pytest.mark.django_db(transaction=True)
def test_copies_of_a_text_that_come_at_the_same_time_are_stored_once_and_stop_once():
    number = PhoneNumberFactory.create(sms_reply_enabled=True)
    sid = new_sid()

    answers = brings_all(number, [{"Body": "stop!", "MessageSid": sid}] * 8)

    assert [answer.status_code for answer in answers] == [200] * 8
    assert Message.objects.inbound().count() == 1
    assert Message.objects.filter(origin="opt_out").count() == 1
    assert Suppression.objects.count() == Thread.objects.get().unread == 1
    assert not Arrival.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_workers_beside_each_other_take_each_text_in_once_and_each_persons_in_order():
    number = PhoneNumberFactory.create(sms_reply_enabled=True)
    people = [f"+4473861723{n:02}" for n in range(10)]
    texts = [{"From": one, "Body": f"Word {n}"} for n in range(5) for one in people]
    brings_all(number, texts)

    def work(_: int) -> int:
        try:
            return arrivals.take_in()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(work, range(4)))

    taken = sum(counts) + arrivals.take_in()
    assert taken == len(texts) == Message.objects.inbound().count()
    for thread in Thread.objects.all():
        bodies = list(thread.messages.order_by("pk").values_list("body", flat=True))
        assert bodies == [f"Word {n}" for n in range(5)]
        assert thread.unread == 5


def test_a_text_with_a_wrong_signature_leaves_nothing():
    thread = ThreadFactory.create(open=True)

    assert texts_us(thread.number, "Hello", token="wrong").status_code == 403
    assert texts_us(thread.number, "Hello", AccountSid="AC" + "9" * 32).status_code == 403

    assert not Message.objects.exists()


def test_a_text_to_a_number_that_is_not_imported_is_taken_and_left():
    number = PhoneNumberFactory.create()

    answer = texts_us(number, "Hello", To="+447446999999")

    assert answer.status_code == 200
    assert not Message.objects.exists()


@pytest.mark.parametrize("body", ["STOP", "Please stop texting me"])
def test_a_stop_to_a_number_that_was_removed_counts_for_the_account_that_texted_from_it(body: str):
    thread = ThreadFactory.create(open=True)
    number, removed = thread.number, thread.our_number
    assert number is not None
    stranger = ThreadFactory.create(our_number=removed)  # had the number once, too
    Thread.objects.filter(pk=thread.pk).update(number=None)
    number.phone_number = "+447446999998"
    number.save()

    for _ in range(2):
        assert brings(number, To=removed, Body="Who is this?").status_code == 200
        assert is_suppressed(thread.account, PERSON, "text") is None
    for _ in range(2):
        assert brings(number, To=removed, Body=body).status_code == 200

    assert is_suppressed(thread.account, PERSON, "text") is not None
    assert is_suppressed(stranger.account, PERSON, "text") is None
    assert not Message.objects.exists()


def test_attachments_are_on_record():
    thread = ThreadFactory.create(open=True)

    texts_us(
        thread.number,
        "",
        NumMedia="1",
        MediaUrl0="https://api.twilio.com/media/ME1",
        MediaContentType0="image/jpeg",
    )

    assert newest(thread).media == [
        {"url": "https://api.twilio.com/media/ME1", "content_type": "image/jpeg"}
    ]


# --- who is answered ------------------------------------------------------------------------------


def test_within_the_window_a_text_waits_for_its_answer():
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "Is it still on?")

    thread.refresh_from_db()
    assert newest(thread).reply == "pending"
    assert thread.answer_due_at is not None


def test_after_the_window_a_text_is_stored_and_flagged_and_not_answered():
    thread = ThreadFactory.create(open=True, reply_until=timezone.now() - timedelta(seconds=1))

    texts_us(thread.number, "Is it still on?")

    thread.refresh_from_db()
    assert newest(thread).reply == "window_closed"
    assert thread.answer_due_at is None
    assert thread.needs_human == "The person wrote after the reply window had closed."


@pytest.mark.parametrize(("own", "reply"), [(True, "pending"), (None, "window_closed")])
def test_a_setting_makes_a_late_text_a_fresh_conversation(settings: Any, own: Any, reply: str):
    settings.SMS_ANSWER_AFTER_WINDOW = True
    thread = ThreadFactory.create(
        open=True, reply_until=timezone.now(), number__sms_reply_enabled=own
    )

    texts_us(thread.number, "Is it still on?")

    assert newest(thread).reply == reply


@pytest.mark.parametrize(
    ("own", "reply"), [(True, "pending"), (None, "unsolicited"), (False, "unsolicited")]
)
def test_who_texts_first_is_answered_only_where_the_number_says_so(own: bool | None, reply: str):
    number = PhoneNumberFactory.create(sms_reply_enabled=own)

    texts_us(number, "Do you have a table for two?")

    assert newest(thread_of(number)).reply == reply


@pytest.mark.parametrize(
    ("agents", "own", "reply"),
    [
        (True, None, "pending"),
        (False, None, "off"),
        (True, False, "off"),
        (False, True, "pending"),
    ],
)
def test_a_numbers_switch_overrides_its_agents(agents: bool, own: bool | None, reply: str):
    thread = ThreadFactory.create(
        open=True, number__sms_reply_enabled=own, number__agent__enable_sms_reply=agents
    )

    texts_us(thread.number, "Is it still on?")

    assert newest(thread).reply == reply


def test_an_inactive_agent_answers_nobody():
    thread = ThreadFactory.create(open=True)
    Agent.objects.update(is_active=False)

    texts_us(thread.number, "Is it still on?")

    assert newest(thread).reply == "no_agent"


def test_a_thread_an_operator_has_taken_is_not_answered_until_handed_back():
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")

    assert services.take_over(thread.pk, "ada") is True
    assert services.take_over(thread.pk, "bob") is False
    texts_us(thread.number, "Hello?")
    services.hand_back(thread.pk)
    texts_us(thread.number, "Anybody?")

    replies = list(thread.messages.inbound().values_list("reply", flat=True))
    assert replies == ["human", "human", "pending"]


@pytest.mark.parametrize(
    "body",
    [
        "Auto-reply: I am away.",
        "I'm driving right now - I'll get back to you later.",
        "This is an automated message. Do not reply.",
        "This number does not accept text messages",
        "Out of office until Monday",
    ],
)
def test_machines_are_not_answered(body: str):
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, body)

    assert newest(thread).reply == "automatic"


@pytest.mark.parametrize(
    "body",
    [
        "I've had no reply yet, can you help?",
        "I'm in a meeting, can we do 3 pm?",
        "I am driving right now, can you move it to 4?",
        "Are you out of office tomorrow?",
        "The number does not work when I call it",
        "This phone doesn't ring, please text me",
    ],
)
def test_a_person_who_writes_of_what_machines_write_of_is_answered(body: str):
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, body)

    assert newest(thread).reply == "pending"


def test_what_a_persons_phone_says_for_them_leaves_their_question_to_be_answered():
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "Is it still on?")
    texts_us(thread.number, "I'm driving right now - I'll get back to you later.")

    assert list(thread.messages.order_by("pk").values_list("reply", flat=True)) == [
        "pending",
        "automatic",
    ]
    thread.refresh_from_db()
    assert thread.answer_due_at is not None


@pytest.mark.parametrize("sender", ["12345", "INFO", "+12"])
def test_short_codes_and_names_are_not_answered(sender: str):
    number = PhoneNumberFactory.create(sms_reply_enabled=True)

    texts_us(number, "Your parcel is on its way.", From=sender)

    assert Message.objects.get().reply == "automatic"


def test_the_same_words_three_times_in_an_hour_are_a_machine():
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "Please choose 1 or 2.")
    MessageFactory.create(thread=thread, origin="auto_reply")
    for _ in range(2):
        texts_us(thread.number, "Please choose 1 or 2.")

    assert newest(thread).reply == "limit"
    thread.refresh_from_db()
    assert thread.answer_due_at is None
    assert not thread.messages.filter(reply="pending").exists()


def test_who_says_hello_three_times_before_anybody_answered_is_no_machine():
    thread = ThreadFactory.create(open=True)

    for _ in range(3):
        texts_us(thread.number, "Hello?")

    assert set(thread.messages.values_list("reply", flat=True)) == {"pending"}


def test_three_pictures_are_no_machine():
    thread = ThreadFactory.create(open=True)
    MessageFactory.create(thread=thread, origin="auto_reply")
    picture = {"NumMedia": "1", "MediaUrl0": "https://x", "MediaContentType0": "image/jpeg"}

    for _ in range(3):
        texts_us(thread.number, "", **picture)

    assert set(thread.messages.inbound().values_list("reply", flat=True)) == {"pending"}


def test_no_more_answers_than_the_limit_of_an_hour(settings: Any):
    settings.SMS_ANSWERS_PER_HOUR = 2
    thread = ThreadFactory.create(open=True)
    for hours in (0.5, 0.9, 2):
        MessageFactory.create(
            thread=thread,
            origin="auto_reply",
            created_at=timezone.now() - timedelta(hours=hours),
        )

    texts_us(thread.number, "And now?")

    assert newest(thread).reply == "limit"


# --- stop, start, help ----------------------------------------------------------------------------


# --- the window -----------------------------------------------------------------------------------
