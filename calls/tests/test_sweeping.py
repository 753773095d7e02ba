from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.tests.twilio_side import form_of
from calls import live, services, sweeping, tasks
from calls.factories import CallFactory, DialAttemptFactory
from calls.models import Call
from calls.tests.twilio_side import call_json, calls_url

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(minutes=3)


def quiet(**traits: Any) -> Call:
    """Return a call that nothing was heard of for three minutes."""
    return CallFactory.create(created_at=timezone.now() - LONG_AGO, **traits)


def says(telco: Any, call: Call, **fields: Any) -> None:
    telco.get(calls_url(call.number, call.carrier_sid), json=call_json(call.carrier_sid, **fields))


def test_an_ending_that_was_never_told_is_found(telco: Any):
    call = quiet(live=True)
    says(
        telco,
        call,
        status="completed",
        duration="42",
        end_time=timezone.now().strftime("%a, %d %b %Y %H:%M:%S +0000"),
    )

    assert sweeping.check_stale_calls() == 1

    call.refresh_from_db()
    assert (call.status, call.ended_reason, call.duration_ms) == (
        "completed",
        "callee_hangup",
        42_000,
    )


def test_a_call_cancelled_while_queued_is_found_though_nothing_is_told(telco: Any):
    call = quiet(dialled=True)
    says(telco, call, status="canceled")

    sweeping.check_stale_calls()

    call.refresh_from_db()
    assert (call.status, call.ended_reason) == ("canceled", "canceled")


def test_a_call_is_asked_about_once_a_minute_and_not_while_its_audio_lives(telco: Any):
    asked = quiet(live=True)
    says(telco, asked, status="in-progress")
    quiet(live=True, media_seen_at=timezone.now())
    CallFactory.create(live=True)  # new
    quiet(over=True)
    quiet()  # waits

    assert sweeping.check_stale_calls() == 1
    assert sweeping.check_stale_calls() == 0
    assert len(telco.calls) == 1


def test_who_was_never_asked_about_comes_before_who_was_long_ago(
    telco: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sweeping, "AT_MOST", 1)
    quiet(live=True, carrier_checked_at=timezone.now() - LONG_AGO)
    never = quiet(live=True)
    says(telco, never, status="completed")

    assert sweeping.check_stale_calls() == 1

    never.refresh_from_db()
    assert never.status == "completed"


def test_a_look_that_takes_long_leaves_the_others_to_the_next_one(
    telco: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sweeping, "RUN_AT_MOST_S", 0.0)
    for call in (quiet(live=True), quiet(live=True)):
        telco.get(calls_url(call.number, call.carrier_sid), status=503)

    assert [sweeping.check_stale_calls() for _ in range(3)] == [1, 1, 0]


def test_a_call_that_should_have_been_hung_up_is(telco: Any):
    call = quiet(live=True)
    services.intend_end(call.pk, "completed")
    says(telco, call, status="in-progress")
    telco.post(calls_url(call.number, call.carrier_sid), json=call_json(call.carrier_sid))

    sweeping.check_stale_calls()

    assert form_of(telco.calls[-1].request) == {"Status": ["completed"]}


def test_a_call_the_carrier_does_not_know_is_over(telco: Any):
    call = quiet(live=True)
    telco.get(
        calls_url(call.number, call.carrier_sid), json={"code": 20404, "message": ""}, status=404
    )

    sweeping.check_stale_calls()

    call.refresh_from_db()
    assert (call.status, call.error_message) == ("failed", "The carrier no longer knows this call.")


@pytest.mark.parametrize(("minutes", "status"), [(20, "in-progress"), (24, "failed")])
def test_a_carrier_that_never_answers_does_not_keep_a_line_for_ever(
    telco: Any, minutes: int, status: str
):
    # 10 min of call, 30 s of ringing, 1 min and 10 min of margin
    call = quiet(inbound=True)
    services.move_call(call.pk, "in-progress")
    telco.get(calls_url(call.number, call.carrier_sid), status=503)

    sweeping.check_stale_calls(call.created_at + timedelta(minutes=minutes))

    call.refresh_from_db()
    assert call.status == status


def test_a_call_that_waited_past_its_hours_is_taken_back_and_rings_nowhere(telco: Any):
    now = timezone.now()
    late = CallFactory.create(dial_before=now)
    in_time = CallFactory.create(dial_before=now + timedelta(seconds=1))
    ringing = CallFactory.create(dialled=True, dial_before=now)

    assert sweeping.cancel_too_late(now) == 1

    late.refresh_from_db()
    assert (late.status, late.ended_reason) == ("canceled", "canceled")
    assert late.error_message.startswith("No line was free")
    assert list(Call.objects.waiting(now)) == [in_time]
    ringing.refresh_from_db()
    assert ringing.status == "initiated"
    assert not telco.calls


def cannot_end(monkeypatch: pytest.MonkeyPatch, broken: Call) -> None:
    """Have every ending of one call break, as a receiver of its news may."""
    move_call = services.move_call

    def breaks(call_pk: int, *args: Any, **kwargs: Any) -> bool:
        if call_pk == broken.pk:
            raise ValueError("odd")
        return move_call(call_pk, *args, **kwargs)

    monkeypatch.setattr(services, "move_call", breaks)


def test_a_late_call_that_cannot_be_taken_back_holds_up_no_other(monkeypatch: pytest.MonkeyPatch):
    now = timezone.now()
    broken, late = [CallFactory.create(dial_before=now) for _ in range(2)]
    cannot_end(monkeypatch, broken)

    assert sweeping.cancel_too_late(now) == 1

    assert list(Call.objects.too_late(now)) == [broken]
    late.refresh_from_db()
    assert late.status == "canceled"


def test_a_quiet_call_that_cannot_be_ended_holds_up_no_other(
    telco: Any, monkeypatch: pytest.MonkeyPatch
):
    broken, other = quiet(live=True), quiet(live=True)
    for call in (broken, other):
        says(telco, call, status="completed")
    cannot_end(monkeypatch, broken)

    assert sweeping.check_stale_calls() == 2

    other.refresh_from_db()
    assert other.status == "completed"


def test_a_silent_call_that_cannot_be_rescued_holds_up_no_other(
    telco: Any, monkeypatch: pytest.MonkeyPatch
):
    long_ago = timezone.now() - LONG_AGO
    gone = {"media_generation": 1, "live": True}
    broken = CallFactory.create(media_seen_at=long_ago - LONG_AGO, **gone)
    other = CallFactory.create(media_seen_at=long_ago, **gone)
    telco.post(calls_url(other.number, other.carrier_sid), json=call_json(other.carrier_sid))
    record = services.record

    def breaks_on_the_first(call: Call, *args: Any, **kwargs: Any) -> None:
        if call == broken:
            raise ValueError("odd")
        record(call, *args, **kwargs)

    monkeypatch.setattr(sweeping, "record", breaks_on_the_first)
    assert [sweeping.rescue_silent_calls(), sweeping.rescue_silent_calls()] == [0, 1]


def test_a_call_that_is_being_dialled_is_not_withdrawn():
    call = CallFactory.create()
    DialAttemptFactory.create(call=call)

    assert services.withdraw(call.pk, "Paused.") is False

    call.refresh_from_db()
    assert call.status == "queued"


def test_the_sweep_wakes_a_worker_for_every_call_that_waits(monkeypatch: pytest.MonkeyPatch):
    CallFactory.create()
    CallFactory.create()
    CallFactory.create(dial_after=timezone.now() + timedelta(minutes=1))
    CallFactory.create(dialled=True)
    sent: list[str] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **_: sent.append(name))

    tasks.sweep()

    assert sent == ["calls.tasks.dial", "calls.tasks.dial"]


def test_nudges_name_tasks_that_exist():
    from celery import current_app as app

    from calls import nudges

    app.loader.import_default_modules()

    assert {nudges.DIAL, nudges.AFTER_CALL, "calls.tasks.sweep"} <= set(app.tasks)


# --- calls that lost their media process ----------------------------------------------------------


def silent(**traits: Any) -> Call:
    """Return a call whose media process has renewed no lease for 20 seconds."""
    seen = timezone.now() - timedelta(seconds=20)
    return CallFactory.create(live=True, media_generation=1, media_seen_at=seen, **traits)


def takes_redirect(telco: Any, call: Call, **answer: Any) -> Any:
    body = call_json(call.carrier_sid, status="in-progress")
    return telco.post(calls_url(call.number, call.carrier_sid), **{"json": body} | answer)


def test_a_call_whose_lease_looks_expired_twice_is_asked_for_again(telco: Any, settings: Any):
    call = silent()
    asked = takes_redirect(telco, call)

    assert sweeping.rescue_silent_calls() == 0  # once may be a pause of the database
    assert sweeping.rescue_silent_calls() == 1
    assert sweeping.rescue_silent_calls() == 0

    assert asked.call_count == 1
    url = form_of(telco.calls[0].request)["Url"][0]
    token = call.attempts.get().token
    assert url == f"{settings.PUBLIC_URL}/twilio/voice/?a={token}&w=0"
    assert call.events.filter(kind="audio lost").count() == 1


def test_of_many_whose_process_is_gone_each_look_rescues_some(
    telco: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sweeping, "AT_MOST", 2)
    for _ in range(4):
        takes_redirect(telco, silent())

    assert [sweeping.rescue_silent_calls() for _ in range(4)] == [0, 2, 2, 0]


def test_a_lease_that_is_renewed_between_two_looks_rescues_nobody(telco: Any):
    call = silent()

    sweeping.rescue_silent_calls()
    live.seen_all([call.pk])
    sweeping.rescue_silent_calls()

    assert not telco.calls


def test_the_trouble_of_one_part_of_a_sweep_does_not_keep_the_others_from_theirs(
    telco: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    call = quiet(live=True)
    says(telco, call, status="completed", duration="42")

    def reconcile() -> None:
        raise RuntimeError("down")

    monkeypatch.setattr("calls.dialling.reconcile", reconcile)
    tasks.sweep()

    call.refresh_from_db()
    assert call.status == "completed"
    assert "reconcile failed" in caplog.text


@pytest.mark.parametrize("state", ["over", "ending", "never heard"])
def test_only_a_conversation_is_rescued(telco: Any, state: str):
    call = silent()
    match state:
        case "over":
            services.end_call(call.pk, Call.Status.COMPLETED)
        case "ending":
            services.intend_end(call.pk, "completed")
        case "never heard":
            Call.objects.update(media_generation=0)

    sweeping.rescue_silent_calls()
    assert sweeping.rescue_silent_calls() == 0

    assert not telco.calls


def test_a_silent_call_that_is_over_at_the_carrier_ends(telco: Any):
    call = silent()
    over = {"code": 21220, "message": "Call is not in-progress.", "status": 400, "more_info": ""}
    takes_redirect(telco, call, json=over, status=400)
    says(telco, call, status="completed", duration="9")

    sweeping.rescue_silent_calls()
    sweeping.rescue_silent_calls()

    call.refresh_from_db()
    assert call.status == "completed"
