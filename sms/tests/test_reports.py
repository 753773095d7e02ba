"""The carrier's reports between its knock and the text's record: whoever dies, each is merged."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.db import OperationalError, connection
from django.utils import timezone

from accounts.factories import CarrierAccountFactory
from agents.models import PhoneNumber
from sms import intake, knocks, nudges, reports, statuses, tasks
from sms.factories import MessageFactory, ThreadFactory, new_sid
from sms.knocks import Knock
from sms.models import Message, MessagePart, Report, Thread
from sms.tests.djangos_connection import DjangosConnection
from sms.tests.twilio_side import reports_on
from webhooks.factories import EndpointFactory
from webhooks.models import Event

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """Nothing handles it, as SIGKILL."""


def dies(*_: Any, **__: Any) -> Any:
    raise Killed


def fails(*_: Any, **__: Any) -> Any:
    raise OperationalError


def told() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("type", flat=True))


# --- deaths ---------------------------------------------------------------------------------------


def test_a_report_is_committed_before_the_carrier_has_its_answer_and_nothing_else_is(
    django_assert_num_queries: Any,
):
    part = MessageFactory.create(taken=True).parts.get()
    assert part.thread.number is not None
    assert part.thread.number.carrier_account is not None  # loaded

    with django_assert_num_queries(2):  # whose part it is, and the report's row
        assert reports_on(part, "delivered").status_code == 204

    report = Report.objects.get()
    assert (report.part, report.carrier_sid, report.word) == (part, part.carrier_sid, "delivered")
    part.refresh_from_db()
    assert part.status == "queued"


@pytest.mark.parametrize(
    "at",
    ["sms.reports._bound", "sms.news.tell", "sms.reports._store", "sms.reports._remember"],
)
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_while_it_merges_loses_no_report_and_tells_nobody_twice(
    monkeypatch: pytest.MonkeyPatch, at: str
):
    message = MessageFactory.create(taken=True)
    EndpointFactory.create(account=message.account)
    part = message.parts.get()
    reports_on(part, "sent")
    reports_on(part, "delivered")
    with monkeypatch.context() as patched:
        patched.setattr(at, dies)
        with pytest.raises(Killed):
            reports.take_in()
    assert (Report.objects.count(), told()) == (2, [])
    assert Message.objects.get().status == "queued"

    reports.take_in()
    reports.take_in()

    assert told() == ["sms.sent", "sms.delivered"]
    assert Message.objects.get().status == "delivered"
    assert not Report.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_behind_its_commit_has_written_the_news_with_the_status(
    monkeypatch: pytest.MonkeyPatch,
):
    message = MessageFactory.create(taken=True)
    EndpointFactory.create(account=message.account)
    reports_on(message.parts.get(), "delivered")
    with monkeypatch.context() as patched:
        patched.setattr("webhooks.outbox.current_app.send_task", dies)
        with pytest.raises(Killed):
            reports.take_in()

    assert Message.objects.get().status == "delivered"
    assert told() == ["sms.delivered"]  # beat delivers it
    assert not Report.objects.exists()


def test_what_a_lost_nudge_left_is_swept_up(monkeypatch: pytest.MonkeyPatch):
    part = MessageFactory.create(taken=True).parts.get()
    monkeypatch.setattr(nudges, "take_in", fails)

    assert reports_on(part, "delivered").status_code == 204
    tasks.sweep()

    assert Message.objects.get().status == "delivered"


def test_a_report_that_could_not_be_committed_is_not_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
):
    part = MessageFactory.create(taken=True).parts.get()
    monkeypatch.setattr(intake._reports, "_store", fails)

    assert reports_on(part, "delivered").status_code == 500

    assert not Report.objects.exists()


def test_a_report_that_cannot_be_merged_holds_up_no_other(monkeypatch: pytest.MonkeyPatch):
    messages = [MessageFactory.create(taken=True, body=body) for body in ("Good", "Bad", "Good")]
    for message in messages:
        reports_on(message.parts.get(), "delivered")
    settle = statuses.settle

    def may_fail(message: Message, parts: Any) -> Any:
        return fails() if message.body == "Bad" else settle(message, parts)

    with monkeypatch.context() as patched:
        patched.setattr(reports, "settle", may_fail)
        assert reports.take_in() == 2
        assert reports.take_in() == 0
    assert list(Message.objects.order_by("pk").values_list("status", flat=True)) == [
        "delivered",
        "queued",
        "delivered",
    ]

    with time_machine.travel(timezone.now() + timedelta(seconds=3)):
        assert reports.take_in() == 1
    assert Message.objects.get(body="Bad").status == "delivered"


# --- many at once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("texts", [1, 10])
def test_reports_on_ten_texts_cost_as_many_questions_as_on_one(
    django_assert_num_queries: Any, texts: int
):
    thread = ThreadFactory.create()
    parts = [MessageFactory.create(taken=True, thread=thread).parts.get() for _ in range(texts)]
    for part in parts:
        reports_on(part, "sent")
        reports_on(part, "delivered")

    with django_assert_num_queries(13):
        assert reports.take_in() == 2 * texts

    assert Message.objects.filter(status="delivered").count() == texts


@pytest.mark.django_db(transaction=True)
def test_workers_beside_each_other_merge_every_report():
    endpoint = EndpointFactory.create()
    thread = ThreadFactory.create(account=endpoint.account)
    parts = [MessageFactory.create(taken=True, thread=thread).parts.get() for _ in range(12)]
    for word in ("delivered", "sent"):
        for part in parts:
            reports_on(part, word)

    def work(_: int) -> int:
        try:
            return reports.take_in()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(8))) == 24

    assert Message.objects.filter(status="delivered").count() == 12
    assert told().count("sms.delivered") == 12


def test_a_text_in_parts_is_told_of_when_all_have_arrived_and_waits_no_more_when_one_has_not():
    message = MessageFactory.create(taken=True)
    EndpointFactory.create(account=message.account)
    first = message.parts.get()
    second = MessagePart.objects.create(
        message=message, thread=message.thread, number=2, body="…", status="waiting"
    )
    reports_on(first, "delivered")
    reports.take_in()
    assert told() == []

    with time_machine.travel(timezone.now() + timedelta(seconds=1)):
        Message.objects.update(status="queued")
        MessagePart.objects.filter(pk=first.pk).update(status="sent")
        reports_on(first, "undelivered", ErrorCode="30003")
        reports.take_in()

    second.refresh_from_db()
    assert second.status == "failed"
    assert second.error_message.startswith("Not sent, because an earlier part")
    assert told() == ["sms.undelivered"]
    body = json.loads(Event.objects.get().body)
    assert (body["status"], body["error_code"]) == ("undelivered", 30003)


def test_a_report_on_a_text_that_was_erased_meanwhile_is_gone_with_it():
    message = MessageFactory.create(taken=True)
    reports_on(message.parts.get(), "delivered")

    message.delete()

    assert reports.take_in() == 0


def test_a_report_through_a_number_that_was_removed_still_counts():
    message = MessageFactory.create(taken=True)
    part = message.parts.get()
    number: Any = part.thread.number
    type(number).objects.filter(pk=number.pk).delete()

    assert reports_on(part, "delivered", new_sid()).status_code == 204
    assert reports_on(part, "delivered").status_code == 204
    reports.take_in()

    assert Message.objects.get().status == "delivered"


def test_who_is_erased_as_a_report_comes_costs_no_other_its_report(monkeypatch: pytest.MonkeyPatch):
    gone, other = (MessageFactory.create(taken=True).parts.get() for _ in range(2))
    brought = [
        Knock(
            intake.REPORTS,
            f"p={part.token}",
            {
                "MessageSid": part.carrier_sid,
                "MessageStatus": "delivered",
                "AccountSid": part.thread.number.carrier_account.sid,  # type: ignore[union-attr]
            },
            "",
        )
        for part in (gone, other)
    ]

    class ErasesInBetween(DjangosConnection):
        async def rows(self, statement: str, values: Any) -> list[tuple[Any, ...]]:
            if statement == knocks._STORE_REPORTS:
                await Thread.objects.filter(pk=gone.thread_id).adelete()
            return await super().rows(statement, values)

    monkeypatch.setattr(Knock, "is_signed", lambda *_: True)

    async_to_sync(knocks.store_reports)(brought, ErasesInBetween())

    assert [report.part_id for report in Report.objects.all()] == [other.pk]


def test_a_report_from_the_carrier_account_that_a_number_was_moved_from_still_counts():
    part = MessageFactory.create(taken=True).parts.get()
    number = part.thread.number
    assert number is not None
    before = number.carrier_account
    elsewhere = CarrierAccountFactory.create(account=part.thread.account)
    PhoneNumber.objects.update(carrier_account=elsewhere)

    answer = reports_on(part, "delivered", token=before.auth_token, AccountSid=before.sid)
    reports.take_in()

    part.refresh_from_db()
    assert (answer.status_code, part.status) == (204, "delivered")
    stranger = CarrierAccountFactory.create()
    refused = reports_on(part, "failed", token=stranger.auth_token, AccountSid=stranger.sid)
    assert refused.status_code == 403
