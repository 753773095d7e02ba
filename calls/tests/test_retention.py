"""What is forgotten, and what has to stay."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import suppression
from accounts.factories import AccountFactory, ApiKeyFactory, api_client
from accounts.models import Account, ApiKey, Suppression
from agents.factories import AgentFactory
from agents.models import Agent, Caller, Note, PhoneNumber
from calls import aftercare, retention
from calls.factories import CallEventFactory, CallFactory, TransferFactory, TurnFactory
from calls.models import Aftercare, Call, CallEvent, Turn
from calls.signals import account_closed, person_forgotten
from sms.factories import MessageFactory
from sms.models import Message, Thread
from webhooks.factories import DeliveryFactory
from webhooks.models import Delivery, Event

pytestmark = pytest.mark.django_db

PERSON = "+447386172392"
SOMEBODY_ELSE = "+447386172393"


@pytest.fixture(autouse=True)
def recordings(settings, tmp_path: Path) -> Path:
    settings.RECORDINGS_DIR = tmp_path
    return tmp_path


def finished(account: Account | None = None, **fields: Any) -> Call:
    """A finished call with everything that hangs on one, its recording included."""
    call = CallFactory.create(over=True, **({"account": account} if account else {}), **fields)
    call.recording_file = f"{call.call_id}.wav"
    call.save(update_fields=["recording_file"])
    assert call.recording_path is not None
    call.recording_path.write_bytes(b"RIFF")
    TurnFactory.create(call=call, sequence=0, text="My secret is blue.")
    CallEventFactory.create(call=call)
    Aftercare.objects.create(call=call, due_at=None)
    Note.objects.create(
        account=call.account,
        person=call.their_number,
        kind=Note.Kind.CALL,
        source=call.call_id,
        at=timezone.now(),
        text="Their secret is blue.",
    )
    DeliveryFactory.create(
        event__account=call.account,
        event__subject=call.call_id,
        event__body=json.dumps({"transcript": "My secret is blue."}),
    )
    return call


def test_a_deleted_call_is_gone_with_all_that_hung_on_it(recordings):
    call = finished()
    client = api_client(call.account)

    deleted = client.delete(f"/v1/calls/{call.call_id}")
    again = client.delete(f"/v1/calls/{call.call_id}")
    shown = client.get(f"/v1/calls/{call.call_id}")

    assert deleted.json() == {
        "call_id": call.call_id,
        "deleted": True,
        "recording_deleted": True,
    }
    assert list(recordings.iterdir()) == []
    for model in (Call, Turn, CallEvent, Aftercare, Note):
        assert model.objects.count() == 0
    assert (again.status_code, again.json()["error"]["code"]) == (404, "not_found")
    assert shown.json()["error"]["code"] == "call_not_found"


def test_the_log_of_webhooks_stays_without_what_was_told():
    call = finished()

    retention.delete_call(call.account, call.call_id)

    event, delivery = Event.objects.get(), Delivery.objects.get()
    assert (event.type, event.body) == ("call.completed", "")
    assert event.erased_at is not None
    assert (delivery.status, delivery.error) == ("failed", "erased")


def test_a_call_without_a_recording_says_so():
    call = CallFactory.create(over=True)

    deleted = api_client(call.account).delete(f"/v1/calls/{call.carrier_sid}")

    assert deleted.json()["recording_deleted"] is False


def test_who_was_called_while_they_were_being_forgotten_is_to_be_forgotten_again():
    call = finished()

    def calls_them(sender: object, account: Account, phone_number: str, **_: Any) -> None:
        CallFactory.create(account=account, to_number=phone_number)

    person_forgotten.connect(calls_them)
    try:
        refused = api_client(call.account).delete(f"/v1/people/{PERSON}")
    finally:
        person_forgotten.disconnect(calls_them)

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "call_in_progress")
    Call.objects.unfinished().update(
        status="canceled", ended_reason="canceled", ended_at=timezone.now()
    )
    assert api_client(call.account).delete(f"/v1/people/{PERSON}").status_code == 200
    assert not Call.objects.exists()


def test_a_call_in_progress_is_not_deleted():
    call = CallFactory.create(live=True)

    refused = api_client(call.account).delete(f"/v1/calls/{call.call_id}")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "call_in_progress")
    assert Call.objects.get() == call


def test_somebody_elses_call_is_not_deleted(recordings):
    call = finished()

    refused = api_client().delete(f"/v1/calls/{call.call_id}")

    assert refused.status_code == 404
    assert Call.objects.get() == call
    assert len(list(recordings.iterdir())) == 1


def test_a_recording_outside_its_folder_is_left_alone(tmp_path, settings):
    settings.RECORDINGS_DIR = tmp_path / "recordings"
    settings.RECORDINGS_DIR.mkdir()
    outside = tmp_path / "precious.txt"
    outside.write_text("keep")
    call = CallFactory.create(over=True, recording_file="../precious.txt")

    erased = retention.delete_call(call.account, call.call_id)

    assert erased.recordings == 0
    assert outside.read_text() == "keep"


def test_deleting_all_spares_live_calls_other_accounts_agents_and_numbers(monkeypatch):
    monkeypatch.setattr(retention, "_AT_ONCE", 2)
    account = AccountFactory.create()
    for _ in range(3):
        finished(account)
    live = CallFactory.create(live=True, account=account)
    other = finished()
    MessageFactory.create(thread__account=account)

    answer = api_client(account).delete("/v1/calls")

    assert answer.json() == {
        "deleted": True,
        "calls_deleted": 3,
        "recordings_deleted": 3,
        "sms_deleted": 1,
    }
    assert set(Call.objects.all()) == {live, other}
    assert Message.objects.count() == 0
    assert Agent.objects.of(account).exists()
    assert PhoneNumber.objects.of(account).exists()


def test_every_night_what_is_older_than_the_retention_goes(settings, recordings):
    settings.RETENTION_DAYS = 30
    now = timezone.now()
    old = finished(created_at=now - timedelta(days=31))
    young = finished(created_at=now - timedelta(days=29))
    Note.objects.update(at=now)
    Event.objects.filter(subject=old.call_id).update(created_at=now - timedelta(days=31))
    old_text = MessageFactory.create(created_at=now - timedelta(days=31))
    Thread.objects.filter(pk=old_text.thread_id).update(last_message_at=now - timedelta(days=31))
    young_text = MessageFactory.create(thread__their_number=SOMEBODY_ELSE)

    more = retention.purge(now)

    assert more is False
    assert list(Call.objects.all()) == [young]
    assert [path.name for path in recordings.iterdir()] == [young.recording_file]
    assert list(Event.objects.values_list("subject", flat=True)) == [young.call_id]
    assert list(Message.objects.all()) == [young_text]
    assert list(Thread.objects.all()) == [young_text.thread]


def test_a_recording_that_cannot_be_deleted_keeps_its_call_and_no_other(settings, recordings):
    old = timezone.now() - timedelta(days=settings.RETENTION_DAYS + 1)
    stuck, others = finished(created_at=old), [finished(created_at=old) for _ in range(2)]
    stuck.recording_path.unlink()
    stuck.recording_path.mkdir()
    MessageFactory.create(created_at=old)

    retention.purge()

    assert set(Call.objects.all()) == {stuck}
    assert not any(call.recording_path.exists() for call in others)
    assert not Message.objects.exists()


def test_a_part_of_the_purge_that_fails_keeps_no_other_from_its_work(monkeypatch):
    def breaks(*_: Any, **__: Any) -> tuple[int, int]:
        raise ValueError("odd")

    monkeypatch.setattr(retention, "_erase_all", breaks)
    MessageFactory.create(created_at=timezone.now() - timedelta(days=1000))

    assert retention.purge() is False

    assert not Message.objects.exists()


def test_a_purge_takes_so_many_calls_and_says_that_more_are_left(monkeypatch):
    monkeypatch.setattr(retention, "_AT_ONCE", 1)
    monkeypatch.setattr(retention, "PURGE_AT_MOST", 2)
    long_ago = timezone.now() - timedelta(days=1000)
    for _ in range(3):
        CallFactory.create(over=True, created_at=long_ago)

    assert [retention.purge(), retention.purge()] == [True, False]
    assert Call.objects.count() == 0


def test_a_forgotten_person_is_gone_everywhere_and_still_not_called(recordings):
    account = AccountFactory.create()
    call = finished(account, to_number=PERSON)
    inbound = CallFactory.create(
        over=True,
        account=account,
        direction="inbound",
        from_number=PERSON,
        to_number="+447446000001",
    )
    kept = finished(account, to_number=SOMEBODY_ELSE)
    Caller.objects.create(number=call.number, caller_number=PERSON, name="Sarah")
    MessageFactory.create(thread__account=account, thread__their_number=PERSON)
    suppression.suppress(account, PERSON, source=Suppression.Source.SPOKEN)
    heard = []

    def listener(sender, account, phone_number, **_):
        heard.append(phone_number)

    person_forgotten.connect(listener)

    answer = api_client(account).delete(f"/v1/people/{PERSON}")
    person_forgotten.disconnect(listener)

    assert answer.json() == {
        "phone_number": PERSON,
        "forgotten": True,
        "calls_deleted": 2,
        "recordings_deleted": 1,
        "sms_deleted": 1,
    }
    assert not Call.objects.filter(pk__in=[call.pk, inbound.pk]).exists()
    assert list(Call.objects.all()) == [kept]
    assert Caller.objects.count() == Thread.objects.count() == 0
    assert [note.person for note in Note.objects.all()] == [SOMEBODY_ELSE]
    assert [path.name for path in recordings.iterdir()] == [kept.recording_file]
    assert Suppression.objects.get().phone_number == ""
    assert suppression.is_suppressed(account, PERSON) is not None
    assert heard == [PERSON]


def test_another_accounts_memory_of_the_person_stays():
    call = finished(to_number=PERSON)

    retention.forget_person(AccountFactory.create(), PERSON)

    assert Call.objects.get() == call
    assert Note.objects.count() == 1


def test_who_is_on_the_line_is_not_forgotten_now():
    call = CallFactory.create(live=True, to_number=PERSON)
    finished(call.account, to_number=PERSON)

    refused = api_client(call.account).delete(f"/v1/people/{PERSON}")

    assert refused.status_code == 409
    assert Call.objects.count() == 2


def test_an_export_has_everything_about_one_person_and_nobody_else():
    account = AccountFactory.create()
    call = finished(account, to_number=PERSON, call_summary="She booked Tuesday.")
    finished(account, to_number=SOMEBODY_ELSE)
    finished(to_number=PERSON)  # of another account
    Caller.objects.create(number=call.number, caller_number=PERSON, name="Sarah")
    MessageFactory.create(
        thread__account=account, thread__their_number=PERSON, body="See you Tuesday."
    )
    suppression.suppress(account, PERSON, source=Suppression.Source.API)

    data = api_client(account).get(f"/v1/people/{PERSON}").json()

    assert [one["call_id"] for one in data["calls"]] == [call.call_id]
    assert data["calls"][0]["transcript"] == "AI: My secret is blue."
    assert [one["body"] for one in data["texts"]] == ["See you Tuesday."]
    assert [one["source"] for one in data["notes"]] == [call.call_id]
    assert data["caller_context"][0]["name"] == "Sarah"
    assert data["suppressions"][0]["source"] == "api"


@pytest.mark.parametrize("method", ["get", "delete"])
def test_a_number_that_is_none_is_refused(method):
    refused = getattr(api_client(), method)("/v1/people/4478")

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_phone_format")


def test_a_closed_account_keeps_only_who_must_not_be_called(monkeypatch):
    key = ApiKeyFactory.create()
    account = key.account
    call = finished(account)
    AgentFactory.create(account=account)
    suppression.suppress(account, PERSON, source=Suppression.Source.API)
    kept = finished()
    released = []
    closed = []
    monkeypatch.setattr(
        retention,
        "release_number",
        lambda _, number: (
            released.append(number),
            PhoneNumber.objects.filter(phone_number=number).delete(),
        ),
    )

    def listener(sender, account, **_):
        closed.append(account.pk)

    account_closed.connect(listener)
    client = Client(headers={"authorization": key.header})

    answer = client.post("/v1/account/delete")
    after = client.get("/v1/calls")
    account_closed.disconnect(listener)

    assert answer.json()["ok"] is True
    assert after.status_code == 401
    assert released == [call.from_number]
    assert closed == [account.pk]
    assert list(Call.objects.all()) == [kept]
    assert not Agent.objects.of(account).exists()
    assert not Event.objects.of(account).exists()
    assert not ApiKey.objects.filter(account=account, revoked_at=None).exists()
    assert suppression.is_suppressed(account, PERSON) is not None


@pytest.mark.parametrize("taken_over", [False, True])
def test_an_account_with_a_live_call_is_not_closed(taken_over: bool):
    call = CallFactory.create(live=True)
    if taken_over:  # no line of ours, but two people talk
        TransferFactory.create(call=call, bridged=True)

    refused = api_client(call.account).post("/v1/account/delete")

    call.account.refresh_from_db()
    assert refused.status_code == 409
    assert call.account.is_active
    assert Call.objects.count() == 1


def test_aftercare_of_a_call_that_was_erased_meanwhile_leaves_nothing():
    call = CallFactory.create(over=True)
    held = Aftercare.objects.create(call=call)
    call_pk = call.pk
    Call.objects.all().delete()

    aftercare.care_for(call_pk)
    aftercare._settle(call, [], held, None, "done")

    assert Note.objects.count() == Event.objects.count() == 0
