"""``manage.py replay_call``."""

import io
import json
from pathlib import Path
from typing import Any, cast

import pytest
from django.core.management import CommandError, call_command

from calls.factories import CallFactory
from calls.flights import store_flight
from calls.models import Call, FlightLog
from calls.retention import delete_call
from media import beginning
from media.flight import FlightRecorder
from media.tests.test_replay import a_short_call

pytestmark = pytest.mark.django_db


def recorded_call() -> Call:
    call = cast("Call", CallFactory(over=True))
    play = a_short_call(pk=call.pk)
    recorder = FlightRecorder(play.machine.call, lambda write, *arguments: write(*arguments))
    for step in play.steps:
        recorder.step(*step)
    recorder.hand_over()
    return call


def run(call: Any, **options: Any) -> tuple[int, str]:
    """Return the exit status and what was printed."""
    out = io.StringIO()
    try:
        call_command("replay_call", str(call), stdout=out, **options)
    except SystemExit as left:
        return int(left.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_a_call_decided_by_the_rules_of_today_shows_no_difference():
    call = recorded_call()

    status, printed = run(call)

    assert status == 0
    assert printed.startswith("Socket 1: ")
    assert printed.endswith(": the same decisions.\n")


def test_a_changed_rule_is_shown_and_is_an_exit_status_of_one(monkeypatch):
    call = recorded_call()
    monkeypatch.setattr(beginning, "BEAT_MS", 500)

    status, printed = run(call)

    assert status == 1
    assert "other decisions at 2 of them (- then, + now)." in printed
    assert '    + Speak(clause_id=1, text="Hello, this is Mia of Acme.")' in printed
    status, printed = run(call, json=True)
    assert status == 1
    [socket] = json.loads(printed)["sockets"]
    assert [one["t"] for one in socket["differences"]] == [500, 800]


def test_an_exported_recording_is_played_from_its_file(tmp_path: Path):
    call = recorded_call()
    file = tmp_path / "short.jsonl.gz"
    run(call, export=file)
    FlightLog.objects.all().delete()

    status, printed = run(file)

    assert (status, printed.count("the same decisions")) == (0, 1)


@pytest.mark.parametrize("data", [None, b"nonsense"])
def test_what_cannot_be_played_is_an_exit_status_of_two(data):
    call = CallFactory(over=True)
    if data is not None:
        store_flight(call.pk, 1, 0, data)

    with pytest.raises(CommandError) as refused:
        run(call)
    assert refused.value.returncode == 2
    with pytest.raises(CommandError, match="There is no call"):
        run("call_0000")


def test_a_flight_log_goes_with_its_call():
    call = recorded_call()
    other = recorded_call()

    delete_call(call.account, call.call_id)

    assert {log.call_id for log in FlightLog.objects.all()} == {other.pk}
