from datetime import timedelta
from typing import Any

import pytest
import responses
import time_machine
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from agents.models import Note
from sms import reports, statuses
from sms.factories import MessageFactory, PartFactory, new_sid
from sms.models import Message, MessagePart, Report
from sms.tests.twilio_side import message_json, messages_url, reports_on, tells

pytestmark = pytest.mark.django_db

# What a carrier says of one text in its life, whole and with its ending.
LIVES = [
    ["queued", "sending", "sent", "delivered"],
    ["queued", "sent", "undelivered"],
    ["accepted", "queued", "failed"],
    ["queued", "sending", "sent"],  # a carrier without delivery reports
    ["sent", "delivered", "read"],
]
ENDS = {
    "delivered": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "sent": "sent",
    "read": "delivered",
}


class CallbacksTest(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(
        st.sampled_from(LIVES).flatmap(
            lambda life: st.tuples(
                st.just(life),
                st.permutations(life),
                st.lists(st.sampled_from(life), max_size=6),
            )
        )
    )
    def test_callbacks_in_every_order_and_number_end_in_the_same_true_status(
        self, told: tuple[list[str], list[str], list[str]]
    ):
        life, order, again = told
        message = MessageFactory.create(taken=True)
        part = message.parts.get()

        for word in [*order, *again]:
            code = 30003 if word in {"undelivered", "failed"} else None
            statuses.note_carriers_word(part.pk, word, code)

        assert_is_true(message, life)

    @settings(max_examples=60, deadline=None)
    @given(
        st.sampled_from(LIVES).flatmap(
            lambda life: st.tuples(
                st.just(life),
                st.permutations(life),
                st.lists(st.sampled_from(life), max_size=6),
                st.lists(st.booleans(), min_size=11, max_size=11),
                st.booleans(),
            )
        )
    )
    def test_so_do_reports_however_many_a_worker_takes_at_once(
        self, told: tuple[list[str], list[str], list[str], list[bool], bool]
    ):
        life, order, again, taken, early = told
        message = MessageFactory.create(taken=not early)
        part, sid = message.parts.get(), new_sid()
        if early:  # our request has no answer yet
            MessagePart.objects.filter(pk=part.pk).update(status="sending")

        for word, is_taken in zip([*order, *again], taken, strict=False):
            code = {"ErrorCode": "30003"} if word in {"undelivered", "failed"} else {}
            reports_on(part, word, part.carrier_sid or sid, **code)
            if is_taken:
                reports.take_in()
        reports.take_in()

        assert_is_true(message, life)
        assert not Report.objects.exists()


def assert_is_true(message: Message, life: list[str]) -> None:
    message.refresh_from_db()
    end = ENDS[life[-1]]
    assert message.status == end
    assert message.error_code == (30003 if end in {"undelivered", "failed"} else None)
    assert (message.delivered_at is not None) == (end == "delivered")
    note = Note.objects.filter(source=message.message_id)
    assert note.exists() == (end in {"sent", "delivered"})


def test_the_part_that_went_wrong_tells_why_whatever_is_heard_of_the_others_later():
    message = MessageFactory.create(part=None)
    first, second = (
        PartFactory.create(message=message, number=number, taken=True) for number in (1, 2)
    )
    PartFactory.create(message=message, number=3)

    tells(first, "undelivered", ErrorCode="30003")
    tells(second, "delivered")

    message.refresh_from_db()
    assert (message.status, message.error_code) == ("undelivered", 30003)
    assert message.error_message.startswith("The phone could not be reached")


def test_a_callback_before_our_own_answer_binds_the_text():
    message = MessageFactory.create()
    part = message.parts.get()
    MessagePart.objects.filter(pk=part.pk).update(status="sending")

    assert tells(part, "sent", sid="SM" + "1" * 32).status_code == 204
    assert statuses.bind(part.pk, "SM" + "1" * 32) is True
    assert statuses.bind(part.pk, "SM" + "2" * 32) is False

    part.refresh_from_db()
    assert (part.status, part.carrier_sid) == ("sent", "SM" + "1" * 32)


def test_old_news_is_left_with_one_question_and_no_row(django_assert_num_queries: Any):
    part = MessageFactory.create(taken=True).parts.get()
    tells(part, "delivered")

    for old in ("sent", "delivered"):
        with django_assert_num_queries(1):
            assert reports_on(part, old).status_code == 204

    assert not Report.objects.exists()
    part.refresh_from_db()
    assert part.status == "delivered"


def test_a_callback_about_another_text_changes_nothing():
    part = MessageFactory.create(taken=True).parts.get()

    assert tells(part, "delivered", sid=new_sid()).status_code == 204

    part.refresh_from_db()
    assert part.status == "queued"


@pytest.mark.parametrize("query", ["", "p=unknown", "p=%00", "q=1"])
def test_a_callback_without_a_known_token_is_refused(query: str):
    part = MessageFactory.create(taken=True).parts.get()

    assert reports_on(part, "delivered", query=query).status_code == 403

    assert not Report.objects.exists()


def test_a_callback_with_a_wrong_signature_leaves_nothing():
    part = MessageFactory.create(taken=True).parts.get()

    assert reports_on(part, "delivered", token="wrong").status_code == 403

    assert not Report.objects.exists()


def test_an_error_code_is_told_in_words():
    message = MessageFactory.create(taken=True)

    tells(message.parts.get(), "undelivered", ErrorCode="30007")

    message.refresh_from_db()
    assert (message.status, message.error_code) == ("undelivered", 30007)
    assert message.error_message == (
        "The person's carrier filtered the text as unwanted. (Twilio error 30007)"
    )


def test_a_text_whose_callback_does_not_come_is_asked_about_within_half_a_minute(telco: Any):
    message = MessageFactory.create(taken=True)
    part = message.parts.get()
    responses.get(
        messages_url(part.thread, part.carrier_sid),
        json=message_json(part.carrier_sid, status="delivered"),
    )

    assert statuses.ask_about_silent() == 0
    assert statuses.ask_about_silent(timezone.now() + timedelta(seconds=16)) == 1

    message.refresh_from_db()
    assert message.status == "delivered"
    assert statuses.ask_about_silent(timezone.now() + timedelta(hours=1)) == 0


def test_a_text_that_stays_as_it_is_is_asked_about_ever_less_often(telco: Any):
    part = MessageFactory.create(taken=True).parts.get()
    asked = responses.get(
        messages_url(part.thread, part.carrier_sid),
        json=message_json(part.carrier_sid, status="sent"),
    )
    start = timezone.now()

    for second in range(0, 80 * 3600, 600):
        with time_machine.travel(start + timedelta(seconds=second), tick=False):
            statuses.ask_about_silent()

    assert 72 < asked.call_count < 100
    part.refresh_from_db()
    assert (part.status, part.check_at) == ("sent", None)


def test_a_look_that_takes_long_leaves_the_others_to_the_next_one(
    telco: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(statuses, "RUN_AT_MOST_S", 0.0)
    for message in MessageFactory.create_batch(2, taken=True):
        part = message.parts.get()
        responses.get(messages_url(part.thread, part.carrier_sid), status=503)
    now = timezone.now() + timedelta(seconds=16)

    assert [statuses.ask_about_silent(now) for _ in range(3)] == [1, 1, 0]


def test_a_carrier_that_fails_is_asked_again(telco: Any):
    part = MessageFactory.create(taken=True).parts.get()
    responses.get(messages_url(part.thread, part.carrier_sid), status=500)

    statuses.ask_about_silent(timezone.now() + timedelta(seconds=16))

    part.refresh_from_db()
    assert part.status == "queued"
    assert part.check_at is not None


def test_with_a_token_that_is_not_valid_any_more_the_carrier_is_asked_again_later(telco: Any):
    part = MessageFactory.create(taken=True).parts.get()
    url = messages_url(part.thread, part.carrier_sid)
    responses.get(url, status=401, json={"code": 20003, "message": "Authenticate", "status": 401})
    statuses.ask_about_silent(timezone.now() + timedelta(seconds=16))

    telco.reset()
    responses.get(url, json=message_json(part.carrier_sid, status="delivered"))
    statuses.ask_about_silent(timezone.now() + timedelta(seconds=60))

    part.refresh_from_db()
    assert part.status == "delivered"


def test_a_text_that_was_deleted_at_the_carrier_is_not_asked_about_again(telco: Any):
    part = MessageFactory.create(taken=True).parts.get()
    url = messages_url(part.thread, part.carrier_sid)
    responses.get(url, status=404, json={"code": 20404, "message": "Not found", "status": 404})

    statuses.ask_about_silent(timezone.now() + timedelta(seconds=16))

    part.refresh_from_db()
    assert part.check_at is None


@pytest.mark.parametrize(
    ("origin", "code", "flag"),
    [
        ("auto_reply", 30007, "The automatic answer did not reach them."),
        ("auto_reply", 21610, ""),
        ("api", 30007, ""),
    ],
)
def test_a_person_looks_where_an_answer_did_not_get_through(origin: str, code: int, flag: str):
    told, asked = MessageFactory.create_batch(2, taken=True, origin=origin)

    tells(told.parts.get(), "undelivered", ErrorCode=str(code))
    statuses.note_carriers_word(asked.parts.get().pk, "undelivered", code)

    for message in (told, asked):
        message.thread.refresh_from_db()
        assert message.thread.needs_human == flag


def test_a_word_nobody_knows_changes_nothing():
    message = MessageFactory.create(taken=True)

    assert statuses.note_carriers_word(message.parts.get().pk, "pondering", None) is False

    assert Message.objects.get(pk=message.pk).status == "queued"
