"""Tools used in mid-call, with the real SDKs on loopback."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from accounts.models import Suppression
from agents.factories import CalendarFactory, CallerFactory, CustomFunctionFactory, NoteFactory
from agents.tests.customer_server import running_customer_server
from conftest import PATIENCE_S
from media.tests.live_calls import event_kinds, make, turns
from sms.models import Message

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_customers_function_is_called_in_mid_call_and_its_answer_spoken(
    providers, settings
):
    settings.OUTBOUND_ALLOW_PRIVATE = True
    call, token, line = await make()
    with running_customer_server() as customer:
        await sync_to_async(CustomFunctionFactory)(
            number=call.number, url=customer.url, speak_during="One moment, I am looking."
        )
        customer.answer = (200, {"result": "Order 17 comes on Friday."})
        providers.replies = [{"check_order": {"order": "17"}}, "It comes on Friday."]

        await line.open(token)
        await line.until(lambda line: len(line.events("mark")) == 1)
        await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
        await providers.transcribe("Where is order seventeen?")
        await line.until(lambda line: len(line.events("mark")) == 2)
        await line.close()

    [asked] = customer.got
    assert (asked.json["name"], asked.json["args"]) == ("check_order", {"order": "17"})
    assert asked.json["variables"]["call_id"] == call.call_id
    assert providers.said[1:] == ["It comes on Friday."]  # it took no time to look
    first, second = providers.prompts
    assert [tool["name"] for tool in first["tools"]] == ["check_order", "opt_out"]
    assert second["messages"][-1]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "content": "Order 17 comes on Friday.",
        }
    ]
    assert await turns(call) == [
        ("agent", "Hello, this is Acme."),
        ("caller", "Where is order seventeen?"),
        ("agent", "It comes on Friday."),
    ]
    assert "tool" in await event_kinds(call)


async def test_private_notes_reach_the_model_only_after_the_caller_said_who_they_are(providers):
    call, token, line = await make()
    await sync_to_async(CallerFactory)(number=call.number, caller_number=call.from_number)
    await sync_to_async(NoteFactory)(
        account=call.account, person=call.from_number, text="Is in therapy.", is_private=True
    )
    providers.replies = [
        {"confirm_identity": {"answer": "Sarah Johnson"}},  # made up: nobody said it
        "Who is speaking, please?",
        {"confirm_identity": {"answer": "Sarah Johnson"}},
        "Thank you, Sarah.",
    ]

    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("When is my next session?")
    await line.until(lambda line: len(line.events("mark")) == 2)
    await providers.transcribe("It is Sarah Johnson.")
    await line.until(lambda line: len(line.events("mark")) == 3)
    await line.close()

    answers = [prompt["messages"][-1]["content"] for prompt in providers.prompts]
    assert "therapy" not in str(providers.prompts[:3])
    assert answers[1][0]["content"] == "Not confirmed. Do not use or mention anything private."
    assert "Is in therapy." in answers[3][0]["content"]


async def test_a_person_who_refuses_is_entered_by_the_models_tool_too(providers):
    call, token, line = await make()
    providers.replies = [{"opt_out": {"scope": "both"}}, "You will not be called again. [END_CALL]"]

    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("I want none of this any more, ever.")
    assert await line.closes() == 1000

    entry = await sync_to_async(lambda: Suppression.objects.get())()
    assert (entry.phone_number, entry.scope, entry.source) == (call.from_number, "all", "spoken")
    assert entry.evidence["call_id"] == call.call_id
    assert entry.evidence["text"] == "I want none of this any more, ever."


async def test_a_booking_is_read_back_confirmed_written_once_and_on_the_calls_record(
    providers, settings
):
    call, token, line = await make(number__require_booking_confirmation=True)
    await sync_to_async(CalendarFactory)(number=call.number)
    book = {"start": "2026-05-29T10:00", "name": "Sam", "email": "sam@example.com"}
    wish = {"book_appointment": book}
    providers.replies = [wish, wish, "Your appointment is booked."]
    with running_customer_server() as calcom:
        settings.CALCOM_API_URL = calcom.url.removesuffix("/hook")
        calcom.answer = (201, {"data": {"uid": "b1"}})

        await line.open(token)
        await line.until(lambda line: len(line.events("mark")) == 1)
        await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
        await providers.transcribe("Friday at ten for Sam, sam@example.com.")
        await line.until(lambda line: len(line.events("mark")) == 4)
        assert calcom.got == []
        await providers.transcribe("Yes, please.")
        await line.until(lambda line: len(line.events("mark")) == 5)
        await line.close()

    assert " ".join(providers.said[1:4]) == (
        "Just to confirm: shall I book an appointment for Sam, using sam@example.com, on Friday 29 "
        "May at 10:00? Please say yes to confirm."
    )
    assert [asked.path for asked in calcom.got] == ["/v2/bookings"]
    await sync_to_async(call.refresh_from_db)()
    assert call.bookings == [
        {
            "action": "created",
            "booking_uid": "b1",
            "start": "2026-05-29T09:00:00.000Z",
            "attendee_name": "Sam",
            "attendee_email": "sam@example.com",
            "service": "30min",
            "timezone": "Europe/London",
        }
    ]
    assert {"held", "tool", "booking"} <= set(await event_kinds(call))


async def test_a_text_is_sent_in_mid_call_where_the_agent_may(providers):
    call, token, line = await make(agent__incall_sms_enabled=True)
    wish = {"send_sms": {"text": "12 High Street"}}
    providers.replies = [wish, wish, "I have texted it to you."]

    await line.open(token)
    await line.until(lambda line: len(line.events("mark")) == 1)
    await asyncio.wait_for(providers.listening.wait(), PATIENCE_S)
    await providers.transcribe("Text me your address, please.")
    await line.until(lambda line: len(line.events("mark")) == 2)
    await line.close()

    [text] = await sync_to_async(lambda: list(Message.objects.select_related("thread")))()
    assert (text.body, text.call_id, text.origin) == ("12 High Street", call.call_id, "in_call")
    assert text.thread.their_number == call.from_number
    assert "already" in providers.prompts[-1]["messages"][-1]["content"][0]["content"]
