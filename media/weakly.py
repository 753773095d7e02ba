"""Callbacks that do not keep alive whom they call."""

from collections.abc import Callable
from weakref import WeakMethod


def weakly[**P](method: Callable[P, None]) -> Callable[P, None]:
    """Return a callback for a part of the method's own object.

    The two hold each other otherwise, and only a search for cycles would free them; an object that
    is gone is not called.
    """
    find = WeakMethod(method)

    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        if (alive := find()) is not None:
            alive(*args, **kwargs)

    return call
