"""Stop, start and help: by whom they are understood, and what they lift."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Suppression
from accounts.suppression import is_suppressed, suppress
from sms import inbound, sending
from sms.factories import PERSON, ThreadFactory, new_sid
from sms.models import Arrival, Thread
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
        ("STOP STOP STOP!!!", "Reply START"),
        ("Stoooppp", "Reply START"),
        ("Stop this now", "Reply START"),
        ("STOP MESSAGES", "Reply START"),
        ("I said STOP!", "Reply START"),
        ("I told you to stop", "Reply START"),
        ("No thanks, stop", "Reply START"),
        ("Not interested. Stop.", "Reply START"),
        ("Wrong number, please remove me", "Reply START"),
        ("Please unsubscribe", "Reply START"),
        ("opt-out", "Reply START"),
        ("ARRÊT", "Répondez START"),
        ("Arrêter", "Répondez START"),
        ("Stop SMS svp", "Reply START"),
        ("Désinscription", "Répondez START"),
        ("Abmelden", "Mit START"),
        ("Bitte stoppen", "Mit START"),
        ("BAJA", "Responda START para deshacerlo"),
        ("Sair", "Responda START para anular"),
        ("Cancellami", "Risponda START"),
        ("Uitschrijven a.u.b.", "Met START"),
        ("Rezygnuję", "START cofa"),
        ("СТОП", "Reply START"),
        ("إلغاء", "Reply START"),
        ("停止", "Reply START"),
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
        "stop by at 5?",
        "I can't stop laughing",
        "This stop?",
        "I told you not to stop",
        "No baja",
        "Please cancel",
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


def test_stop_and_start_are_meant_for_either_spelling_of_a_number():
    written, listed = "+5215512345678", "+525512345678"
    thread = ThreadFactory.create(open=True, their_number=written)

    texts_us(thread.number, "STOP", From=written)
    assert is_suppressed(thread.account, listed, "text") is not None
    assert is_suppressed(thread.account, listed, "voice") is not None
    texts_us(thread.number, "Is it still on?", From=listed)
    unanswered = Thread.objects.get(their_number=listed)
    assert newest(unanswered).reply == "opt_out"
    texts_us(thread.number, "START", From=listed)

    assert newest(unanswered).reply == "keyword"
    for spelling in (written, listed):
        assert is_suppressed(thread.account, spelling, "text") is None


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


@pytest.mark.parametrize("form", [{}, {"OptOutType": "START"}])
def test_yes_lifts_what_the_carrier_forbade_but_no_refusal_in_words(form: dict[str, str]):
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "STOP")
    texts_us(thread.number, "YES", **form)
    assert is_suppressed(thread.account, PERSON, "text") is None

    texts_us(thread.number, "Please do not text me again")  # confirmed: "You will not hear …"
    texts_us(thread.number, "Yes", **form)

    entry = is_suppressed(thread.account, PERSON, "text")
    assert entry is not None
    assert entry.source == "sms_plain"
    assert newest(thread).reply == "opt_out"


def test_who_was_told_that_they_hear_no_more_is_not_told_again(telco: Any):
    thread = ThreadFactory.create(open=True)
    takes_texts(thread)

    for body in ("ARRÊT", "Ne m'appelez plus", "STOP", "Take me off your list!"):
        texts_us(thread.number, body)
    sending.send_due()

    assert len(sends(telco)) == 1
    sources = set(Suppression.objects.values_list("source", flat=True))
    assert sources == {"sms_keyword", "sms_plain"}


def found_late(thread: Thread, body: str, minutes_ago: int) -> None:
    """The carrier's list has a text that no webhook brought."""
    assert thread.number is not None
    at = timezone.now() - timedelta(minutes=minutes_ago)
    inbound.receive(
        Arrival(number=thread.number, carrier_sid=new_sid(), from_number=PERSON, body=body, at=at)
    )


@pytest.mark.parametrize("stop", ["STOP", "Stop texting me!"])
def test_a_stop_that_is_found_after_a_later_start_enters_nobody(stop: str):
    thread = ThreadFactory.create(open=True)
    found_late(thread, "START", minutes_ago=5)

    found_late(thread, stop, minutes_ago=10)

    assert not Suppression.objects.exists()
    assert not thread.messages.filter(direction="outbound").exists()


@pytest.mark.parametrize("again", ["STOP", "Stop texting me!"])
def test_a_start_between_two_stops_that_is_found_last_lifts_nothing(again: str):
    thread = ThreadFactory.create(open=True)
    found_late(thread, "STOP", minutes_ago=20)
    found_late(thread, again, minutes_ago=5)

    found_late(thread, "START", minutes_ago=10)

    assert is_suppressed(thread.account, PERSON, "text") is not None
