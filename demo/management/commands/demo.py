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
from demo.api import Api, DemoFailed
from demo.console import Console
from nixflex import embedded
from nixflex.supervisor import StartError, Supervisor, processes


class Command(BaseCommand):
    help = (
        "Start everything, tell a story of simulated calls and texts live, and serve on until "
        "Ctrl-C. SAY='a sentence' is what the person says; MUTE=1 mutes them; KILL=1 kills the "
        "process of a call; DEMO_EXIT=1 ends after the story, with an error if it went wrong."
    )

    # The processes check the settings themselves; checking here too delays the first call.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SANDBOX:
            raise CommandError("The demo plays on the sandbox: unset SANDBOX, or use make run.")
        if story.wish("KILL"):  # another process must be there to go on
            settings.MEDIA_PROCESSES = max(settings.MEDIA_PROCESSES, 2)
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
            api = Api(key)
            story.play(console, api)
            if console.broken and story.wish("DEMO_EXIT"):
                raise CommandError("\n".join(["The demo broke its word:", *console.broken]))
            if not story.wish("DEMO_EXIT"):
                story.invite(console, api, key)
                while not stopping.wait(0.5) and not supervisor.orphaned():
                    pass
        except KeyboardInterrupt:
            console.line()
        except (StartError, DemoFailed, TimeoutError) as error:
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
