"""What a call leaves once it is over, and who is told."""

import sys
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.factories import ApiKeyFactory, api_client
from agents.models import Caller, Note, PhoneNumber
from agents.tests.model_side import ModelServer
from calls import aftercare, services
from calls.factories import CallFactory
from calls.models import Aftercare, Call, CallEvent
from calls.tests.finished import EXTRACTED, FIELDS, GENERAL, listened, talk, told
from sms.models import Message
from webhooks.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(model: ModelServer) -> ModelServer:
    model.answers = [GENERAL]
    return model


def test_a_talk_leaves_its_analysis_and_the_news_of_it(model):
    metadata = {"order": 7, "nested": {"a": [1, 2.5, None]}, "ünï": "✓"}
    call = listened(talk(metadata=metadata, agent__data_extraction_fields=FIELDS))
    model.answers = [GENERAL, EXTRACTED]

    aftercare.care_for(call.pk)

    call.refresh_from_db()
    assert call.call_summary == "Sarah Johnson booked a check-up for Tuesday at 2 pm."
    assert (call.caller_sentiment, call.call_successful) == ("happy", True)
    assert (call.caller_name, call.call_reason) == ("Sarah Johnson", "wanted to book a check-up")
    assert call.extracted_data == {
        "appointment_day": "Tuesday",
        "party": None,
        "insured": True,
        "branch": None,  # "west" is none of the choices
    }
    assert call.extracted_from == {
        "appointment_day": {"turn": 3, "at_ms": 9000},
        "insured": {"turn": 1, "at_ms": 3000},
    }
    (news,) = told(call)
    assert news["event"] == "call.completed"
    assert news["metadata"] == metadata
    assert news["extracted"] == call.extracted_data
    assert news["transcript"].startswith(
        "Agent: Hello, this is Mia of Bright Smile Dental.\nCaller:"
    )
    assert news["summary"] == call.call_summary
    row = call.aftercare
    assert (row.analysis, row.due_at, row.error) == ("done", None, "")


def test_the_payload_has_the_documented_fields(model):
    call = listened(talk(metadata={}))

    aftercare.care_for(call.pk)

    (news,) = told(call)
    assert {*news} == {
        "event", "call_id", "agent_id", "direction", "from", "to", "status", "ended_reason",
        "started_at", "ended_at", "duration_seconds", "transcript", "summary", "sentiment",
        "successful", "extracted", "bookings", "recording_url", "recording_duration_seconds",
        "voicemail_detected", "campaign_id", "avg_latency_ms", "metadata", "caller_name",
        "call_reason",
    }  # fmt: skip
    assert news["call_id"] == call.call_id
    assert (news["from"], news["to"]) == (call.from_number, call.to_number)
    assert (news["status"], news["ended_reason"]) == ("completed", "callee_hangup")
    assert (news["duration_seconds"], news["extracted"], news["bookings"]) == (37, None, [])
    assert news["ended_at"].endswith("Z")


def test_the_model_is_given_numbered_turns_and_a_closed_form(model):
    call = talk(agent__data_extraction_fields=FIELDS, prompt="Book a check-up.")
    model.answers = [GENERAL, EXTRACTED]

    aftercare.care_for(call.pk)

    assert "\n2. Caller: Hi, I am Sarah Johnson" in model.prompt()
    assert model.prompt(1) == model.prompt(0)
    form = model.schema(1)
    assert form["additionalProperties"] is False
    assert form["properties"]["extracted"]["required"] == [field["name"] for field in FIELDS]
    assert "Book a check-up." in model.schema(0)["properties"]["successful"]["description"]


def test_the_person_is_remembered_with_the_call_and_turn(model):
    call = talk()

    aftercare.care_for(call.pk)

    note = Note.objects.get()
    assert (note.source, note.person, note.text) == (
        call.call_id,
        call.to_number,
        GENERAL["summary"],
    )
    caller = Caller.objects.get()
    assert (caller.name, caller.preference) == ("Sarah Johnson", "afternoons")
    assert caller.last_call == "wanted to book a check-up"
    assert caller.sources["name"]["call_id"] == call.call_id
    assert caller.sources["name"]["turn"] == 1
    assert caller.sources["preference"]["turn"] == 3


def test_a_number_that_is_removed_while_the_model_writes_holds_nothing_up(model, monkeypatch):
    call = talk(agent__post_call_sms_enabled=True)
    listened(call)
    asked = aftercare.analyse

    def removed(*args: Any) -> Any:
        PhoneNumber.objects.all().delete()
        return asked(*args)

    monkeypatch.setattr(aftercare, "analyse", removed)
    aftercare.care_for(call.pk)

    assert [event["event"] for event in told(call)] == ["call.completed"]
    assert (Note.objects.count(), Caller.objects.count(), Message.objects.count()) == (1, 0, 0)
    assert Aftercare.objects.get().due_at is None


def test_a_second_run_does_nothing(model):
    call = listened(talk())

    aftercare.care_for(call.pk)
    aftercare.care_for(call.pk)

    assert len(model.requests) == 1
    assert len(told(call)) == 1


def test_a_killed_worker_is_followed_by_another_and_nothing_is_told_twice(model, monkeypatch):
    call = listened(talk())
    monkeypatch.setattr(aftercare, "_settle", lambda *_: sys.exit("killed"))
    with pytest.raises(SystemExit):
        aftercare.care_for(call.pk)
    monkeypatch.undo()
    aftercare.care_for(call.pk)  # the lease still runs
    at_once = len(told(call))

    with time_machine.travel(timezone.now() + aftercare.LEASE, tick=False):
        overdue = aftercare.overdue()
        aftercare.care_for(call.pk)
        aftercare.care_for(call.pk)

    assert at_once == 0
    assert overdue == [call.pk]
    assert len(told(call)) == 1


def test_who_lost_the_lease_settles_nothing(model):
    call = listened(talk())
    slow = aftercare._hold(call.pk, timezone.now())
    Aftercare.objects.update(due_at=timezone.now())
    aftercare.care_for(call.pk)

    aftercare._settle(call, [], slow, None, "done")

    assert len(told(call)) == 1


def test_a_model_that_is_down_is_asked_again_and_the_news_waits(model):
    call = listened(talk())
    model.answers = [503, GENERAL]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        aftercare.care_for(call.pk)
        row = Aftercare.objects.get()
        waits = row.due_at - timezone.now()
        before = len(told(call))
        clock.shift(10)
        aftercare.care_for(call.pk)

    assert waits == timedelta(seconds=10)
    assert (row.analysis, row.error) == ("pending", "api_error")
    assert before == 0
    assert [news["event"] for news in told(call)] == ["call.completed"]
    assert told(call)[0]["summary"] == GENERAL["summary"]


def test_after_five_minutes_the_news_goes_without_and_the_analysis_follows(model):
    call = listened(talk())
    model.answers = [503]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        while not told(call):
            aftercare.care_for(call.pk)
            due = Aftercare.objects.get().due_at
            waited = timezone.now() - call.ended_at
            clock.move_to(due)
        model.answers = [GENERAL]
        aftercare.care_for(call.pk)

    assert waited < timedelta(minutes=5)
    assert [news["event"] for news in told(call)] == ["call.completed", "call.analyzed"]
    assert [news["summary"] for news in told(call)] == [None, GENERAL["summary"]]


def test_a_model_that_never_answers_is_given_up_after_a_day(model):
    call = listened(talk())
    model.answers = [503]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        while (due := Aftercare.objects.get().due_at) is not None:
            clock.move_to(due)
            aftercare.care_for(call.pk)
            tries = Aftercare.objects.get().tries
            if tries > 8:  # every ten minutes from here on
                Aftercare.objects.filter(due_at__isnull=False).update(
                    due_at=call.ended_at + timedelta(hours=23, minutes=55)
                )

    row = Aftercare.objects.get()
    assert (row.analysis, row.error) == ("failed", "api_error")
    assert len(told(call)) == 1


def test_what_fails_alike_every_time_is_given_up_after_three(model):
    call = listened(talk())
    model.answers = [400]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(5):
            aftercare.care_for(call.pk)
            clock.shift(timedelta(minutes=1))

    assert Aftercare.objects.get().analysis == "failed"
    assert len(model.requests) == 3
    assert [news["event"] for news in told(call)] == ["call.completed"]


@pytest.mark.parametrize("part", ["analyse", "_remember"])
def test_what_nobody_foresaw_holds_the_news_up_for_five_minutes_and_is_tried_for_a_day(
    model, monkeypatch, part
):
    call = listened(talk())

    def broken(*_):
        raise ValueError("no such thing")

    with monkeypatch.context() as patch, time_machine.travel(timezone.now(), tick=False) as clock:
        patch.setattr(aftercare, part, broken)
        while not told(call):
            aftercare.care_for(call.pk)
            row = Aftercare.objects.get()
            waited = timezone.now() - call.ended_at
            clock.move_to(row.due_at)
        patch.undo()
        aftercare.care_for(call.pk)

    assert waited < timedelta(minutes=5)
    assert (row.analysis, row.error) == ("pending", "ValueError")
    assert [news["summary"] for news in told(call)] == [None, GENERAL["summary"]]


def test_an_analysis_can_be_asked_for_again(model):
    call = listened(talk())
    aftercare.care_for(call.pk)
    model.answers = [GENERAL | {"summary": "Another view."}]

    answer = api_client(call.account).post(f"/v1/calls/{call.call_id}/analyze")
    aftercare.care_for(call.pk)

    call.refresh_from_db()
    assert answer.status_code == 200
    assert answer.json()["call_id"] == call.call_id
    assert call.call_summary == "Another view."
    assert Note.objects.get().text == "Another view."
    assert [news["event"] for news in told(call)] == ["call.completed", "call.analyzed"]


def test_an_analysis_that_is_asked_for_twice_with_one_key_is_made_once(model):
    call = listened(talk())
    aftercare.care_for(call.pk)
    asked = {"path": f"/v1/calls/{call.call_id}/analyze", "headers": {"Idempotency-Key": "k1"}}
    client = api_client(call.account)

    first = client.post(**asked)
    aftercare.care_for(call.pk)
    copy = client.post(**asked)

    assert copy.json() == first.json()
    assert Aftercare.objects.get().due_at is None


def test_a_live_call_cannot_be_analysed_yet():
    call = CallFactory.create(live=True)

    refused = api_client(call.account).post(f"/v1/calls/{call.call_id}/analyze")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "call_in_progress")
    assert Aftercare.objects.count() == 0


def test_the_last_turn_is_waited_for_until_the_audio_closes(model):
    call = listened(talk(media_generation=1))

    aftercare.care_for(call.pk)
    before = len(told(call))
    CallEvent.objects.create(call=call, key="1:closed", kind="media closed")
    aftercare.care_for(call.pk)

    assert before == 0
    assert len(told(call)) == 1


def test_audio_that_never_closes_holds_nothing_up_for_longer_than_eight_seconds(model):
    call = listened(talk(media_generation=1))

    with time_machine.travel(call.ended_at + timedelta(seconds=8), tick=False):
        aftercare.care_for(call.pk)

    assert len(told(call)) == 1


def test_an_ending_writes_its_aftercare_in_the_same_transaction():
    call = CallFactory.create(live=True)

    services.end_call(call.pk, Call.Status.COMPLETED)
    services.end_call(call.pk, Call.Status.COMPLETED)

    row = Aftercare.objects.get()
    assert (row.call_id, row.analysis, row.told_at) == (call.pk, "pending", None)


def test_a_connected_call_is_told_once_as_started():
    call = listened(CallFactory.create(dialled=True, metadata={"a": 1}))

    services.move_call(call.pk, Call.Status.IN_PROGRESS)
    services.move_call(call.pk, Call.Status.IN_PROGRESS)

    (news,) = told(call)
    assert (news["event"], news["status"]) == ("call.started", "in-progress")
    assert (news["ended_at"], news["transcript"], news["bookings"]) == (None, None, [])
    assert news["metadata"] == {"a": 1}


def test_the_agents_url_is_told_and_signed_by_its_key(model):
    key = ApiKeyFactory.create()
    call = talk(
        account=key.account, agent__webhook_url="https://a.example.com/", agent__api_key=key
    )

    aftercare.care_for(call.pk)

    event = Event.objects.get()
    assert event.api_key == key
    assert event.deliveries.get().endpoint.url == "https://a.example.com/"


def test_a_call_whose_agent_was_deleted_is_still_told(model):
    call = listened(talk())
    call.agent.delete()

    aftercare.care_for(call.pk)

    assert told(call)[0]["agent_id"] == call.agent_public_id
