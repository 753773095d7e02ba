"""Texts out and in, with Twilio's own SDK."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from twilio.base.exceptions import TwilioRestException

from sandbox import journal
from sandbox.carrier.messages import segments
from sandbox.tests.carrier_world import OURS, THEIRS, Double, World


@pytest_asyncio.fixture
async def world(world: World) -> World:
    world.carrier.account.numbers[OURS].settings["sms_url"] = f"{world.product.origin}/sms"
    return world


async def text(world: World, body: str = "Hello", **options: Any) -> Any:
    values = {"to": THEIRS, "from_": OURS, "body": body, **options}
    return await asyncio.to_thread(world.client.messages.create, **values)


async def test_a_text_is_sent_then_delivered_and_the_first_state_is_not_told(world: World):
    message = await text(world, status_callback=f"{world.product.origin}/status")
    told = await world.product.told("/status", 2)

    assert (message.status, message.num_segments, message.direction) == (
        "queued",
        "1",
        "outbound-api",
    )
    assert [k.form["MessageStatus"] for k in told] == ["sent", "delivered"]
    assert all(k.genuine and k.form["MessageSid"] == message.sid for k in told)
    assert (await asyncio.to_thread(world.client.messages(message.sid).fetch)).status == "delivered"


async def test_a_person_texts_back(world: World):
    world.people[THEIRS] = Double(replies=[(0.0, "Yes please")])

    await text(world)
    [reply] = await world.product.told("/sms")

    assert reply.genuine
    assert (reply.form["Body"], reply.form["From"], reply.form["To"]) == (
        "Yes please",
        THEIRS,
        OURS,
    )
    assert (reply.form["SmsStatus"], reply.form["NumSegments"]) == ("received", "1")
    assert reply.form["MessageSid"] == reply.form["SmsSid"] == reply.form["SmsMessageSid"]


async def test_twiml_can_answer_a_text(world: World):
    world.product.twiml["/sms"] = "<Response><Message>Noted, thanks.</Message></Response>"

    world.carrier.texts.receive(to=OURS, from_=THEIRS, body="Tuesday is fine")
    await world.product.told("/sms")
    await world.saw("text_created")

    [answer] = [
        m for m in world.carrier.account.messages.values() if m.direction == "outbound-reply"
    ]
    assert (answer.body, answer.to) == ("Noted, thanks.", THEIRS)


async def test_stop_blocks_further_texts_until_start(world: World):
    world.carrier.texts.receive(to=OURS, from_=THEIRS, body=" stop ")
    await world.product.told("/sms", 1)

    with pytest.raises(TwilioRestException) as refusal:
        await text(world)
    sent_while_stopped = journal.events(kind="text_created")
    world.carrier.texts.receive(to=OURS, from_=THEIRS, body="START")
    message = await text(world)

    assert refusal.value.code == 21610
    assert [e["direction"] for e in sent_while_stopped] == ["outbound-reply"]
    assert message.status == "queued"


async def test_a_stop_inside_a_sentence_is_not_a_keyword(world: World):
    world.carrier.texts.receive(to=OURS, from_=THEIRS, body="please cancel my appointment")

    assert (await text(world)).status == "queued"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"body": "x" * 1601}, 21617),
        ({"from_": "+14155550000"}, 21606),
        ({"to": "123"}, 21211),
        ({"body": ""}, 21602),
        ({"from_": None}, 21603),
        ({"to": "+15005550009"}, 21614),
        ({"to": "+15005550003"}, 21408),
        ({"from_": None, "messaging_service_sid": "MG" + "0" * 32}, 21701),
        ({"status_callback": "x"}, 21609),
    ],
)
async def test_a_text_that_twilio_would_refuse_is_refused_and_not_sent(
    world: World, change: dict[str, Any], code: int
):
    with pytest.raises(TwilioRestException) as refusal:
        await text(world, **change)

    assert (refusal.value.status, refusal.value.code) == (400, code)
    assert world.carrier.account.messages == {}


async def test_magic_numbers_fail_after_acceptance(world: World):
    message = await text(world, to="+15005553007", status_callback=f"{world.product.origin}/status")
    told = await world.product.told("/status", 2)

    assert message.status == "queued"
    assert (told[1].form["MessageStatus"], told[1].form["ErrorCode"]) == ("undelivered", "30007")


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 10, 2),
        ("ü" * 160, 1),
        ("“" + "a" * 69, 1),
        ("“" + "a" * 70, 2),
        ("👍" * 35, 1),
        ("👍" * 36, 2),
        ("", 1),
    ],
)
def test_segments_are_counted_as_the_network_carries_them(body: str, count: int):
    assert segments(body) == count
