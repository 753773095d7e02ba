"""Talking to an agent in a real browser, with a voice in its microphone, through real processes."""

import wave
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from nixflex.tests.browser import LOW_CONTRAST, complaints_of, keep_picture, running_browser
from nixflex.tests.test_whole_house import House, running_house

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

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
        timeout=30,
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
            page = browser.new_page(base_url=house.url, viewport={"width": 1280, "height": 900})
            complaints = complaints_of(page)
            page.goto("/admin/login/?next=/admin/calls/call/talk/")
            page.get_by_label("Username").fill("olivia")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()

            page.get_by_label("Agent").select_option("Mia")
            page.get_by_role("button", name="Start talking").click()
            expect(page.get_by_text("Connected.")).to_be_visible(timeout=20_000)
            greeting = page.get_by_text("Hello, Bright Smile Dental. How can I help?")
            expect(greeting).to_be_visible(timeout=20_000)
            expect(page.get_by_text("opening hours", exact=False)).to_be_visible(timeout=30_000)
            expect(page.locator(".nf-turn.agent")).to_have_count(2, timeout=30_000)
            keep_picture(page, "talk")
            low = page.evaluate(LOW_CONTRAST, 4.5)
            page.get_by_role("button", name="Hang up").click()
            expect(page.get_by_text("The call is over.")).to_be_visible(timeout=20_000)
            page.get_by_role("link", name="Everything about this call").click()
            expect(page.get_by_text("Caller Hangup").first).to_be_visible(timeout=20_000)

    assert (complaints, low) == ([], [])
