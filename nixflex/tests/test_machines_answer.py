"""A phone menu and a call screener answer, with real processes, real audio and touch-tones."""

import time
from typing import Any

import pytest

from nixflex.tests.test_whole_house import OUR_NUMBER, WITHIN_S, House, running_house

MENU = "+12025550116"
SCREENER = "+12025550122"

pytestmark = pytest.mark.timeout(900)


def call_both(house: House) -> dict[str, dict[str, Any]]:
    """Call the menu and the screener at once; return both calls as they ended, by number."""
    client = house.client()
    agent = client.agents.create(
        name="Mia",
        system_prompt="You are Mia of Bright Smile Dental. Press through menus with [PRESS: 1]. "
        "Say goodbye when all is said.",
        language="en",
    )
    client.phone_numbers.import_(
        OUR_NUMBER,
        agent["agent_id"],
        twilio_account_sid=house.sandbox.sid,
        twilio_auth_token=house.sandbox.token,
    )
    placed = {
        number: client.calls.create(
            agent_id=agent["agent_id"],
            to_number=number,
            prompt="Confirm our appointments for tomorrow.",
            from_number=OUR_NUMBER,
        )["call_id"]
        for number in (MENU, SCREENER)
    }
    ended: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + WITHIN_S
    while len(ended) < len(placed) and time.monotonic() < deadline:
        for number, call_id in placed.items():
            call = client.calls.get(call_id)
            if call["ended_reason"]:
                ended[number] = call
        time.sleep(0.5)
    return ended


def journal(house: House, kind: str) -> list[dict[str, Any]]:
    return list(house.ask_sandbox("GET", "journal", params={"kind": kind})["events"])


def test_a_menu_is_pressed_through_and_a_screener_told_until_a_person_comes(tmp_path_factory):
    with running_house(tmp_path_factory.mktemp("house") / "data") as house:
        ended = call_both(house)
        keys = [event["key"] for event in journal(house, "menu_key")]

    menu, screener = ended[MENU], ended[SCREENER]
    # The clinic's appointments are behind 1: heard as a tone in the agent's own voice.
    assert keys == ["1"]
    lines = menu["transcript"].split("\n")
    assert any(line.startswith("Caller: [Phone menu]") for line in lines)
    assert "AI: [PRESS:1]" in lines
    assert any(line.startswith("Caller: ") and "[" not in line for line in lines), "nobody came"
    lines = screener["transcript"].split("\n")
    assert any(line.startswith("Caller: [Call assistant]") for line in lines)
    assert any(line.startswith("AI: ") and "Mia" in line for line in lines)
    assert any(line.startswith("Caller: ") and "[" not in line for line in lines), "nobody came"
    for call in ended.values():
        assert call["ended_reason"] in {"completed", "callee_hangup"}
        assert call["voicemail_detected"] is False
