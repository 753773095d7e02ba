"""The intake's own connection to the database, behind which a text is safe."""

from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection

from agents.factories import PhoneNumberFactory
from sms import intake, intake_connection
from sms.intake_connection import IntakeConnection
from sms.models import Arrival
from sms.tests.twilio_side import brings

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[IntakeConnection]:
    opened = IntakeConnection()
    monkeypatch.setattr(intake._texts, "database", opened)
    yield opened
    async_to_sync(opened.close)()


def test_a_text_is_committed_when_the_carrier_has_its_answer(database: IntakeConnection):
    number = PhoneNumberFactory.create()

    assert [brings(number, Body=f"Text {n} 🦷").status_code for n in range(3)] == [200, 200, 200]

    stored = Arrival.objects.order_by("pk").values_list("number", "body")
    assert list(stored) == [(number.pk, f"Text {n} 🦷") for n in range(3)]


def test_a_connection_that_broke_meanwhile_costs_no_text(database: IntakeConnection):
    def break_off(pid: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    async def between_two_statements() -> tuple[int, int]:
        [[before]] = await database.rows("SELECT pg_backend_pid()", [])
        await sync_to_async(break_off)(before)
        [[after]] = await database.rows("SELECT pg_backend_pid()", [])
        return before, after

    before, after = async_to_sync(between_two_statements)()

    assert before != after


def test_a_database_that_does_not_answer_is_given_up_in_time(
    database: IntakeConnection, monkeypatch: pytest.MonkeyPatch
):
    async def slow_then_quick() -> int:
        await database.rows("SELECT 1", [])  # it is open
        monkeypatch.setattr(intake_connection, "AT_MOST_S", 0.05)
        with pytest.raises(TimeoutError):
            await database.rows("SELECT pg_sleep(60)", [])
        monkeypatch.setattr(intake_connection, "AT_MOST_S", 10.0)
        [[one]] = await database.rows("SELECT 1", [])
        return int(one)

    assert async_to_sync(slow_then_quick)() == 1
