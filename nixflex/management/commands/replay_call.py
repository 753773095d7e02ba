"""``manage.py replay_call CALL_ID [--json] [--export FILE]``"""

import gzip
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from calls.flights import flight_pieces
from calls.models import Call
from media.replay import Difference, Flight, Unreadable, read, replay, unpacked

DIFFERENT, NOT_POSSIBLE = 1, 2


class Command(BaseCommand):
    help = (
        "Play a recorded call to the conversation machine of today, and show where it decides "
        "otherwise than it did then. Exit status: 0 nowhere, 1 somewhere, 2 it cannot be played."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("call", help="a call's id, or a file that --export wrote")
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument(
            "--export",
            metavar="FILE",
            type=Path,
            help="write the recording there, gzipped; it holds every word that was said",
        )

    def handle(self, *_: Any, call: str, json: bool, export: Path | None, **__: Any) -> None:
        try:
            lines = list(_lines(call))
            flights = read(lines)
        except (Unreadable, gzip.BadGzipFile) as problem:
            raise CommandError(
                f"The flight log of {call} cannot be played by this version: {problem}",
                returncode=NOT_POSSIBLE,
            ) from problem
        if export is not None:
            export.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", mtime=0))
        found = [replay(flight) for flight in flights]
        if json:
            self.stdout.write(_as_json(flights, found))
        else:
            for flight, differences in zip(flights, found, strict=True):
                self._tell(flight, differences)
        if any(found):
            raise SystemExit(DIFFERENT)

    def _tell(self, flight: Flight, differences: list[Difference]) -> None:
        actions = sum(len(step.actions) for step in flight.steps)
        played = f"Socket {flight.generation}: {len(flight.steps)} events, {actions} actions"
        if flight.stopped_at is not None:
            played += f", recorded until {flight.stopped_at / 1000:.0f} s"
        if not differences:
            self.stdout.write(f"{played}: the same decisions.")
            return
        self.stdout.write(
            f"{played}: other decisions at {len(differences)} of them (- then, + now)."
        )
        for number, difference in enumerate(differences):
            self.stdout.write(f"\n{difference}")
            if number == 0 and len(differences) > 1:
                self.stdout.write(
                    "\nWhat follows answers what was decided then: it shows only roughly where "
                    "the change leads."
                )


def _lines(call: str) -> Iterator[bytes]:
    """The recording's lines, of a call or of a file."""
    if Path(call).is_file():
        yield from gzip.decompress(Path(call).read_bytes()).splitlines()
        return
    row = Call.objects.filter(call_id=call).first()
    if row is None:
        raise CommandError(f"There is no call {call!r}, and no such file.", returncode=NOT_POSSIBLE)
    pieces = list(flight_pieces(row))
    if not pieces:
        raise CommandError(
            f"Of {call} there is no flight log: nobody talked, or it is older than the recorder.",
            returncode=NOT_POSSIBLE,
        )
    yield from unpacked(pieces)


def _as_json(flights: list[Flight], found: list[list[Difference]]) -> str:
    sockets = [
        {
            "generation": flight.generation,
            "events": len(flight.steps),
            "recorded_until_ms": flight.stopped_at,
            "differences": [
                {"t": one.t, "event": one.event, "then": one.then, "now": one.now}
                for one in differences
            ],
        }
        for flight, differences in zip(flights, found, strict=True)
    ]
    return json.dumps({"sockets": sockets}, indent=2, ensure_ascii=False)
