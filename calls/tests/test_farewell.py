from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts import suppression
from accounts.models import Suppression
from calls import aftercare, live
from calls.factories import CallFactory
from calls.models import Aftercare, Call
from sms.models import Message, MessagePart

pytestmark = pytest.mark.django_db


def cared_for(**fields) -> Call:
    """A call after its after-care, with an agent that texts; nothing is asked of the model."""
    fields = {"agent__post_call_sms_enabled": True, "agent__name": "Acme Dental"} | fields
    call = CallFactory.create(over=True, agent__enable_post_call_analysis=False, **fields)
    Aftercare.objects.create(call=call)
    aftercare.care_for(call.pk)
    return call


def test_after_an_answered_call_its_person_gets_one_text():
    call = cared_for(
        caller_name="Sarah",
        call_summary="You booked Tuesday.",
        agent__post_call_sms_template="Hi {caller_name}, {agent_name} here. {call_summary} {else}",
    )
    aftercare.care_for(call.pk)

    text = Message.objects.get()
    assert text.body == "Hi Sarah, Acme Dental here. You booked Tuesday. {else}"
    assert (text.from_number, text.to_number) == (call.from_number, call.to_number)
    assert (text.origin, text.call_id) == ("post_call", call.call_id)


def test_without_a_template_the_default_goes_and_an_unknown_name_is_there():
    cared_for()
    cared_for(agent__post_call_sms_template="Hi {caller_name}!")

    assert [text.body for text in Message.objects.order_by("pk")] == [
        "Thanks for calling Acme Dental. We appreciate your time.",
        "Hi there!",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"agent__post_call_sms_enabled": False},
        {"voicemail_detected": True},
        {"duration_ms": 0},
        {"to_number": "anonymous"},
        {"number": None, "from_number": "+447446000000"},
    ],
)
def test_no_text_where_nobody_was_talked_to_or_none_is_wanted(fields):
    cared_for(**fields)

    assert Message.objects.count() == 0
    assert Aftercare.objects.get().due_at is None


def test_who_said_no_gets_none_and_the_aftercare_is_done():
    call = CallFactory.create(
        over=True, agent__enable_post_call_analysis=False, agent__post_call_sms_enabled=True
    )
    suppression.suppress(call.account, call.to_number, source=Suppression.Source.SPOKEN)
    Aftercare.objects.create(call=call)

    aftercare.care_for(call.pk)

    assert Message.objects.count() == 0
    assert Aftercare.objects.get().due_at is None


def test_a_text_after_a_call_that_comes_hours_late_waits_for_the_morning():
    ended_at = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)

    with time_machine.travel(ended_at + timedelta(hours=7), tick=False):  # 3 at night in London
        cared_for(to_number="+447386172392", created_at=ended_at, ended_at=ended_at)

    part = MessagePart.objects.get()
    assert (part.status, part.send_after) == ("waiting", datetime(2026, 11, 24, 8, 0, tzinfo=UTC))


def test_an_analysis_that_is_made_again_texts_nobody():
    call = cared_for()
    Aftercare.objects.update(due_at=timezone.now(), analysis="pending")

    aftercare.care_for(call.pk)

    assert Message.objects.count() == 1


MADE = {
    "action": "created", "booking_uid": "b1",
    "start": "2026-05-26T13:00:00.000Z", "timezone": "Europe/London",
}  # fmt: skip


def test_a_booking_is_texted_at_once_where_the_agent_may_text_in_calls():
    call = CallFactory.create(agent__incall_sms_enabled=True)

    live.store_booking(call.pk, MADE)
    live.store_booking(call.pk, {"action": "cancelled", "booking_uid": "b1"})

    call.refresh_from_db()
    assert [one["action"] for one in call.bookings] == ["created", "cancelled"]
    assert [(text.body, text.origin) for text in Message.objects.order_by("pk")] == [
        ("Your appointment is booked for Tuesday 26 May at 14:00.", "in_call"),
        ("Your appointment was cancelled.", "in_call"),
    ]


@pytest.mark.parametrize("refused", [True, False])
def test_a_booking_is_kept_and_not_texted_where_texts_are_off_or_refused(refused: bool):
    call = CallFactory.create(agent__incall_sms_enabled=refused)
    if refused:
        suppression.suppress(call.account, call.their_number, source=Suppression.Source.API)

    live.store_booking(call.pk, MADE)

    call.refresh_from_db()
    assert len(call.bookings) == 1
    assert Message.objects.count() == 0
