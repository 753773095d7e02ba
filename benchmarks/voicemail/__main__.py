"""``python -m benchmarks.voicemail``: who answered, according to ``media.voicemail``.

Prints for each half of the corpus the confusion matrix, precision and recall, the time to the
verdict, and the figure that matters most: people taken for voicemail. Writes nothing else.
"""

import argparse
import random
import re
import sys
import time
from collections import Counter
from dataclasses import replace
from statistics import quantiles

from media.voicemail import Verdict

from . import corpus

CLASSES = ("human", "voicemail", "screening", "menu", "undecided")
_LETTER_WRONG, _WORD_LOST = 0.06, 0.03


def misheard(script: corpus.Script, seed: int) -> corpus.Script:
    """Return the script as a poor line would give it: letters wrong, words lost, no punctuation."""
    rng = random.Random(f"{seed} {script.script}")
    heard = []
    for kind, content in corpus.parts(script.script):
        if kind != "says":
            brackets = {"pause": "[{}]", "agent": "{{{}}}", "amd": "<{}>", "beep": "{}"}
            heard.append(brackets[kind].format(content))
            continue
        words = re.sub(r"[^\w\s'’-]", " ", content).split()
        words = [word for word in words if rng.random() > _WORD_LOST] or words
        for at, word in enumerate(words):
            if len(word) > 3 and rng.random() < _LETTER_WRONG * len(word) / 4:
                letter = rng.randrange(1, len(word))
                words[at] = word[:letter] + rng.choice("aeiorst") + word[letter + 1 :]
        heard.append(" ".join(words))
    return replace(script, script=" ".join(heard))


def outcome(verdicts: list[Verdict]) -> tuple[str, int]:
    """Return the class a call was given and when: its first machine verdict, else its last."""
    for verdict in verdicts:
        if verdict.machine:
            return verdict.answer, verdict.at_ms
    return (verdicts[-1].answer, verdicts[0].at_ms) if verdicts else ("undecided", 0)


def report(title: str, scripts: list[corpus.Script], *, list_errors: bool) -> int:
    """Print the matrix of ``scripts`` and return the number of people hung up on."""
    matrix: Counter[tuple[str, str]] = Counter()
    times: dict[str, list[int]] = {name: [] for name in CLASSES}
    hung_up = 0
    errors = []
    for script in scripts:
        given = corpus.verdicts(corpus.events(script))
        answer, at_ms = outcome(given)
        matrix[script.label, answer] += 1
        if answer == script.label:
            times[answer].append(at_ms)
        else:
            errors.append(f"    {script.label} → {answer}: [{script.language}] {script.script}")
        hung_up += script.label == "human" and any(v.answer == "voicemail" for v in given)
    print(f"\n{title}: {len(scripts)} calls")
    print(
        f"  {'':10}"
        + "".join(f"{name:>10}" for name in CLASSES)
        + "  recall precision  p50 s  p95 s"
    )
    for label in CLASSES[:-1]:
        row = [matrix[label, name] for name in CLASSES]
        right, given_n = matrix[label, label], sum(matrix[x, label] for x in CLASSES)
        seconds = [at / 1000 for at in times[label]]
        cuts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else [0.0] * 19
        print(
            f"  {label:10}"
            + "".join(f"{n:10}" for n in row)
            + f"{right / max(1, sum(row)):8.3f}{right / max(1, given_n):10.3f}"
            + f"{cuts[9]:7.1f}{cuts[18]:7.1f}"
        )
    people = sum(script.label == "human" for script in scripts)
    print(f"  people hung up on: {hung_up} of {people}")
    if list_errors:
        print("\n".join(errors))
    return hung_up


def cost(scripts: list[corpus.Script]) -> None:
    """Print what one transcript costs the classifier."""
    heard = [corpus.events(script) for script in scripts]
    started = time.perf_counter()
    for events in heard:
        corpus.verdicts(events)
    spent = time.perf_counter() - started
    print(f"\ncost: {spent / sum(map(len, heard)) * 1e6:.0f} µs for an event")


def main() -> int:
    """Run the benchmark; the exit status is 1 if a person was hung up on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.voicemail", description=__doc__)
    parser.add_argument("--errors", action="store_true", help="list the wrong ones (tuning half)")
    parser.add_argument(
        "--audio", action="store_true", help="speak the English machines and transcribe them"
    )
    options = parser.parse_args()
    halves = {name: corpus.read(name) for name in ("tuning", "heldout")}
    hung_up = 0
    for name, scripts in halves.items():
        shown = options.errors and name == "tuning"
        hung_up += report(name, scripts, list_errors=shown)
        noisy = [misheard(script, seed) for script in scripts for seed in range(5)]
        hung_up += report(f"{name}, misheard five ways", noisy, list_errors=shown)
    cost([script for scripts in halves.values() for script in scripts])
    if options.audio:
        from . import speech

        speech.report([s for s in halves["tuning"] if s.language == "en"])
    return 1 if hung_up else 0


if __name__ == "__main__":
    sys.exit(main())
