"""How the demo looks in a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Console:
    """Plain lines, coloured on a terminal; every wait says what for, and how long it took."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self._colour = self.out.isatty()
        self._call_began = time.monotonic()

    def line(self, text: str = "", *, style: str = "") -> None:
        if style and self._colour:
            text = f"\033[{style}m{text}\033[0m"
        self.out.write(text + "\n")
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

    def call_begins(self) -> None:
        self._call_began = time.monotonic()

    def moment(self, text: str, *, style: str = "2") -> None:
        """Something that happened to the call, with the time since it was asked for."""
        self.line(f"  {self._clock()}  {text}", style=style)

    def says(self, who: str, text: str, note: str = "") -> None:
        self.line(f"  {self._clock()}  {who:<8}{text}", style="1")
        if note:
            self.line(f"{'':18}{note}", style="2")

    def heard(self, who: str, text: str, note: str = "") -> None:
        self.line(f"{'':18}{who} heard: {text}{'  ' + note if note else ''}", style="36")

    def _clock(self) -> str:
        seconds = time.monotonic() - self._call_began
        return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
