"""How the demo looks in a terminal."""

import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

BOLD, DIM, GREEN, RED, CYAN = "1", "2", "32", "1;31", "36"
_WIDEST = 110
_MARGIN = 18


class Console:
    """Plain lines, coloured on a terminal; every wait says what for, and how long it took."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.broken: list[str] = []
        """What was promised and did not come true, with what to do."""
        self._colour = self.out.isatty()
        self._width = min(shutil.get_terminal_size((100, 24)).columns, _WIDEST)
        self._scene = 0
        self._began = time.monotonic()

    def line(self, text: str = "", *, style: str = "", indent: int = 0) -> None:
        """``indent`` is where a line that is too long goes on."""
        wrapped = textwrap.wrap(
            text, self._width, subsequent_indent=" " * indent, drop_whitespace=True,
            replace_whitespace=False, break_long_words=False, break_on_hyphens=False,
        ) if indent else [text]  # fmt: skip
        for part in wrapped or [""]:
            if style and self._colour:
                part = f"\033[{style}m{part}\033[0m"
            self.out.write(part + "\n")
        self.out.flush()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce a wait, and its length when it is over."""
        began = time.monotonic()
        if self._colour:
            self.out.write(f"  {what} …")
            self.out.flush()
        yield
        start = "\r" if self._colour else ""
        self.line(f"{start}  {what:<58}{time.monotonic() - began:6.1f} s")

    def scene(self, title: str) -> None:
        """Begin a part of the story; its clock starts at zero."""
        self._scene += 1
        self._began = time.monotonic()
        self.line()
        self.line(f"{self._scene}  {title}", style=BOLD, indent=3)

    def moment(self, text: str, *, style: str = DIM) -> None:
        """Something that happened, with the time since the scene began."""
        self.line(f"  {self._clock()}  {text}", style=style, indent=_MARGIN)

    def says(self, who: str, text: str, note: str = "", *, lasted_ms: int = 0) -> None:
        """What was said, at the time when it began: ``lasted_ms`` ago."""
        self.line(f"  {self._clock(lasted_ms)}  {who:<8} {text}", style=BOLD, indent=_MARGIN)
        if note:
            self.line(f"{'':{_MARGIN}}{note}", style=DIM)

    def heard(self, who: str, text: str) -> None:
        self.line(f"{'':{_MARGIN}}{who} understood: {text}", style=CYAN, indent=_MARGIN)

    def note(self, text: str) -> None:
        self.line(f"{'':{_MARGIN}}{text}", style=CYAN, indent=_MARGIN + 2)

    def promise(self, what: str, kept: bool, *, otherwise: str) -> None:
        """Tick something off, or say what to do ``otherwise`` and remember it as broken."""
        self.line(f"  {'✓' if kept else '✗'} {what}", style=GREEN if kept else RED, indent=4)
        if not kept:
            self.line(f"    {otherwise}", indent=4)
            self.broken.append(f"{what}: {otherwise}")

    def _clock(self, ms_ago: int = 0) -> str:
        seconds = max(0.0, time.monotonic() - self._began - ms_ago / 1000)
        return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
