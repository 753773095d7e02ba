import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
import time_machine
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.factories import AccountFactory
from agents.factories import AgentFactory
from agents.tests.twilio_side import form_of, knock
from calls import dialling, services
from calls.factories import CallFactory, DialAttemptFactory, new_sid
from calls.lines import lines
from calls.models import Call, DialAttempt
from calls.tests.admitting import admit_next
from calls.tests.twilio_side import accepts_call, call_json, calls_url, refuses_call, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_other_carrier(telco: Any) -> None:
    """No test here may speak to anything but the carrier it describes."""


def attempt_of(call: Call) -> DialAttempt:
    return call.attempts.get()


def creates(telco: Any) -> int:
    return sum(call.request.method == "POST" for call in telco.calls)


def test_a_queued_call_is_dialled_with_a_token_in_every_callback(telco: Any, settings: Any):
    call, sid = CallFactory.create(), new_sid()
    accepts_call(call.number, sid)

    assert dialling.dial_next() == call.pk

    call.refresh_from_db()
    attempt = attempt_of(call)
    assert (call.status, call.carrier_sid) == ("initiated", sid)
    assert (attempt.status, attempt.carrier_sid) == ("accepted", sid)
    form = form_of(telco.calls[0].request)
    assert form["Url"] == [f"{settings.PUBLIC_URL}/twilio/voice/?a={attempt.token}"]
    assert form["StatusCallback"] == [f"{settings.PUBLIC_URL}/twilio/status/?a={attempt.token}"]
    assert form["AsyncAmdStatusCallback"] == [
        f"{settings.PUBLIC_URL}/twilio/amd/?a={attempt.token}"
    ]
    assert form["TimeLimit"] == ["660"]


def test_the_attempt_is_on_record_before_the_carrier_is_asked(telco: Any):
    call = CallFactory.create()
    seen = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        seen.append(attempt_of(call).status)
        return 201, {}, '{"sid": "CA1"}'

    telco.add_callback("POST", calls_url(call.number), callback=answer)

    dialling.dial_next()

    assert seen == ["pending"]


def test_an_agent_without_amd_asks_for_none(telco: Any):
    call = CallFactory.create(agent__amd_enabled=False)
    accepts_call(call.number, new_sid())

    dialling.dial_next()

    assert "MachineDetection" not in form_of(telco.calls[0].request)


def test_a_doubled_task_dials_once(telco: Any):
    call = CallFactory.create()
    accepts_call(call.number, new_sid())

    assert dialling.dial_next() == call.pk
    assert dialling.dial_next() is None

    assert creates(telco) == 1


@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_time_dial_each_call_once(telco: Any):
    account = AccountFactory.create(max_concurrent_calls=3)
    calls = [CallFactory.create(account=account) for _ in range(5)]
    telco.add_callback(
        "POST",
        re.compile(r".*/Calls\.json"),
        callback=lambda _: (201, {}, f'{{"sid": "{new_sid()}"}}'),
    )

    def work(_: int) -> int | None:
        try:
            return dialling.dial_next()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as workers:
        dialled = [pk for pk in workers.map(work, range(8)) if pk]

    assert sorted(dialled) == [call.pk for call in calls[:3]]
    assert creates(telco) == 3


@pytest.mark.parametrize(
    "answer",
    [
        {"body": requests.ReadTimeout()},
        {"body": requests.ConnectionError("reset")},
        {"status": 500},
        {"status": 502, "body": "<html>"},
    ],
)
def test_an_ambiguous_dial_is_never_sent_again(telco: Any, answer: dict[str, Any]):
    call = CallFactory.create()
    telco.post(calls_url(call.number), **answer)
    telco.get(calls_url(call.number), json={"calls": []})

    dialling.dial_next()
    for minutes in (1, 5, 11, 60):
        with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=False):
            dialling.reconcile()
            assert dialling.dial_next() is None

    assert creates(telco) == 1
    call.refresh_from_db()
    assert (attempt_of(call).status, call.status, call.ended_reason) == ("lost", "failed", "failed")
    assert "Not tried again" in call.error_message


def test_while_the_outcome_is_unknown_the_line_stays_taken(telco: Any):
    account = AccountFactory.create(max_concurrent_calls=1)
    call = CallFactory.create(account=account)
    CallFactory.create(account=account)
    telco.post(calls_url(call.number), status=500)

    dialling.dial_next()

    assert attempt_of(call).status == "unknown"
    assert dialling.dial_next() is None


def test_a_late_callback_settles_an_unknown_dial(telco: Any):
    call, sid = CallFactory.create(), new_sid()
    telco.post(calls_url(call.number), body=requests.ReadTimeout())
    dialling.dial_next()

    answer = knock("status", call.number, query=token_of(call), CallSid=sid, CallStatus="ringing")

    assert answer.status_code == 204
    call.refresh_from_db()
    assert (attempt_of(call).status, call.status, call.carrier_sid) == ("accepted", "ringing", sid)


def test_a_callback_that_overtakes_the_answer_is_the_same_call(telco: Any):
    call, sid = CallFactory.create(), new_sid()

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        knock("status", call.number, query=token_of(call), CallSid=sid, CallStatus="ringing")
        return 201, {}, f'{{"sid": "{sid}"}}'

    telco.add_callback("POST", calls_url(call.number), callback=answer)

    dialling.dial_next()

    call.refresh_from_db()
    assert (attempt_of(call).status, call.status, call.carrier_sid) == ("accepted", "ringing", sid)


def _listed(call: Call, sid: str, *, after_s: int = 1) -> dict[str, Any]:
    created = attempt_of(call).created_at + timedelta(seconds=after_s)
    return call_json(sid, date_created=created.strftime("%a, %d %b %Y %H:%M:%S +0000"))


def test_the_carriers_list_settles_an_unknown_dial(telco: Any):
    call, sid = CallFactory.create(), new_sid()
    DialAttemptFactory.create(call=call, status="unknown")
    telco.get(calls_url(call.number), json={"calls": [_listed(call, sid)]})

    dialling.reconcile()

    call.refresh_from_db()
    assert (attempt_of(call).status, call.status, call.carrier_sid) == (
        "accepted",
        "initiated",
        sid,
    )


def test_a_listed_call_that_is_another_ones_settles_nothing(telco: Any):
    call = CallFactory.create()
    DialAttemptFactory.create(call=call, status="unknown")
    other = CallFactory.create(over=True)
    much_later = _listed(call, new_sid(), after_s=120)
    telco.get(
        calls_url(call.number), json={"calls": [_listed(call, other.carrier_sid), much_later]}
    )

    dialling.reconcile()

    assert attempt_of(call).status == "unknown"


def test_two_listed_calls_for_one_unknown_dial_settle_nothing(telco: Any):
    call = CallFactory.create()
    DialAttemptFactory.create(call=call, status="unknown")
    listed = [_listed(call, new_sid()), _listed(call, new_sid())]
    telco.get(calls_url(call.number), json={"calls": listed})

    dialling.reconcile()

    assert attempt_of(call).status == "unknown"


def test_nothing_is_given_up_while_the_carrier_does_not_answer(telco: Any):
    call = CallFactory.create()
    DialAttemptFactory.create(call=call, status="unknown")
    telco.get(calls_url(call.number), status=503)

    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        dialling.reconcile()

    assert attempt_of(call).status == "unknown"


def test_a_dead_processs_dial_that_cannot_be_doubted_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
):
    broken, other = DialAttemptFactory.create(), DialAttemptFactory.create()
    doubt = dialling.doubt_outcome

    def breaks_on_the_first(attempt_pk: int, why: str) -> None:
        if attempt_pk == broken.pk:
            raise DatabaseError("deadlock detected")
        doubt(attempt_pk, why)

    monkeypatch.setattr(dialling, "doubt_outcome", breaks_on_the_first)
    dialling.reconcile(timezone.now() + timedelta(seconds=61))

    assert (attempt_of(broken.call).status, attempt_of(other.call).status) == ("pending", "unknown")


def test_a_dial_whose_process_died_is_unknown_and_not_sent_again(telco: Any):
    call = CallFactory.create()
    admit_next()  # and then the worker is killed
    telco.get(calls_url(call.number), json={"calls": []})

    dialling.reconcile()
    assert attempt_of(call).status == "pending"
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=False):
        dialling.reconcile()
        assert dialling.dial_next() is None

    assert attempt_of(call).status == "unknown"
    assert creates(telco) == 0


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (21211, 400, "not a valid telephone number"),
        (20003, 401, "Import it again"),
        (21215, 400, "geographic permissions"),
        (99999, 400, "The carrier refused the call"),
    ],
)
def test_a_refusal_fails_the_call_in_words(telco: Any, code: int, status: int, words: str):
    call = CallFactory.create()
    refuses_call(call.number, code, status)

    dialling.dial_next()

    call.refresh_from_db()
    assert (call.status, call.ended_reason, call.error_code) == ("failed", "failed", code)
    assert words in call.error_message
    assert attempt_of(call).status == "refused"


def test_a_carrier_that_cannot_be_reached_is_tried_later_and_not_for_ever(telco: Any):
    call = CallFactory.create()
    telco.post(calls_url(call.number), body=requests.ConnectTimeout())
    now = timezone.now()

    for pause in (0, *dialling.PAUSES_S):
        now += timedelta(seconds=pause)
        with time_machine.travel(now, tick=False):
            assert dialling.dial_next() == call.pk
            assert dialling.dial_next() is None

    call.refresh_from_db()
    assert creates(telco) == 6
    assert (call.status, call.ended_reason) == ("failed", "failed")
    assert "Nobody was called" in call.error_message


def test_a_call_called_off_while_the_carrier_was_asked_is_hung_up(telco: Any):
    call, sid = CallFactory.create(), new_sid()

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        services.end_call(call.pk, Call.Status.CANCELED)
        return 201, {}, f'{{"sid": "{sid}"}}'

    telco.add_callback("POST", calls_url(call.number), callback=answer)
    telco.post(calls_url(call.number, sid), json=call_json(sid))

    dialling.dial_next()

    assert form_of(telco.calls[-1].request) == {"Status": ["completed"]}
    call.refresh_from_db()
    assert call.status == "canceled"


def test_a_number_removed_before_the_dial_fails_the_call(telco: Any):
    call = CallFactory.create()
    Call.objects.filter(pk=call.pk).update(number=None)

    dialling.dial_next()

    call.refresh_from_db()
    assert (call.status, creates(telco)) == ("failed", 0)


def test_a_call_above_the_accounts_limit_waits_and_is_dialled_when_a_line_is_free(telco: Any):
    account = AccountFactory.create(max_concurrent_calls=1)
    first, second, third = (CallFactory.create(account=account) for _ in range(3))
    for call in (first, second, third):
        accepts_call(call.number, new_sid())

    assert dialling.dial_next() == first.pk
    assert dialling.dial_next() is None
    services.end_call(first.pk, Call.Status.BUSY)

    assert dialling.dial_next() == second.pk
    assert dialling.dial_next() is None
    third.refresh_from_db()
    assert third.status == "queued"


def test_one_accounts_full_lines_do_not_hold_up_another(telco: Any):
    full = AccountFactory.create(max_concurrent_calls=1)
    CallFactory.create(account=full, live=True)
    CallFactory.create(account=full)
    free = CallFactory.create()
    accepts_call(free.number, new_sid())

    assert dialling.dial_next() == free.pk
    assert dialling.dial_next() is None


def test_the_servers_limit_holds_across_accounts(settings: Any):
    settings.MAX_CONCURRENT_CALLS = 2
    CallFactory.create(live=True)
    CallFactory.create(inbound=True)
    CallFactory.create()

    assert admit_next() is None


@pytest.mark.parametrize("scarce", ["TRANSCRIBER_SOCKETS", "VOICE_SOCKETS"])
def test_no_call_starts_that_the_speech_service_would_refuse(
    settings: Any, monkeypatch: pytest.MonkeyPatch, scarce: str
):
    monkeypatch.setattr("calls.presence.alive", dict)
    setattr(settings, scarce, 2)
    CallFactory.create(live=True)
    CallFactory.create(inbound=True)
    waiting = CallFactory.create()

    assert admit_next() is None

    setattr(settings, scarce, 3)
    attempt = admit_next()
    assert attempt is not None
    assert attempt.call_id == waiting.pk


def test_sockets_that_wait_ahead_of_calls_are_not_counted_on(
    settings: Any, monkeypatch: pytest.MonkeyPatch
):
    settings.VOICE_SOCKETS, settings.VOICE_SOCKETS_AHEAD = 8, 2
    monkeypatch.setattr("calls.presence.alive", lambda: {"a:1": {}, "a:2": {}, "b:1": {}})
    assert lines() == 2

    settings.VOICE_SOCKETS = 5
    assert lines() == 1


def test_reserved_lines_are_left_for_people_who_call(settings: Any):
    settings.INBOUND_RESERVED_CALLS = 1
    account = AccountFactory.create(max_concurrent_calls=2)
    CallFactory.create(account=account, live=True)
    waiting = CallFactory.create(account=account)

    assert admit_next() is None

    settings.INBOUND_RESERVED_CALLS = 0
    attempt = admit_next()
    assert attempt is not None
    assert attempt.call_id == waiting.pk


def test_the_database_refuses_a_second_open_attempt():
    call = CallFactory.create()
    DialAttemptFactory.create(call=call)

    with pytest.raises(Exception, match="one_open_per_call"), transaction.atomic():
        DialAttemptFactory.create(call=call, number=2)


def test_placing_a_call_nudges_a_worker_after_the_commit(django_capture_on_commit_callbacks):
    agent = AgentFactory.create()
    number = CallFactory.create(agent=agent, account=agent.account, over=True).number

    with django_capture_on_commit_callbacks() as callbacks:
        call = services.place_call(
            agent.account, agent=agent, number=number, to_number="+447386172392"
        )

    assert (call.status, call.call_id[:5]) == ("queued", "call_")
    assert len(callbacks) == 1
