"""``python -m benchmarks.faults``: what does the caller hear when a provider fails in mid-call?

A whole installation is called by people of the sandbox, once for each fault, and the sandbox's
recogniser writes down what they hear. ``--write`` puts the table into docs/reliability.md. The exit
status is 0 only if each came out as it is to (``benchmarks/faults/kinds.py``).
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.documents import write_table
from benchmarks.faults.calling import SETTINGS, Outcome, failures, play, uncounted
from benchmarks.faults.kinds import KINDS
from benchmarks.house import House

BEGIN, END = "<!-- the faults -->", "<!-- end of the faults -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--at-once", type=int, default=4, help="calls side by side")
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument("--write", action="store_true", help="the table, into docs/reliability.md")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if options.only in kind.name]
    with (
        tempfile.TemporaryDirectory(prefix="nixflex-faults-") as folder,
        House(Path(folder), **SETTINGS) as house,
    ):
        outcomes = play(house, kinds, at_once=options.at_once)
        missing = uncounted(kinds, failures(house))
    table = told(outcomes)
    print(table)
    wrong = [f"{one.kind.name}: {what}" for one in outcomes for what in one.complaints()]
    wrong += [f"not counted: {label}" for label in missing]
    print("\n" + "\n".join(wrong or ["Each as it is to be."]))
    for one in outcomes:
        if one.complaints():
            print(f"\n{one.kind.name}, {one.took_s:.0f} s:", *one.events, sep="\n  ")
    if options.write and not options.only:
        write_table(table, BEGIN, END)
    return 1 if wrong else 0


def told(outcomes: list[Outcome]) -> str:
    """The table: the longest words are the recogniser's."""
    by_name = {one.kind.name: one for one in outcomes}
    lines = [
        "| what fails | what the caller heard | after, s | event on the call | `part`, `error` |"
        " went on |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in sorted(by_name.values(), key=lambda one: one.kind.what.partition(":")[0]):
        counted = dict.fromkeys(f"`{part}`, `{error}`" for part, error in one.kind.counted)
        cells = (
            one.kind.what,
            f"“{one.heard}”",
            f"{one.silence_s:.1f}",
            ", ".join(f"`{name}`" for name in dict.fromkeys(name for name, _ in one.kind.events)),
            "; ".join(counted),
            "yes" if one.went_on else "no",
        )
        lines.append(f"| {' | '.join(cells)} |")
    load = f"Load at the end: {os.getloadavg()[0]:.1f}."
    return "\n".join([*lines, "", load])


if __name__ == "__main__":
    sys.exit(main())
