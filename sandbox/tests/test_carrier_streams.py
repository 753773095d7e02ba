"""Media Streams both ways, against a websocket server of our own."""

import asyncio
import io
import wave
from typing import Any

import aiohttp
import numpy as np
import pytest

from sandbox import faults, journal
from sandbox.carrier.line import FRAME, SILENCE, Line
from sandbox.carrier.streams import check_url
from sandbox.tests.carrier_world import THEIRS, Double, Media, World

VOICE = b"\x2a"
AGENT = b"\x17"


def stream_twiml(world: World, *, then: str = "") -> str:
    url = world.product.origin.replace("http", "ws", 1) + "/media"
    return (
        f'<Response><Connect><Stream url="{url}" statusCallback="{world.product.origin}/stream">'
        f'<Parameter name="t" value="secret-1"/></Stream></Connect>{then}</Response>'
    )


async def connect(world: World, **options: Any) -> Any:
    return await world.call(twiml=stream_twiml(world, **options))


async def test_the_handshake_is_signed_and_start_names_call_stream_and_parameters(world: World):
    got: list[Media] = []

    async def server(media: Media) -> None:
        got.append(media)
        for _ in range(5):
            await media.next()

    world.product.on_media = server
    call = await connect(world)
    await world.ended(call.sid)

    [media] = got
    connected, start, *sound = media.seen
    assert media.genuine
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": world.carrier.account.sid,
            "streamSid": media.sid,
            "callSid": call.sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"t": "secret-1"},
        },
        "streamSid": media.sid,
    }
    assert [frame["media"]["chunk"] for frame in sound] == ["1", "2", "3"]
    assert [frame["sequenceNumber"] for frame in sound] == ["2", "3", "4"]
    assert all(len(frame["media"]["payload"]) == 216 for frame in sound)


async def test_the_person_is_heard_in_real_time(world: World):
    frames: list[float] = []
    voices: list[str] = []

    async def server(media: Media) -> None:
        await media.until("start")
        for _ in range(50):
            frame = await media.until("media")
            frames.append(asyncio.get_running_loop().time())
            voices.append(frame["media"]["payload"])

    async def speak(line: Line) -> None:
        line.say(VOICE * FRAME * 10)
        while await line.hear() is not None:
            pass

    world.product.on_media = server
    world.people[THEIRS] = Double(says=speak)
    call = await connect(world)
    await world.ended(call.sid)

    assert 0.9 <= frames[-1] - frames[0] <= 1.3
    assert 7 <= sum(voice.startswith("Kioq") for voice in voices) <= 10


async def test_a_mark_comes_back_only_when_its_audio_has_been_heard(world: World):
    times: dict[str, float] = {}

    async def server(media: Media) -> None:
        await media.until("start")
        begun = asyncio.get_running_loop().time()
        for name in ("first", "second"):
            await media.play(AGENT * 1600)
            await media.send(event="mark", streamSid=media.sid, mark={"name": name})
        for _ in range(2):
            mark = await media.until("mark")
            times[mark["mark"]["name"]] = asyncio.get_running_loop().time() - begun

    world.product.on_media = server
    call = await connect(world)
    await world.ended(call.sid)

    assert list(times) == ["first", "second"]
    assert times["first"] >= 0.2
    assert times["second"] >= 0.4
    assert world.people[THEIRS].heard.count(AGENT) == 3200


async def test_clear_silences_the_agent_and_returns_every_pending_mark(world: World):
    marks: list[str] = []

    async def server(media: Media) -> None:
        await media.until("start")
        await media.play(AGENT * 8000 * 10)
        for name in ("a", "b"):
            await media.send(event="mark", streamSid=media.sid, mark={"name": name})
        for _ in range(5):
            await media.until("media")
        await media.send(event="clear", streamSid=media.sid)
        for _ in range(2):
            marks.append((await media.until("mark"))["mark"]["name"])
        for _ in range(5):
            await media.until("media")

    world.product.on_media = server
    call = await connect(world)
    await world.ended(call.sid)

    assert marks == ["a", "b"]
    assert 0 < world.people[THEIRS].heard.count(AGENT) < 8000


async def test_keys_arrive_as_dtmf(world: World):
    keys: list[Any] = []

    async def server(media: Media) -> None:
        await media.until("start")
        keys.extend([(await media.until("dtmf"))["dtmf"] for _ in range(2)])

    async def press(line: Line) -> None:
        line.press("1#")
        while await line.hear() is not None:
            pass

    world.product.on_media = server
    world.people[THEIRS] = Double(says=press)
    call = await connect(world)
    await world.ended(call.sid)

    assert keys == [
        {"track": "inbound_track", "digit": "1"},
        {"track": "inbound_track", "digit": "#"},
    ]


async def test_somebody_can_be_made_to_press_keys(world: World):
    keys: list[str] = []
    answers: list[int] = []

    async def server(media: Media) -> None:
        call_sid = (await media.until("start"))["start"]["callSid"]
        control = f"{world.origin}/_sandbox/calls"
        async with aiohttp.ClientSession() as session:
            for sid, body in ((call_sid, {"digits": "4#"}), (call_sid, {}), ("CA0", {})):
                async with session.post(f"{control}/{sid}/digits", json=body) as answer:
                    answers.append(answer.status)
        keys.extend([(await media.until("dtmf"))["dtmf"]["digit"] for _ in range(2)])

    world.product.on_media = server
    call = await connect(world)
    await world.ended(call.sid)

    assert keys == ["4", "#"]
    assert answers == [204, 400, 404]


async def test_a_hang_up_sends_stop_and_the_call_does_not_run_what_follows(world: World):
    frames: list[Any] = []

    async def server(media: Media) -> None:
        await media.until("start")
        frames.append(await media.until("stop"))
        frames.append(await media.next())

    async def go(line: Line) -> None:
        for _ in range(10):
            await line.hear()

    world.product.on_media = server
    world.people[THEIRS] = Double(says=go)
    call = await connect(world, then="<Say>never</Say>")
    await world.ended(call.sid)
    await world.product.media_closed.wait()

    stop, closed = frames
    assert stop["stop"] == {"accountSid": world.carrier.account.sid, "callSid": call.sid}
    assert closed is None
    assert [e["verb"] for e in journal.events(kind="verb", call_sid=call.sid)] == ["Connect"]


async def test_when_the_server_closes_the_next_verb_runs(world: World):
    async def server(media: Media) -> None:
        await media.until("start")

    world.product.on_media = server
    call = await connect(world, then="<Hangup/>")
    await world.ended(call.sid)
    told = await world.product.told("/stream", 2)

    assert [e["verb"] for e in journal.events(kind="verb", call_sid=call.sid)] == [
        "Connect",
        "Hangup",
    ]
    assert {k.form["StreamEvent"] for k in told} == {"stream-started", "stream-stopped"}
    assert all(k.genuine for k in told)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"event": "speak"}, 31951),
        ({"event": "clear", "extra": 1}, 31951),
        ({"event": "clear", "streamSid": "MZ0"}, 31951),
        ({"event": "media", "media": {"payload": "not base64!"}}, 31951),
        ({"event": "media", "media": {"payload": "/w==", "track": "outbound"}}, 31951),
        ({"event": "mark", "mark": {}}, 31951),
        ({"event": "mark"}, 31951),
        ([], 31951),
        ("no json", 31951),
        (b"bytes", 31924),
    ],
)
async def test_a_frame_that_the_protocol_does_not_allow_closes_the_stream(
    world: World, frame: Any, code: int
):
    async def server(media: Media) -> None:
        await media.until("start")
        if isinstance(frame, bytes):
            await media.socket.send_bytes(frame)
        elif isinstance(frame, str):
            await media.socket.send_str(frame)
        else:
            sid = {"streamSid": media.sid} if isinstance(frame, dict) else {}
            await media.socket.send_json({**sid, **frame} if isinstance(frame, dict) else frame)
        while await media.next():
            pass

    world.product.on_media = server
    call = await connect(world)
    error = await world.saw("stream_error", call.sid)
    await world.ended(call.sid)

    assert error["code"] == code


async def test_more_than_ten_minutes_of_buffered_audio_is_discarded_and_reported_once(world: World):
    async def server(media: Media) -> None:
        await media.until("start")
        for _ in range(14):
            await media.play(AGENT * 8000 * 50)
        await media.send(event="mark", streamSid=media.sid, mark={"name": "end"})
        await world.saw("mark")

    world.product.on_media = server
    call = await connect(world)
    await world.ended(call.sid)

    warnings = journal.events(kind="warning", call_sid=call.sid)
    assert [w["code"] for w in warnings] == [31931]
    assert journal.events(kind="mark", call_sid=call.sid)[0]["ahead_ms"] <= 600_000


async def test_a_redirect_sends_stop_to_the_running_stream(world: World):
    async def server(media: Media) -> None:
        await media.until("start")
        await media.until("stop")

    world.product.on_media = server
    call = await connect(world)
    await world.saw("stream_started", call.sid)

    await asyncio.to_thread(
        world.client.calls(call.sid).update, twiml="<Response><Hangup/></Response>"
    )
    ended = await world.ended(call.sid)
    await world.product.media_closed.wait()

    assert ended["status"] == "completed"
    assert journal.events(kind="stream_stopped", call_sid=call.sid)


@pytest.mark.parametrize(
    ("policy", "verbs"), [("next_verb", ["Connect", "Hangup"]), ("end_call", ["Connect"])]
)
async def test_a_lost_socket_ends_as_the_fault_says(world: World, policy: str, verbs: list[str]):
    faults.put({"stream": {"close_after_s": 0.1, "count": 1}, "socket_loss": policy})

    async def server(media: Media) -> None:
        while await media.next():
            pass

    world.product.on_media = server
    call = await connect(world, then="<Hangup/>")
    await world.ended(call.sid)

    assert [e["verb"] for e in journal.events(kind="verb", call_sid=call.sid)] == verbs
    assert journal.events(kind="stream_error", call_sid=call.sid)[0]["code"] == 31921


async def test_a_half_open_call_stays_up_until_somebody_ends_it(world: World):
    faults.put({"stream": {"close_after_s": 0.1, "count": 1}, "socket_loss": "half_open"})

    async def server(media: Media) -> None:
        while await media.next():
            pass

    world.product.on_media = server
    call = await connect(world, then="<Hangup/>")
    await world.saw("stream_error", call.sid)

    await asyncio.to_thread(world.client.calls(call.sid).update, status="completed")
    await world.ended(call.sid)

    assert [e["verb"] for e in journal.events(kind="verb", call_sid=call.sid)] == ["Connect"]


async def test_a_refused_handshake_is_reported_and_the_call_goes_on(world: World):
    url = world.product.origin.replace("http", "ws", 1) + "/not-a-socket"
    twiml = f'<Response><Connect><Stream url="{url}"/></Connect><Hangup/></Response>'

    call = await world.call(twiml=twiml)
    await world.ended(call.sid)

    assert journal.events(kind="stream_error", call_sid=call.sid)[0]["code"] == 31920
    assert [e["verb"] for e in journal.events(kind="verb", call_sid=call.sid)] == [
        "Connect",
        "Hangup",
    ]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("wss://voice.example.com/media/", True),
        ("ws://127.0.0.1:8001/media/", True),
        ("ws://localhost:8001/media/", True),
        ("ws://voice.example.com/media/", False),
        ("wss://voice.example.com/media/?t=1", False),
        ("https://voice.example.com/media/", False),
    ],
)
def test_stream_urls_are_wss_or_loopback_and_carry_no_query(url: str, allowed: bool):
    assert (check_url(url) is None) is allowed


async def test_a_recording_holds_the_person_on_channel_one_and_the_agent_on_two(world: World):
    async def server(media: Media) -> None:
        await media.until("start")
        await asyncio.to_thread(
            world.client.calls(call_sid[0]).recordings.create, recording_channels="dual"
        )
        await media.play(AGENT * 4000)
        await media.send(event="mark", streamSid=media.sid, mark={"name": "end"})
        await media.until("mark")

    async def stay(line: Line) -> None:
        while await line.hear() is not None:
            pass

    call_sid: list[str] = []
    world.product.on_media = server
    world.people[THEIRS] = Double(says=stay, rings_s=0.3)
    call = await connect(world)
    call_sid.append(call.sid)
    await world.ended(call.sid)
    [recording] = await asyncio.to_thread(world.client.recordings.list, call_sid=call.sid)
    account = world.carrier.account
    auth = {"Authorization": aiohttp.encode_basic_auth(account.sid, account.auth_token)}
    async with aiohttp.ClientSession(headers=auth) as session:
        async with session.get(f"{recording.media_url}.wav?RequestedChannels=2") as answer:
            sound = await answer.read()
        async with session.get(f"{recording.media_url}.mp3") as answer:
            mp3 = answer.status
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{recording.media_url}.wav") as answer,
    ):
        stranger = answer.status

    with wave.open(io.BytesIO(sound)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
        assert (file.getframerate(), file.getnchannels()) == (8000, 2)
    assert not samples[:, 0].any()
    assert np.count_nonzero(samples[:, 1]) == 4000
    assert (recording.status, recording.source, recording.channels) == (
        "completed",
        "StartCallRecordingAPI",
        2,
    )
    assert (mp3, stranger) == (404, 401)


def test_silence_on_a_line_is_mu_law_zero():
    line = Line(THEIRS, "CA0")

    assert line.tick(SILENCE) == b"\xff" * FRAME
