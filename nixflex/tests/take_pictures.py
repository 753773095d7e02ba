"""``python -m nixflex.tests.take_pictures [FOLDER]``: retake the documents' pictures of a dashboard
in use (``docs/images``): its front page, a call, a conversation by text, a campaign.

Plays the demo with a database and ports of its own, lets its agent call a list of people, and opens
the pages in a browser. Takes five minutes, on a machine with nothing else to do: the pictures show
how fast the agent answers. Those of forms come from the tests of pages:
``PICTURES=FOLDER .venv/bin/python -m pytest -m browser``.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

from agents.tests.outside import PROJECT
from conftest import find_chromium, reserved_ports
from nixflex.tests.browser import ARGUMENTS

WITHIN_S = 600.0
OUR_NUMBER, SOMEBODY = "+447446466847", "+447386172392"
PEOPLE = {
    "+12025550110": "Emma Hughes",
    "+12025550113": "Daniel Reed",
    "+12025550114": "Sofia Marsh",
    "+12025550120": "Ben Carver",
    "+12025550112": "Priya Nair",
    "+12025550121": "Tom Banks",
    "+12025550117": "Alice Moore",
    "+447386172310": "Grace Lindqvist",
    "+447386172311": "Omar Haddad",
    "+447386172312": "Helen Brandt",
    "+447386172313": "Luca Ferri",
    "+447386172314": "Nora Quinn",
}
TALL, WIDE, USUAL = (
    {"width": width, "height": height} for width, height in ((1400, 1000), (1400, 800), (1280, 900))
)


def main(folder: Path) -> None:
    """Take every picture."""
    with tempfile.TemporaryDirectory() as data, running_demo(Path(data)) as (url, environment):
        key = manage(environment, "create_api_key", "--name", "Pictures").split()[-1]
        api = httpx.Client(
            base_url=f"{url}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=30.0
        )
        draft = make_campaign(api, "Next week's check-ups", schedule_type="draft")
        campaign = make_campaign(api, "Check-up reminders", schedule_type="now")
        password = (Path(data) / "operator-password").read_text()
        with dashboard(url, password) as page:
            wait_for(lambda: api.get(f"/campaigns/{campaign}").json()["outcomes"]["answered"])
            open_named(page, "/admin/campaigns/campaign/", "Check-up reminders")
            take(page, folder / "campaign-live.png", USUAL, whole=True)
            wait_for(lambda: api.get(f"/campaigns/{campaign}").json()["status"] == "completed")
            open_named(page, "/admin/campaigns/campaign/", "Check-up reminders")
            take(page, folder / "campaign-finished.png", USUAL, whole=True)
            page.goto("/admin/")
            take(page, folder / "dashboard.png", WIDE)
            page.goto(f"/admin/calls/call/?q={SOMEBODY}&status__exact=completed&o=1")
            page.locator("#result_list tbody th a").last.click()
            page.locator("audio").evaluate("it => { it.preload = 'metadata'; it.load(); }")
            page.wait_for_function("document.querySelector('audio').duration > 0")
            take(page, folder / "call.png", TALL)
            page.goto(f"/admin/sms/thread/?q={SOMEBODY}")
            page.locator("#result_list tbody th a").first.click()
            take(page, folder / "inbox.png", USUAL)
            rehearse(page, draft)
            take(page, folder / "rehearsal.png", USUAL, whole=True)


@contextmanager
def running_demo(data: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Play the demo to its end and keep it serving; yield its address and its environment."""
    with reserved_ports() as port:
        url = f"http://127.0.0.1:{port}"
        environment = os.environ | {
            "NIXFLEX_DATA_DIR": str(data),
            "DJANGO_SETTINGS_MODULE": "nixflex.settings",
            "NIXFLEX_ENV_FILE": os.devnull,
            "DEBUG": "1",
            "SANDBOX": "1",
            "SECRET_KEY": "pictures-" * 8,
            "FIELD_ENCRYPTION_KEYS": "dGhlLXRlc3RzLWtleS1pcy1rbm93bi10by1hbGwtISE=",
            "PUBLIC_URL": url,
            "PORT": str(port),
        }
        demo = subprocess.Popen(
            [sys.executable, "-u", "manage.py", "demo"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert demo.stdout is not None
            for line in demo.stdout:
                sys.stdout.write(line)
                if "/admin/" in line:
                    break
            yield url, environment
        finally:
            demo.terminate()
            demo.wait(60)
            remove = [sys.executable, "-m", "nixflex.embedded.remove", str(data)]
            subprocess.run(remove, cwd=PROJECT, check=True, capture_output=True)


def manage(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def make_campaign(api: httpx.Client, name: str, **fields: Any) -> str:
    """Make a campaign in which the demo's agent calls everybody in ``PEOPLE``; return its id."""
    agent = api.get("/agents").json()[0]
    asked: dict[str, Any] = {
        "agent_id": agent["agent_id"],
        "from_number": OUR_NUMBER,
        "name": name,
        "prompt": "Remind {name} of the check-up tomorrow at 2 pm, and ask whether it still suits.",
        "recipients": [
            {"phone": phone, "name": name, "variables": {"name": name.split()[0]}}
            for phone, name in PEOPLE.items()
        ],
        "max_concurrent": 2,  # as many as two cores hear and speak for
        "max_cost": 20,
        **fields,
    }
    answer = api.post("/calls/batch", json=asked)
    answer.raise_for_status()
    return str(answer.json()["campaign_id"])


def wait_for(look: Any) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.5)


@contextmanager
def dashboard(url: str, password: str) -> Iterator[Page]:
    """Open the dashboard, logged in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=[*ARGUMENTS])
        page = browser.new_context(base_url=url).new_page()
        page.goto("/admin/")
        page.fill("[name=username]", "operator")
        page.fill("[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_selector("text=Latest calls")
        yield page
        browser.close()


def open_named(page: Page, listed: str, name: str) -> None:
    page.goto(listed)
    page.get_by_role("link", name=name).first.click()


def rehearse(page: Page, campaign: str) -> None:
    page.goto(f"/admin/campaigns/campaign/?q={campaign}")
    page.locator("#result_list tbody th a").first.click()
    page.get_by_role("button", name="Rehearse").click()
    page.wait_for_selector("text=How calls may go")
    page.wait_for_function("!document.querySelector('.nf-writing')")


def take(page: Page, file: Path, size: Any, *, whole: bool = False) -> None:
    """Photograph the page in a window of this size, or all of it; folds and fonts come first."""
    page.set_viewport_size(size)
    page.wait_for_load_state("load")
    page.wait_for_timeout(1500)
    page.screenshot(path=file, full_page=whole)
    sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs/images")
