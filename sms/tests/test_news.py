"""Listeners are told of texts."""

import json
from typing import Any

import pytest

from sms import statuses
from sms.factories import MessageFactory, ThreadFactory, new_sid
from sms.models import Message, MessagePart
from sms.tests.twilio_side import texts_us
from webhooks.factories import EndpointFactory
from webhooks.models import Endpoint, Event

pytestmark = pytest.mark.django_db


def told() -> list[dict[str, Any]]:
    return [json.loads(event.body) for event in Event.objects.order_by("pk")]


def test_a_text_that_came_in_is_told_once():
    thread = ThreadFactory.create(open=True)
    EndpointFactory.create(
        account=thread.account, owner=Endpoint.Owner.NUMBER, phone_number=thread.our_number
    )
    sid = new_sid()

    for _ in range(2):
        texts_us(thread.number, "Is it still on?", sid)

    (news,) = told()
    assert news["event"] == "sms.received"
    assert (news["from"], news["to"]) == (thread.their_number, thread.our_number)
    assert (news["body"], news["message_id"]) == (
        "Is it still on?",
        Message.objects.get().message_id,
    )


def test_what_becomes_of_a_text_is_told_step_by_step_and_once():
    message = MessageFactory.create(taken=True, metadata={"order": 7})
    EndpointFactory.create(account=message.account)
    part = message.parts.get()

    for status in ("sent", "sent", "delivered", "sent"):
        statuses.note_status(part.pk, MessagePart.Status(status))

    assert [news["event"] for news in told()] == ["sms.sent", "sms.delivered"]
    assert [news["metadata"] for news in told()] == [{"order": 7}, {"order": 7}]
    assert told()[1]["delivered_at"] is not None


def test_a_failure_is_told_with_its_reason():
    message = MessageFactory.create(taken=True)
    EndpointFactory.create(account=message.account)

    statuses.note_status(
        message.parts.get().pk, MessagePart.Status.FAILED, error_code=30003, error_message="Off."
    )

    (news,) = told()
    assert (news["event"], news["error_code"]) == ("sms.failed", 30003)
    assert news["error_message"]
