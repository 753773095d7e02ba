"""Talking to an agent in a real browser, with a voice in its microphone, through real processes."""

import re
import wave
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from nixflex.tests.browser import keep_picture, open_page, running_browser, unreadable
from nixflex.tests.test_lost_process import Records
from nixflex.tests.test_whole_house import WITHIN_S, House, running_house

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

RATE = 16_000
UNTIL_THE_GREETING_IS_OVER_S = 9
PASSWORD = "a-Long-one-for-a-test"


def speech(house: House, text: str, file: Path) -> Path:
    """A microphone's recording: silence while the agent greets, then ``text``."""
    spoken = httpx.post(
        f"{house.sandbox.url}/v1/speak",
        params={
            "model": "aura-2-orion-en", "encoding": "linear16", "sample_rate": RATE,
            "container": "none",
        },
        headers={"Authorization": "Token sandbox"},
        json={"text": text},
        timeout=WITHIN_S,
    ).raise_for_status()  # fmt: skip
    with wave.open(str(file), "wb") as recording:
        recording.setparams((1, 2, RATE, 0, "NONE", ""))
        recording.writeframes(bytes(2 * RATE * UNTIL_THE_GREETING_IS_OVER_S))
        recording.writeframes(spoken.content + bytes(2 * RATE * 60))
    return file


def test_an_operator_talks_to_an_agent_in_the_browser(tmp_path: Path):
    with running_house(tmp_path / "data", DJANGO_SUPERUSER_PASSWORD=PASSWORD) as house:
        house.manage("createsuperuser", "--noinput", "--username=olivia", "--email=o@example.com")
        house.client().agents.create(
            name="Mia",
            language="en",
            welcome_message="Hello, Bright Smile Dental. How can I help?",
            system_prompt="You are Mia of Bright Smile Dental. We are open from nine to five.",
        )  # fmt: skip
        voice = speech(house, "What are your opening hours?", tmp_path / "voice.wav")
        with running_browser(
            "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={voice}",
            "--autoplay-policy=no-user-gesture-required",
        ) as browser:  # fmt: skip
            page, complaints = open_page(
                browser, base_url=house.url, viewport={"width": 1280, "height": 900}
            )
            page.goto("/admin/login/?next=/admin/calls/call/talk/")
            page.get_by_label("Username").fill("olivia")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()

            page.get_by_label("Agent").select_option("Mia")
            page.get_by_role("button", name="Start talking").click()
            expect(page.get_by_text("Connected.")).to_be_visible()
            greeting = page.get_by_text("Hello, Bright Smile Dental. How can I help?")
            expect(greeting).to_be_visible()
            asked = page.locator(".nf-turn.caller").filter(has_text="opening hours")
            expect(asked.first).to_be_visible()
            answered = page.locator(".nf-turn.agent").filter(has_text=re.compile("nine|9"))
            expect(answered.first).to_be_visible()
            keep_picture(page, "talk")
            low = unreadable(page, 4.5)
            page.get_by_role("button", name="Hang up").click()
            expect(page.get_by_text("The call is over.")).to_be_visible()
            # The page says so when its line is down; the record is written a moment later.
            records = Records(house)
            [[call_id]] = records.rows("SELECT call_id FROM calls_call")
            records.ended(call_id)
            page.get_by_role("link", name="Everything about this call").click()
            expect(page.get_by_text("Caller Hangup").first).to_be_visible()

    assert (complaints, low) == ([], [])
