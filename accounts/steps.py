"""Work of several parts that must not stop each other."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def by_itself(what: str) -> Iterator[None]:
    """Log what fails within, and go on behind it: one row's trouble must not keep those after it
    from being served. ``what`` names the work in the log, rows by their key."""
    try:
        yield
    except Exception:
        logger.exception("%s failed", what)


def each_by_itself(*steps: Callable[[], object]) -> None:
    """Run all steps in order; one that fails is logged, and keeps no other from its work."""
    for step in steps:
        with by_itself(f"{step.__module__}.{step.__qualname__}"):
            step()
