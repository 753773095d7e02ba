"""Callers who want a person, with real processes and real audio."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import PATIENCE_S
from nixflex.tests.test_lost_process import Journal, Records
from nixflex.tests.test_whole_house import WITHIN_S, House, running_house

TOM, BUSY, NOBODY = "+12025550129", "+12025550114", "+12025550113"
CALLER = "+12025550142"

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house") / "data") as house:
        yield house


@pytest.fixture(scope="module")
def client(house: House) -> Any:
    return house.client()


def agent_for(house: House, client: Any, number: str, prompt: str, **settings: Any) -> str:
    """Return the id of an agent with that number, whose person asks for a human."""
    agent = client.agents.create(
        name="Mia",
        system_prompt=f"You are Mia of Bright Smile Dental. {prompt}",
        language="en",
        amd_enabled=False,
        **settings,
    )
    client.phone_numbers.import_(
        number,
        agent["agent_id"],
        twilio_account_sid=house.sandbox.sid,
        twilio_auth_token=house.sandbox.token,
    )
    person = {"say": ["Can I speak to a real person, please?"], "rings_s": 0.3}
    house.ask_sandbox("PUT", f"people/{CALLER}", json=person | {"patience_s": PATIENCE_S})
    return str(agent["agent_id"])


def call(client: Any, agent_id: str) -> str:
    placed = client.calls.create(agent_id=agent_id, to_number=CALLER, prompt="Ask if all is well.")
    return str(placed["call_id"])


def heard_by(journal: Journal, number: str, words: str) -> None:
    journal.wait_for(
        "person_heard",
        lambda event: event["number"] == number and words in event["text"].lower(),
    )


def over(client: Any, call_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        record: dict[str, Any] = client.calls.get(call_id)
        if record["ended_reason"]:
            return record
        time.sleep(0.3)
    raise AssertionError(f"the call did not end: {record}")


def test_a_caller_is_put_through_and_talks_to_the_colleague(house: House, client: Any):
    agent_id = agent_for(
        house,
        client,
        "+12025550100",
        f"If the caller wants a person, write [TRANSFER:{TOM}].",
        record_call=True,
    )
    journal = Journal(house)

    call_id = call(client, agent_id)
    bridged = journal.wait_for("bridged")
    heard_by(Journal.of(house, bridged["call_sid"]), CALLER, "go ahead")
    live = Records(house).call(call_id)
    house.ask_sandbox("DELETE", f"calls/{bridged['child']}")
    record = over(client, call_id)

    assert (live["status"], live["ended_reason"]) == ("in-progress", "")
    assert (record["call_status"], record["ended_reason"]) == ("completed", "transferred")
    [transfer] = record["transfers"]
    assert (transfer["to_number"], transfer["type"], transfer["status"]) == (TOM, "cold", "bridged")
    assert record["charged_minutes"] * 60_000 < record["duration_ms"]
    assert record["transcript"].split("\n")[-1].startswith("AI: ")
    assert record["recording_duration_s"] * 1000 < record["duration_ms"]


def test_a_colleague_hears_what_it_is_about_before_the_caller(house: House, client: Any):
    agent_id = agent_for(
        house,
        client,
        "+12025550101",
        "If the caller wants a person, put them through to the desk.",
        transfer_number=TOM,
        transfer_type="warm",
        transfer_whisper="This is the dental assistant. The caller has a question about a bill.",
    )
    journal = Journal(house)

    call_id = call(client, agent_id)
    bridged = journal.wait_for("bridged")
    whole = Journal.of(house, bridged["child"])
    heard_by(whole, TOM, "question about a bill")
    house.ask_sandbox("DELETE", f"calls/{bridged['call_sid']}")
    record = over(client, call_id)

    assert record["ended_reason"] == "transferred"
    [transfer] = record["transfers"]
    assert (transfer["type"], transfer["status"]) == ("warm", "bridged")
    assert house.ask_sandbox("GET", "journal", params={"kind": "say"})["events"] == []


def test_a_caller_whom_nobody_takes_comes_back_to_the_agent_who_tries_the_next_and_says_so(
    house: House, client: Any
):
    agent_id = agent_for(
        house,
        client,
        "+12025550102",
        f"If the caller wants a person, write [TRANSFER:{BUSY}]. "
        f"If that line is busy, transfer them to {NOBODY}.",
    )
    journal = Journal(house)

    call_id = call(client, agent_id)
    first = journal.wait_for("dial_ended")
    journal.call_sid = first["call_sid"]
    second = journal.wait_for("dial_ended")
    heard_by(journal, CALLER, "nobody could take the call")
    house.ask_sandbox("DELETE", f"calls/{journal.call_sid}")
    record = over(client, call_id)

    assert (first["DialCallStatus"], second["DialCallStatus"]) == ("busy", "no-answer")
    assert record["ended_reason"] == "callee_hangup"
    assert [(one["to_number"], one["status"], one["failure"]) for one in record["transfers"]] == [
        (BUSY, "failed", "busy"),
        (NOBODY, "failed", "no-answer"),
    ]
    assert "lost you" not in record["transcript"]
    assert record["charged_minutes"] * 60_000 == pytest.approx(record["duration_ms"], abs=600)
