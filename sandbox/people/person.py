"""Somebody who can be called and texted in the sandbox."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from sandbox.speech.voices import Timbre

from . import texting
from .phone import PATIENCE_S, CallOver, Line, Phone
from .script import Life

Answers = Literal["answer", "busy", "no_answer", "failed"]
Manner = Callable[["Person", Phone], Awaitable[None]]


@dataclass(frozen=True)
class Person:
    """Somebody (or something) with a telephone.

    ``rings_s`` and ``amd_ms`` (answering-machine detection) say when, ``answered_by`` is the
    carrier's verdict. ``interrupts`` is a sentence with which they break in, once, into what they
    hear after the last of ``say``. ``refusal_code`` is the error the carrier answers at the
    call's creation, ``text_error_code`` the one a text ends with.
    """

    number: str
    about: str
    life: Life
    voice: Timbre
    manner: Manner
    second_voice: Timbre
    answers: Answers = "answer"
    rings_s: float = 2.0
    answered_by: str = "human"
    amd_ms: int = 1800
    refusal_code: int | None = None
    text_error_code: int | None = None
    texts_back: str = ""
    opening: tuple[str, ...] = ()
    hesitates: bool = False
    say: tuple[str, ...] = ()
    interrupts: str = ""
    muted: bool = False
    waits_s: float = 0.0
    patience_s: float = PATIENCE_S
    called: bool = False

    async def talk(self, line: Line) -> None:
        """Be on the telephone until somebody hangs up or three minutes have passed."""
        person = replace(self, called=getattr(line, "inbound", False))
        async with Phone(line, self.voice, muted=self.muted, waits_s=self.waits_s) as phone:
            try:
                await person.manner(person, phone)
            except CallOver:
                return

    async def on_text(self, *, sender: str, body: str) -> list[tuple[float, str]]:
        """Return the replies to a text as (seconds later, text)."""
        return texting.replies(self.texts_back, self.number, sender, body)

    def row(self) -> dict[str, Any]:
        """This person as JSON, for ``GET /_sandbox/people``."""
        return {
            "number": self.number,
            "name": self.life.name,
            "about": self.about,
            "answers": self.answers,
            "rings_s": self.rings_s,
            "answered_by": self.answered_by,
            "refusal_code": self.refusal_code,
            "text_error_code": self.text_error_code,
            "say": list(self.say),
            "interrupts": self.interrupts,
            "muted": self.muted,
            "waits_s": self.waits_s,
            "patience_s": self.patience_s,
        }
