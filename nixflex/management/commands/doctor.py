import logging
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from nixflex.doctor.rounds import findings


class Command(BaseCommand):
    help = (
        "Try everything that a call needs (database, processes, public address, keys, numbers) and "
        "say what is wrong and what to do. Exit status 1 if anything is. Nobody is called."
    )

    # manage.py has checked the settings by now, and says in words what is wrong with them.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        outside = "simulated (SANDBOX=1)" if settings.SANDBOX else "real: people would be called"
        self.stdout.write(f"Nixflex at {settings.PUBLIC_URL}; the outside is {outside}.\n\n")
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # a finding says it once
        problems = 0
        for one in findings():
            if one.is_well:
                self.stdout.write(f"{self.style.SUCCESS('ok')}     {one.what}: {one.note}")
            else:
                problems += 1
                self.stdout.write(f"{self.style.ERROR('WRONG')}  {one.what}: {one.problem}.")
                self.stdout.write(f"       {one.remedy}")
        if problems:
            self.stdout.write(f"\n{problems} to put right; then run this again.")
            sys.exit(1)
        self.stdout.write("\nEverything a call needs is there.")
