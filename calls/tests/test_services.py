from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations, product

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from calls import services
from calls.factories import CallFactory, TurnFactory
from calls.models import Call, CallEvent
from calls.signals import call_ended

pytestmark = pytest.mark.django_db

# Some time after the call was placed, in whole seconds as the carrier counts.
RANG = datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)
ANSWERED = RANG + timedelta(seconds=4)
ENDED = ANSWERED + timedelta(seconds=37)


def truth(call: Call) -> tuple:
    call.refresh_from_db()
    return (
        call.status,
        call.ended_reason,
        call.answered_at,
        call.ended_at,
        call.duration_ms,
        call.charged_minutes,
    )


def tell(call: Call, status: str) -> bool:
    at = {"ringing": RANG, "in-progress": ANSWERED}.get(status, ENDED)
    if status not in Call.TERMINAL:
        return services.move_call(call.pk, status, at=at)
    return services.end_call(
        call.pk, status, at=at, duration_s=37 if status == Call.Status.COMPLETED else 0
    )


@pytest.mark.parametrize(
    "order", list(permutations(["initiated", "ringing", "in-progress", "completed"]))
)
def test_the_callbacks_of_an_answered_call_tell_one_truth_in_any_order(order: tuple[str, ...]):
    call = CallFactory.create(dialled=True, created_at=RANG - timedelta(seconds=2))

    for status in order:
        tell(call, status)

    assert truth(call) == ("completed", "callee_hangup", ANSWERED, ENDED, 37_000, Decimal("0.62"))


@pytest.mark.parametrize(
    ("order", "ending"),
    list(
        product(
            sorted(set(permutations(["initiated", "ringing", "ending", "ending"]))),
            ["busy", "no-answer", "failed", "canceled"],
        )
    ),
)
def test_the_callbacks_of_an_unanswered_call_tell_one_truth_in_any_order(
    order: tuple[str, ...], ending: str
):
    call = CallFactory.create(dialled=True, created_at=RANG - timedelta(seconds=2))

    changed = [tell(call, ending if status == "ending" else status) for status in order]

    assert truth(call) == (ending, ending, None, ENDED, 0, Decimal(0))
    ended = CallEvent.objects.filter(call=call, kind="ended")
    assert ended.count() == 1
    assert changed[order.index("ending") + 1 :] == [False] * (3 - order.index("ending"))


def test_a_late_ringing_callback_does_not_reopen_a_live_call():
    call = CallFactory.create(live=True)

    assert services.move_call(call.pk, Call.Status.RINGING) is False

    call.refresh_from_db()
    assert call.status == Call.Status.IN_PROGRESS
    assert not call.events.exists()


@pytest.mark.parametrize("ending", sorted(Call.TERMINAL))
def test_every_ending_ends_a_live_call_and_none_ends_it_again(ending: str):
    call = CallFactory.create(live=True)

    assert services.end_call(call.pk, ending, duration_s=0)
    assert not any(services.end_call(call.pk, other) for other in Call.TERMINAL)

    call.refresh_from_db()
    assert call.status == ending


def test_a_second_ending_changes_nothing_and_announces_nothing(
    django_capture_on_commit_callbacks,
):
    call = CallFactory.create(live=True)
    heard = []

    def listen(sender, call_pk, **_):
        heard.append(call_pk)

    call_ended.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            assert services.end_call(call.pk, Call.Status.COMPLETED, duration_s=5)
        before = truth(call)
        with django_capture_on_commit_callbacks(execute=True):
            assert not services.end_call(call.pk, Call.Status.FAILED, duration_s=9)
    finally:
        call_ended.disconnect(listen)

    assert truth(call) == before
    assert heard == [call.pk]


def test_a_listener_that_fails_does_not_keep_the_others_from_hearing(
    django_capture_on_commit_callbacks,
):
    call = CallFactory.create(live=True)
    heard = []

    def fail(sender, **_):
        raise RuntimeError("mine")

    def listen(sender, call_pk, **_):
        heard.append(call_pk)

    call_ended.connect(fail)
    call_ended.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            services.end_call(call.pk, Call.Status.COMPLETED)
    finally:
        call_ended.disconnect(fail)
        call_ended.disconnect(listen)

    assert heard == [call.pk]


def test_the_reason_the_engine_meant_is_the_reason():
    call = CallFactory.create(live=True)
    assert services.intend_end(call.pk, "silence_timeout")
    assert not services.intend_end(call.pk, "completed")

    services.end_call(call.pk, Call.Status.COMPLETED, duration_s=12)

    call.refresh_from_db()
    assert call.ended_reason == "silence_timeout"


@pytest.mark.parametrize(
    ("direction", "status", "reason"),
    [
        ("outbound", "completed", "callee_hangup"),
        ("inbound", "completed", "caller_hangup"),
        ("inbound", "no-answer", "caller_hangup"),
        ("inbound", "failed", "failed"),
        ("outbound", "busy", "busy"),
        ("outbound", "no-answer", "no-answer"),
        ("outbound", "canceled", "canceled"),
        ("outbound", "failed", "failed"),
    ],
)
def test_without_an_intention_the_reason_is_who_hung_up_or_the_carriers_word(
    direction: str, status: str, reason: str
):
    call = CallFactory.create(inbound=direction == "inbound", dialled=direction == "outbound")

    services.end_call(call.pk, status)

    call.refresh_from_db()
    assert call.ended_reason == reason


def test_voicemail_is_not_charged():
    call = CallFactory.create(live=True)
    services.note_voicemail(call.pk, "twilio_amd")

    services.end_call(call.pk, Call.Status.COMPLETED, duration_s=61)

    call.refresh_from_db()
    assert (call.duration_ms, call.charged_minutes) == (61_000, 0)
    assert (call.voicemail_detected, call.voicemail_detection_method) == (True, "twilio_amd")


def test_voicemail_that_the_engine_heard_says_so():
    call = CallFactory.create(live=True)
    services.intend_end(call.pk, "voicemail_detected")

    services.end_call(call.pk, Call.Status.COMPLETED, duration_s=8)

    call.refresh_from_db()
    assert (call.voicemail_detected, call.voicemail_detection_method) == (True, "llm_transcript")
    assert call.charged_minutes == 0


def test_a_call_that_rang_off_before_the_engine_named_it_voicemail_is_not_charged_either():
    call = CallFactory.create(live=True)
    services.end_call(call.pk, Call.Status.COMPLETED, duration_s=61)

    services.note_voicemail(call.pk, "twilio_amd")

    call.refresh_from_db()
    assert (call.voicemail_detected, call.charged_minutes) == (True, 0)


def test_the_carriers_verdict_alone_makes_no_call_a_voicemail():
    call = CallFactory.create(live=True)

    assert services.note_answered_by(call.pk, "machine_start") is True

    call.refresh_from_db()
    assert (call.amd_result, call.voicemail_detected) == ("machine_start", False)


def test_a_verdict_after_the_ending_is_kept_but_changes_nothing():
    call = CallFactory.create(live=True)
    services.end_call(call.pk, Call.Status.COMPLETED, duration_s=30)
    before = truth(call)

    assert services.note_answered_by(call.pk, "machine_start") is False

    assert truth(call) == before
    assert (call.amd_result, call.voicemail_detected) == ("machine_start", False)


def test_the_first_verdict_stays():
    call = CallFactory.create(live=True)
    assert services.note_answered_by(call.pk, "human")

    assert not services.note_answered_by(call.pk, "machine_start")

    call.refresh_from_db()
    assert (call.amd_result, call.voicemail_detected) == ("human", False)


def test_without_the_carriers_count_the_duration_is_from_answer_to_end():
    call = CallFactory.create(live=True)
    Call.objects.filter(pk=call.pk).update(answered_at=ANSWERED, created_at=RANG)

    services.end_call(call.pk, Call.Status.COMPLETED, at=ENDED)

    call.refresh_from_db()
    assert call.duration_ms == 37_000


def test_average_latency_is_that_of_the_answers():
    call = CallFactory.create(live=True)
    TurnFactory.create(call=call, latency_ms=None)
    TurnFactory.create(call=call, latency_ms=400)
    TurnFactory.create(call=call, latency_ms=601)

    services.end_call(call.pk, Call.Status.COMPLETED)

    call.refresh_from_db()
    assert call.avg_latency_ms == 500


def test_the_database_refuses_an_ending_without_a_reason():
    call = CallFactory.create(live=True)

    with pytest.raises(IntegrityError), transaction.atomic():
        Call.objects.filter(pk=call.pk).update(status="completed", ended_at=timezone.now())


def test_only_an_ending_ends_a_call():
    call = CallFactory.create(live=True)

    with pytest.raises(ValueError, match="no ending"):
        services.end_call(call.pk, Call.Status.RINGING)
