"""A dial of which nobody knows is settled by what the carrier shows, and nobody is called for it a
second time."""

from datetime import timedelta
from typing import Any

import pytest
import requests
import time_machine
from django.utils import timezone
from django.utils.http import http_date

from accounts.suppression import is_suppressed
from agents.tests.twilio_side import form_of, knock
from calls import dialling
from calls.factories import CallFactory, DialAttemptFactory, new_sid
from calls.models import Call
from calls.tests.admitting import admit_next
from calls.tests.twilio_side import accepts_call, call_json, calls_url, token_of

pytestmark = pytest.mark.django_db

SETTLED = timedelta(seconds=601)


@pytest.fixture(autouse=True)
def _no_other_carrier(telco: Any) -> None:
    """No test here may speak to anything but the carrier it describes."""


def listed(call: Call, sid: str, *, after_s: float) -> dict[str, Any]:
    created = call.attempts.get().created_at + timedelta(seconds=after_s)
    return call_json(sid, date_created=created.strftime("%a, %d %b %Y %H:%M:%S +0000"))


@pytest.mark.parametrize("ahead_s", [-3600, -30, 30, 3600])
def test_a_call_is_found_in_the_list_of_a_carrier_whose_clock_is_not_ours(telco: Any, ahead_s: int):
    call, sid = CallFactory.create(), new_sid()
    DialAttemptFactory.create(call=call, status="unknown")
    carriers_now = timezone.now() + timedelta(seconds=ahead_s)
    telco.get(
        calls_url(call.number),
        json={"calls": [listed(call, sid, after_s=ahead_s + 1)]},
        headers={"Date": http_date(carriers_now.timestamp())},
    )

    dialling.reconcile()

    call.refresh_from_db()
    assert (call.attempts.get().status, call.carrier_sid) == ("accepted", sid)


def test_a_date_that_cannot_be_read_is_no_date(telco: Any):
    call, sid = CallFactory.create(), new_sid()
    DialAttemptFactory.create(call=call, status="unknown")
    found = [listed(call, sid, after_s=1)]
    telco.get(calls_url(call.number), json={"calls": found}, headers={"Date": "noon"})

    dialling.reconcile()

    call.refresh_from_db()
    assert call.carrier_sid == sid


def test_where_several_calls_may_be_ours_the_person_was_called(telco: Any):
    call, first, second = CallFactory.create(), new_sid(), new_sid()
    DialAttemptFactory.create(call=call, status="unknown")
    found = [listed(call, second, after_s=9), listed(call, first, after_s=2)]
    telco.get(calls_url(call.number), json={"calls": found})

    dialling.reconcile()
    assert call.attempts.get().status == "unknown"  # a callback may tell which
    with time_machine.travel(timezone.now() + SETTLED, tick=False):
        dialling.reconcile()

    call.refresh_from_db()
    assert (call.attempts.get().status, call.carrier_sid) == ("accepted", first)
    other = knock("voice", call.number, query=token_of(call), CallSid=second)
    assert b"<Hangup" in other.content


def test_what_is_doubted_now_is_given_up_no_earlier_than_at_the_next_look(telco: Any):
    call = CallFactory.create()
    assert admit_next() is not None
    telco.get(calls_url(call.number), json={"calls": []})

    with time_machine.travel(timezone.now() + timedelta(hours=8), tick=False):  # a lid was closed
        dialling.reconcile()
        assert call.attempts.get().status == "unknown"
        dialling.reconcile()

    assert call.attempts.get().status == "lost"


def test_a_carrier_that_does_not_answer_is_waited_for_once_a_look(telco: Any):
    calls = [CallFactory.create()]
    calls += CallFactory.create_batch(3, account=calls[0].account, number=calls[0].number)
    for n, call in enumerate(calls):
        call.to_number = f"+44738617239{n}"
        DialAttemptFactory.create(call=call, status="unknown")
    elsewhere = CallFactory.create()
    DialAttemptFactory.create(call=elsewhere, status="unknown")
    silent = telco.get(calls_url(calls[0].number), body=requests.ReadTimeout())
    telco.get(calls_url(elsewhere.number), json={"calls": [listed(elsewhere, "CA1", after_s=1)]})

    dialling.reconcile()

    assert silent.call_count == 1
    assert elsewhere.attempts.get().status == "accepted"


def test_one_attempt_that_cannot_be_looked_for_does_not_keep_the_others_in_doubt(telco: Any):
    bad, good, sid = CallFactory.create(), CallFactory.create(), new_sid()
    for call in (bad, good):
        DialAttemptFactory.create(call=call, status="unknown")
    telco.get(calls_url(bad.number), json=["no", "list", "of", "calls"])
    telco.get(calls_url(good.number), json={"calls": [listed(good, sid, after_s=1)]})

    dialling.reconcile()

    assert bad.attempts.get().status == "unknown"
    assert good.attempts.get().status == "accepted"


def test_a_dial_that_was_held_up_after_its_last_question_is_not_sent_late(
    telco: Any, monkeypatch: pytest.MonkeyPatch
):
    call = CallFactory.create()
    with time_machine.travel(timezone.now(), tick=False) as clock:

        def asked_for_long(*_: Any) -> None:
            clock.shift(timedelta(minutes=11))

        monkeypatch.setattr(dialling, "is_suppressed", asked_for_long)

        assert dialling.dial_next() == call.pk

    assert call.attempts.get().status == "refused"
    assert len(telco.calls) == 0


def test_trouble_with_one_call_does_not_keep_those_after_it_from_being_dialled(
    telco: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
):
    settings.CARRIER_CALLS_PER_SECOND = 1000.0
    first, second = CallFactory.create(), CallFactory.create()
    accepts_call(second.number, new_sid())

    def database_hiccups_once(account: Any, to_number: str) -> Any:
        if account == first.account:
            raise RuntimeError
        return is_suppressed(account, to_number)

    monkeypatch.setattr(dialling, "is_suppressed", database_hiccups_once)

    dialling.dial_due()

    second.refresh_from_db()
    assert second.status == "initiated"
    assert first.attempts.get().status == "pending"  # in doubt, and not asked for again
    assert dialling.dial_next() is None


def test_a_call_that_was_erased_while_the_carrier_was_asked_is_hung_up(telco: Any):
    call, sid = CallFactory.create(), new_sid()

    def account_is_closed(_: Any) -> tuple[int, dict[str, str], str]:
        Call.objects.all().delete()
        return 201, {}, f'{{"sid": "{sid}"}}'

    telco.add_callback("POST", calls_url(call.number), callback=account_is_closed)
    telco.post(calls_url(call.number, sid), json=call_json(sid))

    dialling.dial_next()

    assert form_of(telco.calls[-1].request) == {"Status": ["completed"]}


@pytest.mark.parametrize("switch", ["account", "agent", "number"])
def test_what_was_switched_off_before_the_dial_calls_nobody(telco: Any, switch: str):
    call = CallFactory.create()
    switched: Any = getattr(call, switch)
    setattr(switched, "outbound_enabled" if switch == "number" else "is_active", False)
    switched.save()

    dialling.dial_next()

    call.refresh_from_db()
    assert (call.status, call.attempts.get().status) == ("canceled", "refused")
    assert "switched off" in call.error_message
    assert len(telco.calls) == 0


@pytest.mark.parametrize("what", ["agent", "number"])
def test_what_was_removed_before_the_dial_calls_nobody(telco: Any, what: str):
    call = CallFactory.create()
    getattr(call, what).delete()

    dialling.dial_next()

    call.refresh_from_db()
    assert (call.status, call.attempts.get().status) == ("failed", "refused")
    assert "The agent or the number to call from was removed" in call.error_message
    assert len(telco.calls) == 0
