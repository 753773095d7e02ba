"""A real browser for tests of pages: Debian's chromium, driven with playwright."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from conftest import PATIENCE_S, find_chromium

# Every assertion on a page goes through ``expect``, which waits for it: what is asked at once is
# asked of a page that a slow machine has not drawn yet.
expect.set_options(timeout=PATIENCE_S * 1000)

ARGUMENTS = (
    "--no-sandbox",  # as root there is no other way; it opens only our own pages
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)

# Every visible text whose contrast with what lies behind it is below the given ratio (WCAG's
# formula). Colours go through a canvas, because computed ones may be oklch().
LOW_CONTRAST = """least => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const read = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
  const light = rgb => rgb.map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].filter(n => n.nodeType === 3 && n.textContent.trim());
    const shown = element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true});
    if (!own.length || !shown) continue;
    if (/^(style|script|option)$/i.test(element.tagName)) continue;
    if (element.className.toString().includes('material-symbols')) continue;
    const layers = []; let opacity = 1;
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      layers.push(read(style.backgroundColor)); opacity *= Number(style.opacity);
    }
    const behind = layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
    const ink = read(getComputedStyle(element).color); ink[3] *= opacity;
    const [a, b] = [light(over(ink, behind)), light(behind)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const says = own[0].textContent.trim();
    if (ratio < least) found.push(`${ratio.toFixed(1)} ${element.tagName} ${says}`);
  }
  return found;
}"""


@contextlib.contextmanager
def running_browser(*arguments: str) -> Iterator[Browser]:
    """Run a browser until the block ends. The ORM may be used beside it."""
    playwright: Playwright
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # playwright's own event loop runs in this thread; the ORM is used beside it, not on it
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=[*ARGUMENTS, *arguments]
        )
        try:
            yield browser
        finally:
            browser.close()
            # Where a loop runs, Django opens connections of their own: nobody else closes them.
            connections.close_all()


def open_page(browser: Browser, **options: Any) -> tuple[Page, list[str]]:
    """Return a page in a context of its own, and what goes wrong in it (``complaints_of``)."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    return page, complaints_of(page)


def unreadable(page: Page, least: float) -> list[str]:
    """Return the visible texts whose contrast is below ``least``, once nothing moves any more.

    What fades in is pale for a moment, so the page has time until none is left.
    """
    deadline = time.monotonic() + PATIENCE_S
    while found := list(page.evaluate(LOW_CONTRAST, least)):
        if time.monotonic() > deadline:
            break
        page.wait_for_timeout(100)
    return found


def expect_width(page: Page, width: int) -> None:
    """Wait until the page, with all that it loads, is no wider than ``width``; fail if it stays."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)


def complaints_of(page: Page) -> list[str]:
    """Return a list that fills with what goes wrong in ``page``: console, scripts, answers."""
    found: list[str] = []

    def on_console(message: object) -> None:
        if getattr(message, "type", "") in {"error", "warning"}:
            found.append(f"console: {getattr(message, 'text', '')} at {page.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: found.append(f"script: {error} at {page.url}"))
    page.on(
        "response",
        lambda answer: (
            found.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
        ),
    )
    return found


def keep_picture(page: Page, name: str) -> None:
    """Save what ``page`` looks like in the folder that ``PICTURES`` names, if it names one."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png")
