"""Twilio's wire format, both ways."""

import json

import pytest

from media.transport import Audio, BadFrame, Marked, Pressed, Started, Stopped, TwilioStream


def message(**fields: object) -> str:
    return json.dumps(fields)


def start(**audio: object) -> str:
    return message(
        event="start",
        start={
            "accountSid": "AC1",
            "callSid": "CA1",
            "streamSid": "MZ1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1} | audio,
            "customParameters": {"t": "pass"},
        },
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (start(), Started("CA1", "MZ1", {"t": "pass"})),
        (
            message(event="media", media={"track": "inbound", "timestamp": "5", "payload": "//8="}),
            Audio(b"\xff\xff", 5),
        ),
        (message(event="mark", mark={"name": "7"}), Marked("7")),
        (message(event="dtmf", dtmf={"track": "inbound_track", "digit": "#"}), Pressed("#")),
        (message(event="stop", stop={"callSid": "CA1"}), Stopped()),
        (message(event="connected", protocol="Call"), None),
        (message(event="something-new", x=1), None),
    ],
)
def test_messages_become_values_and_unknown_events_nothing(text, value):
    assert TwilioStream().decode(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "{}",
        '"media"',
        message(event="media", media={"timestamp": "1"}),
        message(event="media", media={"timestamp": "1", "payload": "no base64!"}),
        message(event="media", media={"timestamp": "soon", "payload": "//8="}),
        message(event="media", media=None),
        message(event="start", start={}),
        start(encoding="audio/L16"),
        start(sampleRate=16000),
    ],
)
def test_what_is_no_message_is_refused_by_name(text):
    with pytest.raises(BadFrame):
        TwilioStream().decode(text)


def test_messages_out_hold_the_documented_fields_and_no_more():
    stream = TwilioStream("MZ1")

    assert json.loads(stream.media(b"\xff\xff")) == {
        "event": "media",
        "streamSid": "MZ1",
        "media": {"payload": "//8="},
    }
    assert json.loads(stream.mark("7")) == {
        "event": "mark",
        "streamSid": "MZ1",
        "mark": {"name": "7"},
    }
    assert json.loads(stream.clear()) == {"event": "clear", "streamSid": "MZ1"}
