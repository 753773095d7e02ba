"""The REST surface: credentials, numbers, refusals, lists, control."""

import asyncio
import re
from typing import Any

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from sandbox import journal
from sandbox.carrier.state import ACCOUNT_SID, OWNED_NUMBERS
from sandbox.tests.carrier_world import OURS, THEIRS, Double, World


async def refused(work: Any, *args: Any, **kwargs: Any) -> tuple[int, int]:
    """The (HTTP status, code) that the SDK raises."""
    with pytest.raises(TwilioRestException) as refusal:
        await asyncio.to_thread(work, *args, **kwargs)
    return refusal.value.status, refusal.value.code


async def test_the_account_is_shown_to_its_owner_and_to_nobody_else(world: World):
    account = await asyncio.to_thread(world.client.api.accounts(ACCOUNT_SID).fetch)
    stranger = Client(ACCOUNT_SID, "wrong")
    stranger.api.base_url = world.origin

    assert (account.sid, account.status) == (ACCOUNT_SID, "active")
    assert await refused(stranger.api.accounts(ACCOUNT_SID).fetch) == (401, 20003)
    assert await refused(stranger.calls.create, to=THEIRS, from_=OURS, twiml="<Response/>") == (
        401,
        20003,
    )
    assert world.carrier.account.calls == {}


async def test_a_number_is_found_by_any_part_of_it(world: World):
    find = world.client.incoming_phone_numbers.list

    everything = await asyncio.to_thread(find)
    uk = await asyncio.to_thread(find, phone_number="+447446466847")
    part = await asyncio.to_thread(find, phone_number="5550109")
    none = await asyncio.to_thread(find, phone_number="+19998887777")

    assert tuple(n.phone_number for n in everything) == OWNED_NUMBERS
    assert [n.phone_number for n in uk] == ["+447446466847"]
    assert [n.phone_number for n in part] == ["+12025550109"]
    assert none == []
    assert re.fullmatch("PN[0-9a-f]{32}", uk[0].sid)


async def test_lists_come_in_pages(world: World):
    pages = world.client.incoming_phone_numbers

    found = await asyncio.to_thread(pages.list, page_size=3)

    assert len(found) == len(OWNED_NUMBERS)


async def test_a_numbers_webhooks_are_changed_and_a_bad_one_changes_nothing(world: World):
    number = (await asyncio.to_thread(world.client.incoming_phone_numbers.list, phone_number=OURS))[
        0
    ]

    changed = await asyncio.to_thread(
        number.update,
        voice_url="https://x.example.com/v",
        voice_method="GET",
        sms_url="https://x.example.com/s",
    )
    bad = await refused(number.update, voice_url="not a url", sms_url="https://y.example.com/")
    after = await asyncio.to_thread(number.fetch)

    assert (changed.voice_url, changed.voice_method) == ("https://x.example.com/v", "GET")
    assert bad == (400, 21402)
    assert after.sms_url == "https://x.example.com/s"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "12345"}, 21211),
        ({"from_": "nobody"}, 21212),
        ({"from_": "+14155550000"}, 21210),
        ({"to": "+15005550003"}, 21215),
        ({"to": "+15005550001"}, 21211),
        ({"to": "+13125550177"}, 21217),
        ({"twiml": None}, 21205),
        ({"twiml": None, "url": "ftp://x"}, 21205),
        ({"twiml": None, "url": "https://bad_host.example.com/"}, 21205),
        ({"twiml": None, "application_sid": "AP" + "0" * 32}, 21218),
        ({"status_callback": "nowhere"}, 21609),
        ({"status_callback_event": ["finished"]}, 21626),
        ({"timeout": 601}, 20422),
        ({"machine_detection": "Maybe"}, 20422),
        ({"machine_detection_timeout": 90, "machine_detection": "Enable"}, 20422),
        ({"twiml": "<Response>" + " " * 4000 + "</Response>"}, 20422),
    ],
)
async def test_a_call_that_twilio_would_refuse_is_refused_and_not_made(
    world: World, change: dict[str, Any], code: int
):
    world.people["+13125550177"] = Double(refusal_code=21217)
    values = {"to": THEIRS, "from_": OURS, "twiml": "<Response/>"} | change

    assert await refused(world.client.calls.create, **values) == (400, code)
    assert world.carrier.account.calls == {}
    assert world.product.knocks == []


async def test_an_unknown_parameter_is_named(world: World):
    url = f"{world.origin}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
    token = world.carrier.account.auth_token
    auth = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, token)}
    form = {"To": THEIRS, "From": OURS, "Twiml": "<Response/>", "MachineDetect": "Enable"}

    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=form, headers=auth) as answer,
    ):
        status, body = answer.status, await answer.json()

    assert status == 400
    assert body == {
        "code": 20001,
        "message": "Unknown parameters: MachineDetect",
        "more_info": "https://www.twilio.com/docs/errors/20001",
        "status": 400,
    }
    assert world.carrier.account.calls == {}


async def test_what_does_not_exist_is_20404(world: World):
    nothing = "CA" + "0" * 32

    assert await refused(world.client.calls(nothing).fetch) == (404, 20404)
    assert await refused(world.client.messages("SM" + "0" * 32).fetch) == (404, 20404)


async def test_calls_are_listed_by_party_status_and_start(world: World):
    ended = await world.call(twiml="<Response><Hangup/></Response>")
    await world.ended(ended.sid)
    world.people["+13125550143"] = Double(answers="busy")
    busy = await world.call(to="+13125550143", twiml="<Response/>")
    await world.ended(busy.sid)
    made = world.carrier.account.calls[busy.sid]
    find = world.client.calls.list

    async def sids(**filters: Any) -> list[str]:
        return [call.sid for call in await asyncio.to_thread(find, **filters)]

    assert await sids() == [busy.sid, ended.sid]
    assert await sids(to=THEIRS) == [ended.sid]
    assert await sids(status="busy") == [busy.sid]
    assert await sids(to=THEIRS, from_=OURS, start_time_after=made.created.replace(year=2000)) == [
        ended.sid
    ]
    assert await sids(start_time_after=made.created.replace(year=2099)) == []
    assert await sids(start_time_before=made.created.replace(year=2000)) == []


async def test_people_can_be_made_to_call_and_to_hang_up(world: World):
    world.carrier.account.numbers[OURS].settings["voice_url"] = f"{world.product.origin}/inbound"
    world.product.twiml["/inbound"] = '<Response><Play digits="w"/><Pause length="50"/></Response>'
    control = f"{world.origin}/_sandbox/calls"
    async with aiohttp.ClientSession() as session:
        async with session.post(control, json={"from": THEIRS, "to": OURS}) as answer:
            call = await answer.json()
        await world.saw("verb", call["sid"])
        async with session.delete(f"{control}/{call['sid']}") as answer:
            assert answer.status == 204
        async with session.post(control, json={"from": THEIRS, "to": "+14155550000"}) as answer:
            foreign = answer.status
        async with session.post(control, data="no json") as answer:
            bad = answer.status

    assert (await world.ended(call["sid"]))["status"] == "completed"
    assert (foreign, bad) == (400, 400)
    assert len(world.carrier.account.calls) == 1


async def test_the_journal_is_read_in_order_and_waits_for_news(world: World):
    start = journal.last()
    async with aiohttp.ClientSession() as session:
        url = f"{world.origin}/_sandbox/journal?after={start}&wait=5&kind=call_ended"
        waiting = asyncio.create_task(session.get(url))
        call = await world.call(twiml="<Response><Hangup/></Response>")
        async with await waiting as answer:
            news = await answer.json()
        async with session.get(f"{world.origin}/_sandbox/journal?after={start}") as answer:
            everything = (await answer.json())["events"]
        async with session.get(f"{world.origin}/_sandbox/journal?after=x") as answer:
            bad = answer.status

    assert [event["call_sid"] for event in news["events"]] == [call.sid]
    assert [event["n"] for event in everything] == sorted(event["n"] for event in everything)
    assert bad == 400


async def test_a_fault_that_does_not_exist_is_refused_and_the_old_ones_stay(world: World):
    url = f"{world.origin}/_sandbox/faults"
    async with aiohttp.ClientSession() as session:
        async with session.put(url, json={"stream": {"close_after_s": 1}}) as answer:
            assert answer.status == 200
        async with session.put(url, json={"gravity": {}}) as answer:
            assert (answer.status, "gravity" in (await answer.json())["error"]) == (400, True)
        async with session.get(url) as answer:
            kept = await answer.json()
        async with session.delete(url) as answer:
            assert answer.status == 204
        async with session.get(url) as answer:
            cleared = await answer.json()

    assert kept == {"stream": {"close_after_s": 1}}
    assert cleared == {}
