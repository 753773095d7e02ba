#!/usr/bin/env python
"""Django's command line, with the embedded database and broker up while a command runs."""

import os
import sys

# Commands that touch no service start at once, also where none can run.
WITHOUT_SERVICES = {
    "help",
    "version",
    "--help",
    "--version",
    "check",
    "collectstatic",
    "makemessages",
}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nixflex.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line

    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    if command not in WITHOUT_SERVICES:
        from nixflex import checks, embedded

        checks.stop_if_unusable()
        try:
            embedded.ensure(
                settings.DATA_DIR,
                postgres=settings.EMBEDDED_POSTGRES,
                valkey=settings.EMBEDDED_VALKEY,
            )
        except embedded.EmbeddedError as error:
            raise SystemExit(str(error)) from None
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
