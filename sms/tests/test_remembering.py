from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.factories import NoteFactory, PhoneNumberFactory
from agents.history import memory_of
from agents.models import Note
from sms import statuses
from sms.factories import PERSON, MessageFactory, ThreadFactory
from sms.models import Message, Thread
from sms.tests.twilio_side import texts_us

pytestmark = pytest.mark.django_db


def told(thread: Thread, number: Any = None, **about: Any) -> list[str]:
    """The lines of history that an agent gets, without their days."""
    assert thread.number is not None
    assert thread.number.agent is not None
    memory = memory_of(
        thread.number.agent,
        number or thread.number,
        PERSON,
        before=timezone.now() + timedelta(seconds=1),
        **about,
    )
    lines = [line for line in memory.history.splitlines() if line.startswith("- 20")]
    return [line.partition(", ")[2] for line in lines]


def test_what_a_person_texts_is_known_in_later_calls_with_its_day_and_source():
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "Can we make it\nThursday “at 9”?")

    note = Note.objects.get()
    message = thread.messages.get()
    assert (note.person, note.kind, note.is_outbound) == (PERSON, "text", False)
    assert (note.source, note.at) == (message.message_id, message.created_at)
    assert told(thread) == ['text from them): “Can we make it Thursday "at 9"?”']


def test_what_we_text_is_known_once_the_carrier_has_sent_it_on():
    thread = ThreadFactory.create()
    message = MessageFactory.create(thread=thread, taken=True)

    statuses.note_carriers_word(message.parts.get().pk, "queued", None)
    assert told(thread) == []
    statuses.note_carriers_word(message.parts.get().pk, "sent", None)
    statuses.note_carriers_word(message.parts.get().pk, "delivered", None)

    assert told(thread) == ["text from us): “Your appointment is at 3 pm.”"]


def test_a_text_that_was_not_delivered_after_all_is_forgotten():
    thread = ThreadFactory.create()
    message = MessageFactory.create(thread=thread, taken=True)
    statuses.note_carriers_word(message.parts.get().pk, "sent", None)

    statuses.note_carriers_word(message.parts.get().pk, "undelivered", 30003)

    assert told(thread) == []
    assert not Note.objects.exists()


def test_keywords_machines_and_our_own_confirmations_are_not_remembered():
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "HELP")
    texts_us(thread.number, "This is an automated response. I am driving.")
    confirmation = MessageFactory.create(thread=thread, taken=True, origin="opt_out")
    statuses.note_carriers_word(confirmation.parts.get().pk, "sent", None)

    assert thread.messages.count() == 3
    assert not Note.objects.exists()


def test_an_attachment_without_words_is_remembered_as_one():
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "", NumMedia="1", MediaUrl0="https://x", MediaContentType0="image/png")

    assert told(thread) == ["text from them): sent a picture or file"]


def test_in_its_own_thread_a_text_is_no_history_and_through_another_number_it_is():
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Can we make it Thursday?")
    other = PhoneNumberFactory.create(account=thread.account)

    assert told(thread, in_thread=True) == []
    assert told(thread, other, in_thread=True) == ["text from them): “Can we make it Thursday?”"]


def test_a_long_exchange_of_texts_leaves_room_for_what_calls_left():
    thread = ThreadFactory.create(open=True)
    NoteFactory.create(account=thread.account, at=timezone.now() - timedelta(days=30))
    for minutes in range(40):
        NoteFactory.create(
            account=thread.account,
            kind=Note.Kind.TEXT,
            at=timezone.now() - timedelta(minutes=minutes),
            text="word " * 20,
        )

    lines = told(thread)

    assert 3 < len(lines) < 12
    assert lines[-1] == "they called us): Sarah booked a check-up for Tuesday at 2 pm."


def test_another_accounts_texts_are_not_known():
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Can we make it Thursday?")

    assert told(ThreadFactory.create(open=True)) == []


def test_a_text_brought_twice_is_remembered_once():
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "Hello", "SM" + "1" * 32)
    texts_us(thread.number, "Hello", "SM" + "1" * 32)

    assert Note.objects.count() == Message.objects.count() == 1
