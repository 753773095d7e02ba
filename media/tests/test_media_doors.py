"""Who may open a media socket, and what closes it."""

import pytest

from conftest import PATIENCE_S
from media import consumers
from media.tests.line import Line
from media.tests.live_calls import event_kinds, make, turns

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_pass_opens_one_socket_only(providers):
    call, token, line = await make()
    await line.open(token)
    await line.until(lambda line: bool(line.events("mark")))
    await line.send(event="stop", streamSid="MZ1", stop={"callSid": call.carrier_sid})
    await line.closes()

    carrier = call.number.carrier_account
    again = Line(account_sid=carrier.sid, auth_token=carrier.auth_token, call_sid=call.carrier_sid)
    await again.open(token)
    assert await again.closes() == consumers.REFUSED
    assert again.messages == []


@pytest.mark.parametrize(
    ("token", "code"),
    [(None, consumers.NO_TICKET), ("invented", consumers.REFUSED)],
)
async def test_a_socket_without_a_good_pass_is_refused_and_nothing_is_said(providers, token, code):
    call, _, line = await make()

    await line.open(token)
    assert await line.closes() == code
    await call.arefresh_from_db()
    assert (providers.said, call.status, call.media_generation) == ([], "ringing", 0)


async def test_a_handshake_that_the_carrier_did_not_sign_is_refused(providers):
    call, token, _ = await make()
    carrier = call.number.carrier_account
    forged = Line(account_sid=carrier.sid, auth_token="0" * 32, call_sid=call.carrier_sid)

    await forged.open(token)
    assert await forged.closes() == consumers.REFUSED
    await call.arefresh_from_db()
    assert (providers.said, call.status) == ([], "ringing")


async def test_a_pass_for_another_call_is_refused(providers):
    _, token, line = await make()
    line.call_sid = "CA" + "0" * 32

    await line.open(token)
    assert await line.closes() == consumers.REFUSED
    assert providers.said == []


async def test_a_socket_that_never_starts_is_closed(providers, monkeypatch):
    monkeypatch.setattr(consumers, "START_TIMEOUT_S", 0.05)
    _, _, line = await make()

    await line.socket.connect(timeout=PATIENCE_S)
    output = await line.socket.receive_output(timeout=PATIENCE_S)
    assert output == {"type": "websocket.close", "code": consumers.NO_START}


async def test_what_is_no_message_before_the_start_closes_the_socket(providers):
    _, _, line = await make()

    await line.socket.connect(timeout=PATIENCE_S)
    await line.socket.send_to(text_data="hello there")
    output = await line.socket.receive_output(timeout=PATIENCE_S)
    assert output == {"type": "websocket.close", "code": consumers.BAD_MESSAGE}


async def test_who_talks_on_and_never_starts_is_not_listened_to(providers):
    _, _, line = await make()

    await line.socket.connect(timeout=PATIENCE_S)
    for _ in range(consumers.MOST_BEFORE_START + 1):
        await line.socket.send_to(text_data='{"event":"connected"}')
    output = await line.socket.receive_output(timeout=PATIENCE_S)
    assert output == {"type": "websocket.close", "code": consumers.BAD_MESSAGE}


async def test_bad_frames_are_noted_and_then_end_the_socket(providers):
    call, token, line = await make()
    await line.open(token)
    await line.until(lambda line: bool(line.events("mark")))

    for _ in range(consumers.MOST_BAD_FRAMES):
        await line.socket.send_to(text_data='{"event":"media","media":{"payload":"?"}}')
    assert await line.closes() == consumers.BAD_MESSAGE
    assert (await event_kinds(call)).count("bad_frame") == 1
    assert await turns(call) == [("agent", "Hello, this is Acme.")]
