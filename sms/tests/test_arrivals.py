"""Texts between the carrier's knock and their conversation: whoever dies, each is stored once."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.db import OperationalError
from django.utils import timezone

from accounts.suppression import is_suppressed
from agents.factories import PhoneNumberFactory
from sms import arrivals, inbound, intake, nudges, tasks
from sms.factories import PERSON, ThreadFactory, new_sid
from sms.models import Arrival, Message, Thread
from sms.tests.twilio_side import brings, brings_all, post

pytestmark = pytest.mark.django_db
OTHER = "+447386172393"


class Killed(BaseException):
    """Nothing handles it, as SIGKILL."""


def dies(*_: Any, **__: Any) -> Any:
    raise Killed


def fails(*_: Any, **__: Any) -> Any:
    raise OperationalError


def bodies_of(person: str = PERSON) -> list[str]:
    texts = Message.objects.inbound().filter(from_number=person).order_by("pk")
    return list(texts.values_list("body", flat=True))


# --- deaths ---------------------------------------------------------------------------------------


def test_a_text_is_stored_once_however_often_and_whenever_it_is_brought():
    number = PhoneNumberFactory.create(sms_reply_enabled=True)
    sid = new_sid()

    for _ in range(2):  # the web process died between its commit and its answer
        assert brings(number, MessageSid=sid).status_code == 200
    assert Arrival.objects.count() == 1
    arrivals.take_in()
    assert brings(number, MessageSid=sid).status_code == 200  # and the worker was quicker
    arrivals.take_in()

    assert bodies_of() == ["Hello"]
    assert Thread.objects.get().unread == 1
    assert not Arrival.objects.exists()


@pytest.mark.parametrize("at", ["sms.inbound.look", "sms.news.tell_received", "sms.nudges.answer"])
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_while_it_takes_texts_in_loses_none_and_stores_none_twice(
    monkeypatch: pytest.MonkeyPatch, at: str
):
    number = PhoneNumberFactory.create(sms_reply_enabled=True)
    brings_all(number, [{"Body": "One"}, {"Body": "Two", "From": OTHER}])
    with monkeypatch.context() as patched:
        patched.setattr(at, dies)
        with pytest.raises(Killed):
            arrivals.take_in()
    committed = at == "sms.nudges.answer"  # it died behind its commit
    assert Message.objects.count() == (2 if committed else 0)

    arrivals.take_in()

    assert (bodies_of(), bodies_of(OTHER)) == (["One"], ["Two"])
    assert {thread.unread for thread in Thread.objects.all()} == {1}
    assert Thread.objects.filter(answer_due_at__isnull=False).count() == 2
    assert not Arrival.objects.exists()


def test_what_comes_while_texts_are_taken_in_is_left_to_its_own_nudges_run(
    monkeypatch: pytest.MonkeyPatch,
):
    number, receive_all = PhoneNumberFactory.create(), inbound.receive_all
    brings_all(number, [{"Body": "One"}, {"Body": "Two"}])  # of one person: one after the other

    def and_meanwhile(arrived: Any) -> Any:
        brings(number, Body="Three", From=OTHER)
        return receive_all(arrived)

    monkeypatch.setattr(inbound, "receive_all", and_meanwhile)
    assert arrivals.take_in() == 2
    assert (bodies_of(), bodies_of(OTHER)) == (["One", "Two"], [])

    monkeypatch.setattr(inbound, "receive_all", receive_all)
    assert arrivals.take_in() == 2
    assert bodies_of(OTHER) == ["Three", "Three"]


def test_what_a_lost_nudge_left_is_swept_up(monkeypatch: pytest.MonkeyPatch):
    thread = ThreadFactory.create(open=True)
    assert thread.number is not None
    monkeypatch.setattr(nudges, "take_in", fails)

    assert brings(thread.number).status_code == 200
    tasks.sweep()

    assert bodies_of() == ["Hello"]


def test_a_text_that_could_not_be_committed_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch):
    number = PhoneNumberFactory.create()
    monkeypatch.setattr(intake._texts, "_store", fails)

    assert brings(number).status_code == 500

    assert not Arrival.objects.exists()


def test_a_number_that_moved_to_another_owner_keeps_nothing_of_the_first():
    number = PhoneNumberFactory.create()
    brings(number)  # known here now
    phone_number = number.phone_number
    number.delete()
    again = PhoneNumberFactory.create(phone_number=phone_number)

    assert brings(again).status_code == 200

    assert Arrival.objects.get().number == again


# --- one that cannot be taken in ------------------------------------------------------------------


def test_a_text_that_cannot_be_taken_in_holds_up_its_own_persons_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
):
    number = PhoneNumberFactory.create(sms_reply_enabled=True)
    for form in ({"Body": "Bad"}, {"Body": "Two", "From": OTHER}, {"Body": "Later"}):
        brings(number, **form)
    settle = inbound._settle

    def may_fail(arrival: Arrival, sight: Any) -> Message:
        return fails() if arrival.body == "Bad" else settle(arrival, sight)

    with monkeypatch.context() as patched:
        patched.setattr(inbound, "_settle", may_fail)
        assert arrivals.take_in() == 1
        assert (bodies_of(), bodies_of(OTHER)) == ([], ["Two"])
        assert arrivals.take_in() == 0

    with time_machine.travel(timezone.now() + timedelta(seconds=3)):
        assert arrivals.take_in() == 2
    assert bodies_of() == ["Bad", "Later"]


# --- what takes effect at once --------------------------------------------------------------------


@pytest.mark.parametrize("body", ["STOP", "Arrêt", "Please do not text me again"])
def test_who_says_stop_is_in_the_ledger_before_the_carrier_has_its_answer(body: str):
    thread = ThreadFactory.create(open=True)
    number: Any = thread.number
    brings(number, Body="How much is it?")  # no worker has had time for it

    brings(number, Body=body)

    assert is_suppressed(thread.account, PERSON, "text") is not None
    assert bodies_of() == [body]
    arrivals.take_in()
    assert set(Message.objects.inbound().values_list("reply", flat=True)) == {"opt_out"}
    thread.refresh_from_db()
    assert thread.answer_due_at is None


def test_a_stop_that_could_not_take_effect_at_once_has_its_turn(monkeypatch: pytest.MonkeyPatch):
    thread = ThreadFactory.create(open=True)
    assert thread.number is not None

    with monkeypatch.context() as patched:
        patched.setattr(intake, "take_in_now", fails)
        assert brings(thread.number, Body="STOP").status_code == 200
    assert is_suppressed(thread.account, PERSON, "text") is None
    arrivals.take_in()

    assert is_suppressed(thread.account, PERSON, "text") is not None


# --- what is no text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("GET", b"", 405),
        ("POST", b"Body=" + b"x" * 70_000, 413),
        ("POST", b"", 403),
        ("POST", b"MessageSid=SM1&To=%2B447446000000&Body=Hello", 403),
        ("POST", b"MessageSid=SM1&Body=%00", 403),
        ("POST", b"\xff\xfe", 403),
    ],
)
def test_what_no_carrier_sent_leaves_nothing(method: str, body: bytes, status: int):
    PhoneNumberFactory.create(phone_number="+447446000000")

    answer = async_to_sync(post)(body, "wrong", method)

    assert answer.status_code == status
    assert answer.content == b""
    assert answer["x-request-id"].startswith("req_")
    assert not Arrival.objects.exists()
