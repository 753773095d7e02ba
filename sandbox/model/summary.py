"""A call in one to three sentences, in the third person, from what was said in it."""

import itertools
import re
from collections.abc import Sequence

from sandbox.model import moves, values
from sandbox.model.phrases import ENGLISH
from sandbox.model.transcript import Line
from sandbox.model.words import capitalised, content_stems, full_stop, sentences

_SETTLED = (
    (re.compile(r"\bYou(?:'re| are) booked for (.+)", re.I), "booked {}"),
    (re.compile(r"\bYour appointment is moved to (.+)", re.I), "moved the appointment to {}"),
    (re.compile(r"\bYour appointment is (cancelled)\b", re.I), "cancelled the appointment"),
)
_REASON = re.compile(r"\bcalling (to|about|with) (.+)", re.I)
_BOOKED = re.compile(r"\b(?:appointment|booking|visit|reservation|meeting|check-?up)\b", re.I)
_NO_NEWS = (moves.GOODBYE, moves.THANKS, moves.OPT_OUT)
_FEWEST_STEMS, _FEWEST_BESIDES = 2, 3


def of(lines: Sequence[Line]) -> str:
    """One to three sentences in the third person: what was agreed, else why it was called and
    whether it suits, and what the caller told, in their words.
    """
    agent = [s for line in lines if line.speaker == "agent" for s in sentences(line.text)]
    caller = [s for line in lines if line.speaker == "caller" for s in sentences(line.text)]
    who = values.name(" ".join(caller)) or "The caller"
    settled = _settled(agent, who)
    parts = settled or [*_reason(agent), *_suits(lines, who)]
    if told := _told(caller, besides_days=bool(settled)):
        parts.append(f"{who} said: {' '.join(told)}")
    return " ".join(parts) or "The caller said nothing of note."


def _settled(agent: list[str], who: str) -> list[str]:
    """What the agent said to be done, the last word on it."""
    for sentence in reversed(agent):
        for pattern, done in _SETTLED:
            if found := pattern.search(sentence):
                return [full_stop(f"{who} {done.format(found[1].rstrip('.! '))}")]
    return []


def _reason(agent: list[str]) -> list[str]:
    found = next((found for s in agent if (found := _REASON.search(s))), None)
    if found is None:
        return []
    about = re.sub(r"\byour\b", "their", re.sub(r"\byou\b", "them", found[2]))
    return [full_stop(f"The agent called {found[1]} {about}")]


def _suits(lines: Sequence[Line], who: str) -> list[str]:
    """The caller's yes or no to "does that still work for you?"."""
    questions = (*ENGLISH["suits"], *ENGLISH["confirm_it"])
    for asked, answer in itertools.pairwise(lines):
        if asked.speaker != "agent" or answer.speaker != "caller":
            continue
        if any(question in asked.text for question in questions):
            what = "the appointment" if _BOOKED.search(" ".join(_reason([asked.text]))) else "it"
            if moves.YES.match(answer.text):
                return [f"{who} confirmed {what}."]
            if moves.NO.match(answer.text):
                return [f"{who} said that it does not suit them."]
    return []


def _told(caller: list[str], *, besides_days: bool) -> list[str]:
    """The two sentences of the caller that say most, as they were said."""
    telling = [
        s
        for s in caller
        if len(content_stems(s)) >= (_FEWEST_BESIDES if besides_days else _FEWEST_STEMS)
        and not any(move.search(s) for move in _NO_NEWS)
        and not (values.name(s) or values.email(s))
        and not moves.VOICEMAIL.search(s)
        and not (besides_days and (values.day(s) or values.clock(s)))
    ]
    most = sorted(telling, key=lambda s: (-min(len(content_stems(s)), 8), telling.index(s)))[:2]
    return [full_stop(capitalised(s)) for s in sorted(most, key=telling.index)]
