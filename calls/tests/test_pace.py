"""Every call, whoever asked for it, has its turn at the carrier's calls per second."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from agents.factories import PhoneNumberFactory
from calls import dialling, sweeping
from calls.admission import admit
from calls.factories import CallFactory, DialAttemptFactory, new_sid
from calls.models import Call, CallEvent, DialAttempt, Pace
from calls.services import place_calls
from calls.tests.twilio_side import accepts_call

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _two_a_second(settings: Any) -> None:
    settings.CARRIER_CALLS_PER_SECOND = 2.0
    settings.MAX_CONCURRENT_CALLS = 100


def calls(how_many: int, **about: Any) -> list[Call]:
    number = about.pop("number", None) or PhoneNumberFactory.create()
    number.account.max_concurrent_calls = 100
    number.account.save()
    return [
        CallFactory.create(
            account=number.account,
            agent=number.agent,
            number=number,
            to_number=f"+44738617{n:04}",
            created_at=about.get("created_at", NOW),
        )
        for n in range(how_many)
    ]


def turns(at: datetime, at_most: int = 100) -> list[float]:
    """Seconds after ``NOW`` at which those admitted now have their turn."""
    return [(turn.at - NOW).total_seconds() for turn in admit(at_most, at)]


def test_calls_have_their_turns_at_the_carriers_pace_in_the_order_in_which_they_were_asked_for():
    asked = calls(4)

    given = admit(4, NOW)

    assert [turn.attempt.call_id for turn in given] == [call.pk for call in asked]
    assert [(turn.at - NOW).total_seconds() for turn in given] == [0, 0.5, 1, 1.5]


def test_no_turn_is_given_out_long_before_it_comes():
    calls(10)

    assert turns(NOW, 2) == [0, 0.5]
    assert turns(NOW, 2) == [1, 1.5]  # the next one is an interval and half a second away
    assert turns(NOW) == []
    assert turns(NOW + timedelta(seconds=1), 1) == [2]


def test_numbers_of_one_carrier_account_share_a_pace_and_others_do_not_wait_for_it():
    first = PhoneNumberFactory.create()
    beside = PhoneNumberFactory.create(
        account=first.account, agent=first.agent, carrier_account=first.carrier_account
    )
    elsewhere = PhoneNumberFactory.create(account=first.account, agent=first.agent)
    for number in (first, beside, elsewhere):
        calls(1, number=number)

    assert turns(NOW) == [0, 0.5, 0]


def test_a_pause_is_not_made_up_for():
    calls(1)
    turns(NOW)
    later = NOW + timedelta(hours=1)
    asked = calls(3, number=Call.objects.get().number, created_at=later)
    Call.objects.filter(pk__in=[call.pk for call in asked]).update(to_number=F("call_id"))

    assert turns(later) == [3600, 3600.5, 3601]


def test_a_worker_that_was_late_makes_up_for_a_second():
    calls(5)
    assert turns(NOW, 1) == [0]

    assert turns(NOW + timedelta(seconds=0.7), 1) == [0.5]
    assert turns(NOW + timedelta(seconds=60), 2) == [59, 59.5]


def test_an_account_gets_no_more_lines_at_once_than_it_has():
    number = PhoneNumberFactory.create()
    calls(5, number=number)
    number.account.max_concurrent_calls = 2
    number.account.save()

    assert len(admit(5, NOW)) == 2
    assert admit(5, NOW) == []


def test_of_two_calls_to_one_person_only_the_first_is_dialled_at_once():
    one = CallFactory.create()
    CallFactory.create(account=one.account, number=one.number)

    assert [turn.attempt.call for turn in admit(2)] == [one]


def test_an_attempt_whose_turn_was_missed_is_put_back_and_the_carrier_not_asked(telco: Any):
    call = CallFactory.create()
    with time_machine.travel(NOW, tick=False):
        (turn,) = admit(1)

    with time_machine.travel(NOW + timedelta(seconds=11), tick=False):
        dialling._take(turn)
        call.refresh_from_db()

        assert call.status == "queued"
        assert call.attempts.get().status == "refused"
        assert len(telco.calls) == 0
        assert admit(1)[0].attempt.number == 2


def test_a_person_whose_hours_end_before_their_turn_comes_is_not_called(telco: Any):
    call = CallFactory.create(dial_before=NOW + timedelta(seconds=1))
    with time_machine.travel(NOW, tick=False):
        (turn,) = admit(1)

    with time_machine.travel(NOW + timedelta(seconds=1), tick=False):
        dialling._take(turn)
        assert call.attempts.get().status == "refused"
        assert sweeping.cancel_too_late() == 1

    call.refresh_from_db()
    assert (call.status, len(telco.calls)) == ("canceled", 0)


def test_one_run_dials_all_that_wait(telco: Any, settings: Any):
    settings.CARRIER_CALLS_PER_SECOND = 200.0
    for call in (CallFactory.create(), CallFactory.create()):
        accepts_call(call.number, new_sid())

    assert dialling.dial_due() == 2
    assert dialling.dial_due() == 0


def test_thirty_calls_a_second_cost_at_most_six_queries_each_to_dial(telco: Any, settings: Any):
    settings.CARRIER_CALLS_PER_SECOND = 30.0
    number = PhoneNumberFactory.create()
    number.account.max_concurrent_calls = 100
    number.account.save()
    assert number.agent is not None
    asked = [Call(to_number=f"+44738617{n:04}") for n in range(10)]
    for _ in asked:
        accepts_call(number, new_sid())

    with CaptureQueriesContext(connection) as captured:
        place_calls(number.account, agent=number.agent, number=number, asked=asked)
        dialling.dial_due()

    queries = [one for one in captured if not one["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(queries) <= 54  # a tenth for the dispatcher's own
    assert Call.objects.filter(status="initiated").count() == 10
    assert Pace.objects.count() == 1
    assert CallEvent.objects.filter(kind="accepted").count() == 10
    assert set(DialAttempt.objects.values_list("status", flat=True)) == {"accepted"}


def test_the_carriers_answer_does_not_take_an_attempt_that_a_callback_settled():
    call = CallFactory.create(dialled=True)
    attempt = call.attempts.get()

    assert dialling._accept_answer(attempt, attempt.carrier_sid) is False

    call.refresh_from_db()
    assert call.events.filter(kind="accepted").count() == 0


def test_the_sid_of_another_call_is_not_taken():
    other = CallFactory.create(dialled=True)
    attempt = DialAttemptFactory.create()

    dialling._accept_answer(attempt, other.carrier_sid)

    attempt.refresh_from_db()
    assert attempt.status == "pending"


def test_a_turn_that_a_wrong_clock_gave_out_holds_nobody_up():
    calls(3)
    assert turns(NOW, 1) == [0]
    Pace.objects.update(next_at=NOW + timedelta(days=1))

    assert turns(NOW, 2) == [0, 0.5]
    assert Pace.objects.get().next_at == NOW + timedelta(seconds=1)
