"""An account that keeps to calling hours keeps to them on every way in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from accounts.errors import ApiError
from accounts.factories import SuppressionFactory
from calls.models import Call
from calls.sweeping import cancel_too_late
from calls.tests.test_api import Api
from campaigns import dispatch
from campaigns.factories import CampaignFactory, people
from campaigns.texts import dispatch as texts
from sms import claiming, services
from sms.factories import MessageFactory, ThreadFactory
from sms.models import Message, MessagePart, TextRecipient

pytestmark = pytest.mark.django_db

LONDONER = "+447386172392"  # a mobile of the United Kingdom: 8:00 to 21:00 on weekdays
NIGHT = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)  # a Monday
DAY = datetime(2026, 11, 23, 20, 59, 30, tzinfo=UTC)
MORNING = "2026-11-24T08:00:00+00:00"


@pytest.fixture
def api() -> Api:
    api = Api()
    api.account.enforce_calling_hours = True
    api.account.save()
    return api


def test_a_single_call_at_night_is_refused_and_told_when_to_come_again(api: Api):
    with time_machine.travel(NIGHT, tick=False):
        answer = api.place(to_number=LONDONER)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, "outside_calling_hours")
    assert (error["details"]["next_allowed_at"], error["details"]["law"]) == (MORNING, "GB")
    assert "Europe/London" in error["details"]["timezones"]
    assert "from 2026-11-24 08:00 UTC on" in error["message"]
    assert Call.objects.count() == 0


def test_a_single_call_by_day_is_not_dialled_after_the_hours_end(api: Api):
    with time_machine.travel(DAY):
        answer = api.place(to_number=LONDONER)

    assert answer.status_code == 201
    assert Call.objects.get().dial_before == datetime(2026, 11, 23, 21, 0, tzinfo=UTC)


def test_without_the_setting_a_call_is_dialled_at_any_hour():
    with time_machine.travel(NIGHT, tick=False):
        answer = Api().place(to_number=LONDONER)

    assert answer.status_code == 201
    # … but not hours later, should the dialler have stood still
    assert Call.objects.get().dial_before == NIGHT + timedelta(hours=1)


def test_without_the_setting_a_call_asked_for_by_day_does_not_ring_at_night():
    at = DAY.replace(hour=17)
    with time_machine.travel(at, tick=False):
        Api().place(to_number=LONDONER)
    call = Call.objects.get()
    assert call.dial_before == datetime(2026, 11, 23, 21, 0, tzinfo=UTC)

    assert list(Call.objects.waiting(at.replace(hour=20))) == [call]
    assert list(Call.objects.waiting(NIGHT)) == []
    assert cancel_too_late(NIGHT) == 1
    assert Call.objects.get().status == "canceled"


@pytest.mark.parametrize("origin", ["api", "auto_reply", "in_call", "operator"])
def test_without_the_setting_a_text_that_comes_hours_late_waits_for_the_morning(origin: str):
    with time_machine.travel(NIGHT - timedelta(minutes=59), tick=False):
        in_time = MessageFactory.create(origin=origin, to_number=LONDONER)
    with time_machine.travel(NIGHT, tick=False):
        assert claiming.claim_next() == in_time.parts.get()
    with time_machine.travel(NIGHT - timedelta(minutes=61), tick=False):
        late = MessageFactory.create(origin=origin, to_number=LONDONER)

    with time_machine.travel(NIGHT, tick=False):
        assert claiming.claim_next() is None
    assert late.parts.get().send_after == datetime.fromisoformat(MORNING)


def test_who_said_no_is_refused_for_that_also_at_night(api: Api):
    SuppressionFactory.create(account=api.account, phone_number=LONDONER)

    with time_machine.travel(NIGHT, tick=False):
        answer = api.place(to_number=LONDONER)

    assert answer.json()["error"]["code"] == "recipient_unsubscribed"


def test_a_campaign_that_names_no_hours_holds_its_people_until_theirs_open(api: Api):
    campaign = CampaignFactory.create(account=api.account)
    people(campaign, 2)

    assert dispatch.dispatch(campaign.pk, NIGHT) == 0
    assert dispatch.dispatch(campaign.pk, datetime(2026, 11, 24, 8, 0, tzinfo=UTC)) == 2


def test_a_batch_for_now_does_not_warn_of_calls_that_are_held(api: Api):
    with time_machine.travel(NIGHT, tick=False):
        answer = api.send(
            "POST",
            "/calls/batch",
            {"agent_id": api.agent.agent_id, "recipients": [{"phone": LONDONER}]},
        )

    assert answer.status_code == 201
    assert "outside_calling_hours" not in {one["code"] for one in answer.json()["warnings"]}


def send_text(api: Api, **about: Any) -> Any:
    asked = {"agent_id": api.agent.agent_id, "to_number": LONDONER, "body": "Hello"}
    return api.send("POST", "/sms", asked | about)


def test_a_single_text_at_night_is_refused(api: Api):
    with time_machine.travel(NIGHT, tick=False):
        answer = send_text(api)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "outside_calling_hours")
    assert Message.objects.count() == 0


def test_a_text_whose_turn_comes_after_the_hours_waits_for_the_next_ones(api: Api):
    with time_machine.travel(DAY):
        assert send_text(api).status_code == 201

    with time_machine.travel(NIGHT, tick=False):
        assert claiming.claim_next() is None
    assert MessagePart.objects.get().send_after == datetime.fromisoformat(MORNING)

    with time_machine.travel(MORNING):
        assert claiming.claim_next() == MessagePart.objects.get()


def test_a_text_campaign_holds_its_people_until_their_hours_open(api: Api):
    with time_machine.travel(NIGHT, tick=False):
        answer = api.send(
            "POST",
            "/sms/campaigns",
            {
                "agent_id": api.agent.agent_id,
                "from_number": api.number.phone_number,
                "message_template": "Hello",
                "recipients": [{"phone": LONDONER}],
                "schedule_type": "now",
            },
        )
    assert answer.status_code == 201
    person = TextRecipient.objects.get()

    assert texts.dispatch(person.campaign_id, NIGHT) == 0

    person.refresh_from_db()
    assert person.send_after == datetime.fromisoformat(MORNING)


def test_an_operator_writes_at_night_only_to_who_wrote_that_day(api: Api):
    thread = ThreadFactory.create(account=api.account, number=api.number, their_number=LONDONER)
    with time_machine.travel(NIGHT, tick=False):
        with pytest.raises(ApiError, match="outside the calling hours"):
            services.write_as_operator(thread, "Are you still up?", by="ann")
        assert Message.objects.count() == 0

        MessageFactory.create(thread=thread, inbound=True)
        assert services.write_as_operator(thread, "Yes, at two.", by="ann").body == "Yes, at two."
