"""Calls of the sandbox, as they were: the machine of today must decide as it did.

There is no tolerance. If a rule was changed on purpose, look at what it changes (``manage.py
replay_call FILE``), then record again (``make record-corpus``, or its ``--decide-again``).
"""

import gzip
from pathlib import Path

import pytest

from media import beginning, caller
from media.replay import Flight, read, replay

CORPUS = Path(__file__).with_name("corpus")
# What each call is in the corpus for: an action's name, or a note's or an ending's.
SHOWS = {
    "backchannels": {"Pause", "false_stop"},
    "booking-read-back": {"UseTools", "held"},
    "hangs-up-at-once": {"Opened"},
    "inbound": {"completed"},
    "interruption": {"Clear", "interrupted"},
    "keypad": {"Digit"},
    "model-failure": {"model_failed"},
    "phone-menu": {"answered_by", "completed"},
    "plain-talk": {"completed"},
    "process-killed": {"2 sockets"},
    "refusal": {"RefuseContact", "completed"},
    "screening": {"answered_by", "completed"},
    "silence": {"silence_timeout"},
    "slow-speaker": {"completed"},
    "transfer": {"HandOver", "1 sockets"},
    "transfer-in-vain": {"HandOver", "2 sockets"},
    "voicemail-hung-up": {"voicemail_detected"},
    "voicemail-message": {"voicemail_detected", "Beep"},
}


def flights_of(name: str) -> list[Flight]:
    return read(gzip.decompress((CORPUS / f"{name}.jsonl.gz").read_bytes()).splitlines())


def shown_by(flights: list[Flight]) -> set[str]:
    shown = {f"{len(flights)} sockets"}
    for flight in flights:
        for step in flight.steps:
            shown.add(type(step.event).__name__)
            for action in step.actions:
                shown |= {action["action"], action.get("kind", ""), action.get("reason", "")}
    return shown


def test_the_corpus_is_complete():
    assert {path.name for path in CORPUS.iterdir()} == {f"{name}.jsonl.gz" for name in SHOWS}


@pytest.mark.parametrize("name", SHOWS)
def test_a_recorded_call_is_decided_today_as_it_was_then(name):
    flights = flights_of(name)

    assert SHOWS[name] <= shown_by(flights)
    for flight in flights:
        differences = replay(flight)
        assert not differences, "\n".join(map(str, differences))


def test_a_changed_rule_shows_in_the_calls_that_it_changes(monkeypatch):
    monkeypatch.setattr(beginning, "BEAT_MS", 1_600)
    monkeypatch.setattr(caller, "KEYPAD_PAUSE_MS", 500)

    changed = {name for name in SHOWS if any(map(replay, flights_of(name)))}

    assert "plain-talk" in changed
    assert "inbound" not in changed  # there is no beat before an inbound greeting
