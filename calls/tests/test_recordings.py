from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.factories import UserFactory
from calls.factories import CallFactory
from calls.models import Call
from calls.recordings import signed_url

pytestmark = pytest.mark.django_db

WAV = bytes(range(100))


@pytest.fixture
def call(settings: Any, tmp_path: Path) -> Call:
    settings.RECORDINGS_DIR = tmp_path
    (tmp_path / "a.wav").write_bytes(WAV)
    return CallFactory.create(over=True, recording_file="a.wav")


def address(call: Call) -> str:
    url = urlsplit(signed_url(call) or "")
    return f"{url.path}?{url.query}"


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_a_signed_address_plays_for_a_day_and_no_longer(call: Call):
    url = address(call)

    answer = Client().get(url)
    assert (answer.status_code, content(answer)) == (200, WAV)
    assert (answer["Content-Type"], answer["Accept-Ranges"]) == ("audio/wav", "bytes")

    with time_machine.travel(timezone.now() + timedelta(hours=23, minutes=59), tick=False):
        assert Client().get(url).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1), tick=False):
        assert Client().get(url).status_code == 404


def test_a_signature_is_for_one_call(call: Call):
    other = CallFactory.create(over=True, recording_file="a.wav")
    query = address(other).partition("?")[2]

    assert Client().get(f"/recordings/{call.call_id}.wav?{query}").status_code == 404
    assert Client().get(f"/recordings/{call.call_id}.wav").status_code == 404
    assert Client().get(f"/recordings/{call.call_id}.wav?s=x:y").status_code == 404


@pytest.mark.parametrize(
    ("is_staff", "permissions", "status"),
    [
        (True, ["view_call"], 200),
        (True, ["view_dialattempt"], 404),
        (True, [], 404),
        (False, ["view_call"], 404),
    ],
)
def test_staff_who_may_see_calls_hear_recordings_by_their_session(
    call: Call, is_staff: bool, permissions: list[str], status: int
):
    user = UserFactory.create(is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)

    answer = client.get(f"/recordings/{call.call_id}.wav")

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("asked", "sent", "part"),
    [
        ("bytes=0-", "bytes 0-99/100", WAV),
        ("bytes=10-19", "bytes 10-19/100", WAV[10:20]),
        ("bytes=90-500", "bytes 90-99/100", WAV[90:]),
        ("bytes=-5", "bytes 95-99/100", WAV[95:]),
        ("bytes=-500", "bytes 0-99/100", WAV),
    ],
)
def test_a_player_may_ask_for_a_part(call: Call, asked: str, sent: str, part: bytes):
    answer = Client().get(address(call), headers={"Range": asked})

    assert (answer.status_code, answer["Content-Range"], answer.content) == (206, sent, part)


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=5-2"])
def test_a_part_that_is_not_there_is_416(call: Call, asked: str):
    answer = Client().get(address(call), headers={"Range": asked})

    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */100")


@pytest.mark.parametrize("asked", ["bytes=-", "lines=1-2", "bytes=0-1,5-6", "bytes=a-b"])
def test_a_range_that_makes_no_sense_gets_the_whole(call: Call, asked: str):
    answer = Client().get(address(call), headers={"Range": asked})

    assert (answer.status_code, content(answer)) == (200, WAV)


@pytest.mark.parametrize("file", ["../a.wav", "gone.wav", ""])
def test_a_file_that_is_not_there_or_outside_the_folder_is_not_found(
    call: Call, file: str, tmp_path: Path
):
    url = address(call)
    Call.objects.filter(pk=call.pk).update(recording_file=file)

    assert Client().get(url).status_code == 404


def test_a_call_without_recording_has_no_address():
    assert signed_url(CallFactory.create(over=True)) is None
