"""What a telephone company still knows after a restart: its numbers' ids and where they lead."""

import json
import logging
from pathlib import Path

from .state import Account

log = logging.getLogger("sandbox")


def restore(account: Account, file: Path) -> None:
    """Give the account's numbers the ids and settings of an earlier run, if ``file`` has them."""
    try:
        kept = json.loads(file.read_text())
        for phone_number, number in account.numbers.items():
            if known := kept.get(phone_number):
                number.sid, number.settings = str(known["sid"]), dict(known["settings"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("%s is not readable, the numbers begin anew: %r", file, error)


def keep(account: Account, file: Path) -> None:
    """Write down the ids and settings of the account's numbers; whole, or not at all."""
    known = {
        phone_number: {"sid": number.sid, "settings": number.settings}
        for phone_number, number in account.numbers.items()
        if number.settings
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_suffix(".new")
    written.write_text(json.dumps(known, indent=1))
    written.replace(file)
