"""The corpus said aloud: the sandbox speaks, its recogniser writes, the classifier reads."""

import asyncio

from media.voicemail import AnswerClassifier
from sandbox.speech.ear import Ear, Heard
from sandbox.speech.synthesiser import synthesise

from . import corpus

_VOICE = "aura-2-thalia-en"
_QUIET = b"\xff" * 8000  # a second of µ-law silence


def report(scripts: list[corpus.Script]) -> None:
    """Print for each class how many of the spoken calls were recognised, and what was not."""
    asyncio.run(_report(scripts))


async def _report(scripts: list[corpus.Script]) -> None:
    right = hung_up = people = 0
    for script in scripts:
        answer, transcript = await _hear(script)
        people += script.label == "human"
        hung_up += script.label == "human" and answer == "voicemail"
        right += answer == script.label
        if answer != script.label:
            print(f"    {script.label} → {answer}: {transcript}")
    print(f"\nspoken and transcribed: {right} of {len(scripts)} right")
    print(f"  people hung up on: {hung_up} of {people}")


async def _hear(script: corpus.Script) -> tuple[str, str]:
    """Return what a spoken script is taken for, and its transcript."""
    classifier, ear = AnswerClassifier(), Ear(endpointing_ms=700)
    answer, transcript = "undecided", []
    for kind, content in corpus.parts(script.script):
        if kind == "says":
            ear.feed(await synthesise(content, voice=_VOICE))
        elif kind == "pause":
            ear.feed(b"\xff" * int(float(content) * 8000))
        elif kind == "agent":
            classifier.agent_started(round(ear.now * 1000))
            ear.feed(_QUIET * 2)
    ear.feed(_QUIET * 2)
    ear.close()
    async for event in ear:
        if not isinstance(event, Heard) or not event.text:
            continue
        at_ms = round(event.end * 1000)
        heard = classifier.heard(
            event.text, at_ms, final=event.final, started_ms=round(event.start * 1000)
        )
        ended = classifier.turn_ended(at_ms + 700) if event.final and event.ended else None
        if event.final:
            transcript.append(event.text)
        for verdict in (heard, ended):
            if verdict and answer in ("undecided", "human"):
                answer = str(verdict.answer)
    await ear.aclose()
    return answer, " / ".join(transcript)
