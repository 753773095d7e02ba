"""``manage.py import_recipients people.csv --campaign batchcall_…``"""

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.errors import ApiError
from campaigns import services
from campaigns.models import Campaign
from campaigns.rows import CsvFile

_SHOWN = 20
_BAR = 40


class Command(BaseCommand):
    help = "Add the people of a CSV to a campaign. Bad rows are left out and listed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a CSV with a column named phone")
        parser.add_argument("--campaign", required=True, help="as batchcall_7f8fe206a5522cb7")
        parser.add_argument("--region", help="country of numbers in national form, as GB")

    def handle(self, *, file: Path, campaign: str, region: str | None, **_: Any) -> None:
        found = Campaign.objects.filter(campaign_id=campaign).first()
        if found is None:
            raise CommandError(f"There is no campaign {campaign}.")
        began = time.monotonic()
        try:
            with file.open("rb") as opened:
                rows = CsvFile(opened, region)
                total = sum(1 for _ in rows)
                intake = services.add_people(found.pk, rows, lambda read: self._bar(read, total))
        except OSError as error:
            raise CommandError(f"Cannot read {file}: {error.strerror}.") from error
        except ApiError as error:
            raise CommandError(error.message) from error
        self._bar(total, total, end=True)
        for bad in intake.invalid[:_SHOWN]:
            self.stdout.write(f"line {bad['line']}: {bad['reason']}")
        if intake.invalid_count > _SHOWN:
            self.stdout.write(f"… and {intake.invalid_count - _SHOWN} more bad rows.")
        self.stdout.write(
            f"{intake.added} added ({intake.suppressed} of them asked not to be called), "
            f"{intake.duplicates} merged, {intake.invalid_count} bad, in "
            f"{time.monotonic() - began:.1f} s."
        )

    def _bar(self, read: int, total: int, *, end: bool = False) -> None:
        if not (self.stdout.isatty() or end):
            return
        filled = _BAR * read // total if total else _BAR
        bar = f"[{'#' * filled}{'.' * (_BAR - filled)}] {read:,} of {total:,}"
        self.stdout.write(f"\r{bar}", ending="\n" if end else "")
        self.stdout.flush()
