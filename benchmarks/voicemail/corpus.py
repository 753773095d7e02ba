"""Labelled beginnings of outbound calls, and how each is heard moment by moment.

A line of ``tuning.txt`` or ``heldout.txt`` is ``label language | script``. In the script text
is what the far end says, ``[1.2]`` seconds of silence, ``{…}`` the agent's own words, ``*`` a
beep of 300 ms and ``<…>`` an AMD verdict. Timing is that of a streaming transcriber: interims
while somebody speaks, a final after each sentence, the end of the turn after 0.7 s of silence.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from media.voicemail import AnswerClassifier, Verdict

_WORD_MS = {"en": 370, "ar": 480}
_OTHER_WORD_MS = 410
_PICK_UP_MS = 400
_SENTENCE_PAUSE_MS = 350
_INTERIM_EVERY_MS, _INTERIM_LAG_MS, _FINAL_AFTER_MS, _TURN_ENDS_AFTER_MS = 300, 250, 400, 700
_AGENT_WORD_MS, _AGENT_BEFORE_MS, _AGENT_AFTER_MS = 360, 300, 400
_BEEP_MS, _BEEP_LAG_MS = 300, 150

_PART = re.compile(r"\[(?P<pause>[\d.]+)\]|\{(?P<agent>[^}]*)\}|<(?P<amd>\w+)>|(?P<beep>\*)")
_SENTENCES = re.compile(r"(?<=[.?!؟])\s+")


@dataclass(frozen=True)
class Script:
    """One labelled call: what answered (``label``) and what it said."""

    label: str
    language: str
    script: str


@dataclass(frozen=True)
class Event:
    """What the classifier is told at ``at_ms`` after the answer."""

    kind: Literal["interim", "final", "turn_ended", "agent", "beep", "amd"]
    at_ms: int
    text: str = ""
    started_ms: int = 0


def read(name: str) -> list[Script]:
    """Return the scripts of ``tuning`` or ``heldout``."""
    lines = (Path(__file__).parent / f"{name}.txt").read_text("utf-8").splitlines()
    scripts = []
    for line in lines:
        if line and not line.startswith("#"):
            head, script = line.split("|", 1)
            label, language = head.split()
            scripts.append(Script(label, language, script.strip()))
    return scripts


def parts(script: str) -> Iterator[tuple[str, str]]:
    """Yield the script's parts in order: ``(kind, content)``, speech as ``("says", text)``."""
    at = 0
    for found in _PART.finditer(script):
        if text := script[at : found.start()].strip():
            yield "says", text
        kind = found.lastgroup or ""
        yield kind, found[kind]
        at = found.end()
    if text := script[at:].strip():
        yield "says", text


def events(script: Script) -> list[Event]:
    """Return what is heard of a script, in the order in which it becomes known."""
    heard: list[Event] = []
    now = _PICK_UP_MS
    silent_since: int | None = None  # the turn is open until silence ends it
    word_ms = _WORD_MS.get(script.language, _OTHER_WORD_MS)

    def end_turn(by_ms: int) -> None:
        nonlocal silent_since
        if silent_since is not None and by_ms - silent_since >= _TURN_ENDS_AFTER_MS:
            heard.append(Event("turn_ended", silent_since + _TURN_ENDS_AFTER_MS))
            silent_since = None

    for kind, content in parts(script.script):
        if kind == "pause":
            now += round(float(content) * 1000)
        elif kind == "agent":
            end_turn(now + _TURN_ENDS_AFTER_MS)
            heard.append(Event("agent", now + _AGENT_BEFORE_MS))
            now += _AGENT_BEFORE_MS + len(content.split()) * _AGENT_WORD_MS + _AGENT_AFTER_MS
        elif kind == "amd":
            heard.append(Event("amd", now, content))
        elif kind == "beep":
            now += 300
            heard.append(Event("beep", now + _BEEP_MS + _BEEP_LAG_MS))
            now += _BEEP_MS
        else:
            for sentence in _SENTENCES.split(content):
                end_turn(now)
                words = sentence.split()
                ends = now + len(words) * word_ms
                for at in range(now + _INTERIM_EVERY_MS, ends, _INTERIM_EVERY_MS):
                    if so_far := words[: (at - now) // word_ms]:
                        text = " ".join(so_far).rstrip(".,?!؟،")
                        heard.append(Event("interim", at + _INTERIM_LAG_MS, text, now))
                heard.append(Event("final", ends + _FINAL_AFTER_MS, sentence, now))
                silent_since = ends
                now = ends + _SENTENCE_PAUSE_MS
    end_turn(now + 10 * _TURN_ENDS_AFTER_MS)
    return sorted(heard, key=lambda event: event.at_ms)


def verdicts(heard: list[Event]) -> list[Verdict]:
    """Feed the events to a new classifier and return its verdicts in order."""
    classifier = AnswerClassifier()
    given: list[Verdict] = []
    for event in heard:
        match event.kind:
            case "interim" | "final":
                verdict = classifier.heard(
                    event.text,
                    event.at_ms,
                    final=event.kind == "final",
                    started_ms=event.started_ms,
                )
            case "turn_ended":
                verdict = classifier.turn_ended(event.at_ms)
            case "beep":
                verdict = classifier.beep(event.at_ms)
            case "amd":
                verdict = classifier.amd(event.text, event.at_ms)
            case "agent":
                classifier.agent_started(event.at_ms)
                verdict = None
        if verdict:
            given.append(verdict)
    return given
