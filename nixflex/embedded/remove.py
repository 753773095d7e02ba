"""Deleting the embedded servers' data: ``python -m nixflex.embedded.remove FOLDER``."""

import shutil
import sys
from pathlib import Path

from . import places
from .places import EmbeddedError
from .users import SERVERS, Files, in_use


def remove(data_dir: Path | str) -> None:
    """Delete all data of both servers, wherever it lies. Raises EmbeddedError while they run."""
    where = places.find(data_dir)
    for name in SERVERS:
        if in_use(where.data_dir, name):
            raise EmbeddedError(f"The embedded {name} is running: stop what uses it first.")
    if where.home != where.data_dir:
        shutil.rmtree(where.home, ignore_errors=True)
        (where.data_dir / places.ELSEWHERE_MARKER).unlink(missing_ok=True)
    if where.run.parent != where.home:
        shutil.rmtree(where.run.parent, ignore_errors=True)
    for name in ("run", *SERVERS):
        shutil.rmtree(where.data_dir / name, ignore_errors=True)
    for name in SERVERS:
        for file in Files(where.data_dir, name).all():
            file.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        remove(sys.argv[1])
    except EmbeddedError as error:
        raise SystemExit(str(error)) from None
