import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from accounts.operators import operator_login
from nixflex import embedded
from nixflex.supervisor import StartError, Supervisor, processes


class Command(BaseCommand):
    help = "Start everything on this machine, and stop all of it on Ctrl-C."

    # The processes check the settings themselves; checking here too delays the first call.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = processes()
        width = max(len(process.name) for process in wanted)

        def write(name: str, line: str) -> None:
            self.stdout.write(f"{name:<{width}} | {line}")

        supervisor = Supervisor(wanted, on_line=write, cwd=settings.BASE_DIR)
        stopping = threading.Event()

        def on_signal(number: int, _frame: object) -> None:
            if stopping.is_set():
                supervisor.hurry()
            stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, on_signal)
        write("nixflex", "bringing the database up to date")
        call_command("migrate", interactive=False, verbosity=0)
        connections.close_all()
        try:
            write("nixflex", f"starting {', '.join(process.name for process in wanted)}")
            supervisor.start()
            supervisor.wait_ready(stopping=stopping)
            if not stopping.is_set():
                self._greet(write)
            while not stopping.wait(0.5) and not supervisor.orphaned():
                pass
            write("nixflex", "stopping")
        except StartError as error:
            raise CommandError(str(error)) from None
        finally:
            supervisor.stop()
            connections.close_all()
            embedded.release(settings.DATA_DIR)
        write("nixflex", "everything has stopped")

    def _greet(self, write: Any) -> None:
        write("nixflex", f"ready: {settings.PUBLIC_URL}/admin/   (Ctrl-C stops everything)")
        if settings.DEBUG:  # servers have users of their own: manage.py createsuperuser
            login = operator_login()
            write("nixflex", f"dashboard login: {login.username} / {login.password}")
        if settings.SANDBOX:
            write("nixflex", "SANDBOX: calls are simulated, no telephone rings")
        else:
            write("nixflex", f"LIVE: calls and texts go out through {settings.TWILIO_API_URL}")
