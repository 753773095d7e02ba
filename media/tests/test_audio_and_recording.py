"""µ-law, voices in it, and the file that both sides leave."""

import wave
from typing import Any

import numpy as np

from media.audio import LINEAR, SILENCE, VoiceActivity, is_loud, stereo_pcm
from media.recorder import Recorder

LOUD = bytes([0x10]) * 160  # a large positive-going code, far above a line's hiss
QUIET = SILENCE * 160


def recorder(tmp_path) -> Recorder:
    return Recorder(tmp_path / "call.wav", lambda write, *args: write(*args))


def channels(path) -> tuple[np.ndarray, np.ndarray]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    return samples[:, 0], samples[:, 1]


def heard(channel: np.ndarray) -> tuple[int, int]:
    """The first and last ms with sound, the last exclusive."""
    loud = np.flatnonzero(np.abs(channel) > 100)
    return int(loud[0]) // 8, (int(loud[-1]) + 1) // 8


def test_the_decoding_is_g711s():
    assert [int(LINEAR[code]) for code in (0xFF, 0x7F, 0x80, 0x00, 0xF0, 0x8F)] == [
        0, 0, 32124, -32124, 120, 16764,
    ]  # fmt: skip


def test_two_channels_are_interleaved_left_first():
    assert stereo_pcm(b"\x80", b"\x00") == (32124).to_bytes(2, "little") + (-32124).to_bytes(
        2, "little", signed=True
    )


def test_silence_and_hiss_are_not_loud_and_a_voice_is():
    hiss = bytes([0xF8, 0x78] * 80)

    assert [is_loud(frame) for frame in (QUIET, hiss, LOUD, b"")] == [False, False, True, False]


def test_a_voice_is_known_after_60_ms_and_its_end_after_240():
    activity = VoiceActivity()

    assert [activity.hear(LOUD) for _ in range(3)] == [None, None, True]
    assert [activity.hear(QUIET) for _ in range(12)] == [None] * 11 + [False]


def test_the_end_of_a_voice_is_dated_before_it_is_certain():
    activity = VoiceActivity()
    for _ in range(5):
        activity.hear(LOUD)

    assert activity.quiet_ms == 0
    for _ in range(4):
        activity.hear(QUIET)
    assert (activity.loud, activity.quiet_ms) == (True, 80)


def test_a_click_is_no_voice():
    activity = VoiceActivity()

    assert [activity.hear(f) for f in (LOUD, LOUD, QUIET, LOUD, QUIET)] == [None] * 5


def test_both_sides_stand_where_they_were_in_time(tmp_path):
    record = recorder(tmp_path)
    for at in range(0, 1_000, 20):
        record.caller(at, LOUD if 200 <= at < 400 else QUIET)
    record.agent(500, LOUD * 10)
    record.finish(1_000)

    left, right = channels(record.path)
    assert len(left) == len(right) == 8_000
    assert heard(left) == (200, 400)
    assert heard(right) == (500, 700)
    assert record.duration_s == 1


def test_audio_sent_ahead_is_recorded_when_it_is_heard(tmp_path):
    record = recorder(tmp_path)
    record.agent(100, LOUD * 10)
    record.agent(110, LOUD * 10)
    record.finish(1_000)

    assert heard(channels(record.path)[1]) == (100, 500)


def test_what_a_clear_took_back_is_not_in_the_recording(tmp_path):
    record = recorder(tmp_path)
    record.agent(100, LOUD * 50)
    record.cut(300)
    record.agent(600, LOUD * 5)
    record.finish(1_000)

    right = channels(record.path)[1]
    assert heard(right) == (100, 700)
    assert not np.any(right[300 * 8 : 600 * 8])


def test_a_gap_in_the_callers_audio_is_silence_and_shifts_nothing(tmp_path):
    record = recorder(tmp_path)
    record.caller(0, LOUD)
    record.caller(600, LOUD)
    record.finish(700)

    left = channels(record.path)[0]
    assert heard(left) == (0, 620)
    assert not np.any(left[20 * 8 : 600 * 8])


def test_a_long_call_is_written_as_it_goes_and_keeps_its_alignment(tmp_path):
    record = recorder(tmp_path)
    most = 0
    for at in range(0, 60_000, 20):
        record.caller(at, LOUD if at == 50_000 else QUIET)
        if at == 50_000:
            record.agent(at, LOUD)
        record.settle(at + 20)
        most = max(most, len(record._left))
    record.finish(60_000)

    left, right = channels(record.path)
    assert heard(left) == heard(right) == (50_000, 50_020)
    assert most <= 3_020 * 8


def test_a_process_that_takes_over_goes_on_in_the_same_recording(tmp_path):
    writes: list[Any] = []
    path = tmp_path / "call.wav"

    def put(write: Any, *args: Any) -> None:
        writes.append((write, args))

    first = Recorder(path, put)
    first.caller(0, bytes([0x10]) * 8_000)
    first.finish(1_000)
    second = Recorder(path, put, begins_ms=3_000)
    second.caller(3_000, bytes([0x10]) * 8_000)
    second.finish(4_000)
    for write, args in writes:
        write(*args)

    with wave.open(str(path)) as recording:
        assert (recording.getnchannels(), recording.getsampwidth()) == (2, 2)
        assert recording.getnframes() == 32_000
        frames = recording.readframes(32_000)
    left = [frames[4 * at : 4 * at + 2] for at in (100, 12_000, 20_000, 31_000)]
    silence = b"\0\0"
    assert [sample == silence for sample in left] == [False, True, True, False]
    assert second.duration_s == 4


def test_a_recording_whose_process_was_killed_can_be_played(tmp_path):
    writes: list[Any] = []
    recorder = Recorder(tmp_path / "call.wav", lambda *job: writes.append(job))
    recorder.caller(0, bytes([0x10]) * 6_000 * 8)
    recorder.settle(6_000)

    [(write, *args)] = writes
    write(*args)  # and no close

    with wave.open(str(tmp_path / "call.wav")) as recording:
        assert recording.getnframes() == 5_000 * 8
