"""Stop, start and help: by whom they are understood, and what they lift."""

from typing import Any

import pytest

from accounts.models import Suppression
from accounts.suppression import is_suppressed, suppress
from sms import sending
from sms.factories import PERSON, ThreadFactory
from sms.tests.stored import newest
from sms.tests.twilio_side import sends, takes_texts, texts_us

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "body", ["STOP", "stop", " Stop ", "Unsubscribe", "END", "quit", "STOPALL", "revoke", "optout",
             "cancel"]
)  # fmt: skip
def test_on_the_carriers_keywords_everything_stops_and_we_send_nothing(body: str):
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, body)

    assert newest(thread).reply == "opt_out"
    assert not thread.messages.filter(direction="outbound").exists()
    for channel in ("voice", "text"):
        entry = is_suppressed(thread.account, PERSON, channel)
        assert entry is not None
        assert entry.source == "sms_keyword"
        assert entry.evidence["message_id"] == newest(thread).message_id


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("Stop!", "Reply START"),
        ("STOP.", "Reply START"),
        ("stop 🛑", "Reply START"),
        ("opt-out", "Reply START"),
        ("ARRÊT", "START"),
        ("Arrêter", "START"),
        ("Abmelden", "START"),
        ("BAJA", "START"),
        ("СТОП", "START"),
        ("停止", "START"),
    ],
)
def test_keywords_the_carrier_does_not_know_are_confirmed_once(body: str, answer: str, telco: Any):
    thread = ThreadFactory.create(open=True)
    takes_texts(thread)

    texts_us(thread.number, body)
    texts_us(thread.number, body)
    sending.send_due()

    assert is_suppressed(thread.account, PERSON, "text") is not None
    [sent] = sends(telco)
    assert answer in sent["Body"][0]


@pytest.mark.parametrize(
    "body",
    [
        "cancel my appointment",
        "Please stop by at two",
        "The end of the week is fine",
        "Can you help me?",
        "yes please",
        "I'll start on Monday",
    ],
)
def test_a_keyword_inside_a_sentence_is_none(body: str):
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, body)

    assert newest(thread).reply == "pending"
    assert not Suppression.objects.exists()


def test_advanced_opt_out_tells_what_the_carrier_understood():
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "no gracias", OptOutType="STOP")

    assert newest(thread).reply == "opt_out"
    assert not thread.messages.filter(direction="outbound").exists()


def test_a_suppressed_persons_texts_are_stored_and_never_answered():
    thread = ThreadFactory.create(open=True)
    suppress(thread.account, PERSON, source=Suppression.Source.SPOKEN)

    texts_us(thread.number, "What time is it again?")

    assert newest(thread).reply == "opt_out"
    thread.refresh_from_db()
    assert thread.answer_due_at is None


def test_start_lifts_what_was_entered_by_text_and_nothing_else():
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "STOP")
    suppress(thread.account, PERSON, source=Suppression.Source.CARRIER_21610)
    suppress(thread.account, PERSON, source=Suppression.Source.SPOKEN, scope="voice")

    texts_us(thread.number, "START")

    assert newest(thread).reply == "keyword"
    assert is_suppressed(thread.account, PERSON, "text") is None
    spoken = is_suppressed(thread.account, PERSON, "voice")
    assert spoken is not None
    assert spoken.source == "spoken"


def test_yes_is_an_answer_where_there_is_nothing_to_lift():
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "YES")

    assert newest(thread).reply == "pending"


def test_help_is_answered_by_the_carrier():
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "HELP")

    assert newest(thread).reply == "keyword"


def test_a_stop_takes_back_the_answer_that_was_due():
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Who is this?")

    texts_us(thread.number, "STOP")

    thread.refresh_from_db()
    assert thread.answer_due_at is None
    assert set(thread.messages.values_list("reply", flat=True)) == {"opt_out"}
