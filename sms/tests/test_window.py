"""How long after a text of ours theirs are answered."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from sms import sending, services, window
from sms.factories import PERSON, MessageFactory, ThreadFactory
from sms.models import Message, Thread
from sms.tests.stored import newest
from sms.tests.twilio_side import takes_texts, texts_us

pytestmark = pytest.mark.django_db


START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def sent_at(when: datetime, thread: Thread, telco: Any, **about: Any) -> Message:
    assert thread.number is not None
    with time_machine.travel(when, tick=False):
        message = services.send_text(
            thread.account,
            agent=about.pop("agent", thread.number.agent),
            number=thread.number,
            to_number=PERSON,
            body="Your appointment is at 3 pm.",
            origin=about.pop("origin", Message.Origin.API),
            **about,
        )
        sending.send_due()
    return message


def reply_at(when: datetime, thread: Thread) -> str:
    with time_machine.travel(when, tick=False):
        texts_us(thread.number, f"Is it still on? {when:%j %H:%M:%S}")
    return str(newest(thread).reply)


@pytest.mark.parametrize("hours", [1, 24, 720])
def test_the_window_ends_to_the_second(telco: Any, hours: int):
    thread = ThreadFactory.create(number__agent__sms_reply_window_hours=hours)
    takes_texts(thread)
    sent_at(START, thread, telco)
    end = START + timedelta(hours=hours)

    assert reply_at(end - timedelta(seconds=1), thread) == "pending"
    assert reply_at(end, thread) == "window_closed"
    thread.refresh_from_db()
    assert thread.reply_until == end


class WindowTest(TestCase):
    @hypothesis_settings(max_examples=25, deadline=None)
    @given(
        st.sampled_from([(3, 29), (10, 25), (6, 1)]),
        st.integers(0, 86_399),
        st.integers(1, 720),
        st.integers(-120, 120),
    )
    def test_a_window_is_so_many_hours_long_also_where_clocks_change(
        self, day: tuple[int, int], second: int, hours: int, off: int
    ):
        local = datetime(2026, *day, tzinfo=ZoneInfo("Europe/London")) + timedelta(seconds=second)
        sent = local.astimezone(UTC)
        thread = ThreadFactory.create()
        message = MessageFactory.create(thread=thread, reply_window_hours=hours)

        window.open_window(thread, message, sent)

        at = sent + timedelta(hours=hours, seconds=off)
        assert thread.is_open(at) == (off < 0)


def test_another_text_of_ours_starts_the_window_again(telco: Any):
    thread = ThreadFactory.create()
    takes_texts(thread)
    sent_at(START, thread, telco)
    sent_at(START + timedelta(hours=20), thread, telco, origin=Message.Origin.POST_CALL)

    assert reply_at(START + timedelta(hours=43), thread) == "pending"
    assert reply_at(START + timedelta(hours=44), thread) == "window_closed"


def test_neither_their_texts_nor_automatic_answers_start_it_again(telco: Any):
    thread = ThreadFactory.create()
    takes_texts(thread)
    sent_at(START, thread, telco)
    assert reply_at(START + timedelta(hours=23), thread) == "pending"
    sent_at(START + timedelta(hours=23), thread, telco, origin=Message.Origin.AUTO_REPLY)

    assert reply_at(START + timedelta(hours=24), thread) == "window_closed"


def test_the_thread_has_the_agent_and_context_of_the_newest_text_we_started(telco: Any):
    from agents.factories import AgentFactory

    thread = ThreadFactory.create()
    takes_texts(thread)
    other = AgentFactory.create(account=thread.account, sms_reply_window_hours=48)
    sent_at(START, thread, telco, context_prompt="Be brief.")
    sent_at(START + timedelta(hours=1), thread, telco, agent=other, context_prompt="Offer Tuesday.")

    thread.refresh_from_db()
    assert (thread.agent, thread.context_prompt) == (other, "Offer Tuesday.")
    assert thread.reply_until == START + timedelta(hours=49)


def test_a_text_that_was_refused_leaves_the_window_as_it_was(telco: Any):
    from sms.tests.twilio_side import refuses_text

    thread = ThreadFactory.create()
    takes_texts(thread)
    sent_at(START, thread, telco, context_prompt="The first.")
    telco.reset()
    refuses_text(thread, 21612)

    sent_at(START + timedelta(hours=5), thread, telco, context_prompt="The second.")

    thread.refresh_from_db()
    assert thread.reply_until == START + timedelta(hours=24)
    assert thread.context_prompt == "The first."


def test_a_window_that_has_ended_is_closed_in_lists_too():
    ended = ThreadFactory.create(open=True, reply_until=timezone.now() - timedelta(seconds=1))
    still = ThreadFactory.create(open=True)

    assert window.close_expired() == 1

    ended.refresh_from_db()
    still.refresh_from_db()
    assert (ended.window_open, still.window_open) == (False, True)
