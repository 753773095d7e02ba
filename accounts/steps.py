"""Work of several parts that must not stop each other."""

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)


def each_by_itself(*steps: Callable[[], object]) -> None:
    """Run all steps in order; one that fails is logged, and keeps no other from its work."""
    for step in steps:
        try:
            step()
        except Exception:
            logger.exception("%s.%s failed", step.__module__, step.__qualname__)
