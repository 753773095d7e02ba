import os
import signal
import threading
from collections import deque
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from accounts.operators import operator_login
from demo import seed, story
from demo.console import Console
from nixflex import embedded
from nixflex.supervisor import StartError, Supervisor, processes


class Command(BaseCommand):
    help = (
        "Start everything, place one simulated call, print it live, and serve on until Ctrl-C. "
        "SAY='a sentence' is what the person says; MUTE=1 mutes them; "
        "DEMO_EXIT=1 ends after the call."
    )

    # The processes check the settings themselves; checking here too delays the first call.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SANDBOX:
            raise CommandError("The demo plays on the sandbox: unset SANDBOX, or use make run.")
        console = Console()
        lines: deque[str] = deque(maxlen=30)
        supervisor = Supervisor(
            processes(),
            on_line=lambda name, line: lines.append(f"{name} | {line}"),
            cwd=settings.BASE_DIR,
        )
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _raise_once(stopping))
        console.line("Nixflex demo. SIMULATION: no telephone rings, nothing leaves this machine;")
        console.line("the phone company, the speech service, the model and the people are local.")
        console.line()
        try:
            with console.step("database up to date"):
                call_command("migrate", interactive=False, verbosity=0)
                operator_login()
                key = seed.api_key()
            with console.step("web, media, worker, and the sandbox with its speech models"):
                supervisor.start()
                supervisor.wait_listening()
            call = story.play(console, story.Api(key))
            if call.status != call.Status.COMPLETED:
                raise CommandError(f"the call ended as {call.status}: {call.error_message}")
            if os.environ.get("DEMO_EXIT", "") in {"", "0"}:
                story.invite(console, key)
                while not stopping.wait(0.5) and not supervisor.orphaned():
                    pass
        except KeyboardInterrupt:
            console.line()
        except (StartError, story.DemoFailed, TimeoutError) as error:
            raise CommandError("\n".join([*lines, str(error)])) from None
        finally:
            with console.step("everything stopped"):
                supervisor.stop()
                connections.close_all()
                embedded.release(settings.DATA_DIR)


def _raise_once(stopping: threading.Event) -> Any:
    """A handler that interrupts whatever the demo is doing, the first time only."""

    def on_signal(_number: int, _frame: object) -> None:
        if not stopping.is_set():
            stopping.set()
            raise KeyboardInterrupt

    return on_signal
