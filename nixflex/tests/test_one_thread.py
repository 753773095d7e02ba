import inspect
from collections.abc import Callable
from typing import Any

from django.conf import settings as project
from django.core.handlers.asgi import ASGIHandler

ran_as: list[str] = []


class Watching:
    """A middleware that can run either way, as Django's own can, and notes which it is."""

    async_capable = sync_capable = True

    def __init__(self, get_response: Callable[..., Any]) -> None:
        ran_as.append("async" if inspect.iscoroutinefunction(get_response) else "sync")


def test_middleware_above_the_last_one_stays_in_the_requests_thread(settings: Any):
    ran_as.clear()
    settings.MIDDLEWARE = [f"{__name__}.Watching"] * 2 + project.MIDDLEWARE[-1:]

    ASGIHandler()

    assert ran_as == ["sync", "sync"]


def test_it_is_the_last_one():
    assert project.MIDDLEWARE[-1] == "nixflex.one_thread.OneThreadMiddleware"
