"""The ASGI application: pages, the API and, in every process but a ``web`` one, media sockets.

``NIXFLEX_ROLE=web`` leaves the live engine out, so that a web process starts in half the time and
holds none of its memory. Development's ``runserver`` has no role and serves both.
"""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nixflex.settings")

from django.core.asgi import get_asgi_application

_django = get_asgi_application()

from nixflex import bodies, checks

checks.stop_if_unusable()

from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path, re_path

from sms import intake

django_application = bodies.limited(_django)


async def no_socket(_scope: Any, receive: Any, send: Any) -> None:
    """Refuse a socket at an address that has none; the peer sees HTTP 403."""
    await receive()
    await send({"type": "websocket.close", "code": 4404})


if os.environ.get("NIXFLEX_ROLE") == "web":
    # A text that comes in waits no longer than this behind the threads of pages (else 5 ms).
    sys.setswitchinterval(0.001)
routes: list[Any] = []
if os.environ.get("NIXFLEX_ROLE") != "web":
    from media.consumers import BrowserStreamConsumer, TwilioStreamConsumer
    from media.lifespan import lifespan

    routes.append(path("media/twilio/", TwilioStreamConsumer.as_asgi()))  # type: ignore[arg-type]
    routes.append(path("media/browser/", BrowserStreamConsumer.as_asgi()))  # type: ignore[arg-type]

routes.append(re_path("", no_socket))  # type: ignore[arg-type]


async def http(scope: Any, receive: Any, send: Any) -> None:
    """A carrier's texts, and its reports on ours, do not pay for what pages and the API need around
    a request."""
    application = intake.APPLICATIONS.get(scope["path"], django_application)
    await application(scope, receive, send)


protocols: dict[str, Any] = {"http": http, "websocket": URLRouter(routes)}
if len(routes) > 1:
    protocols["lifespan"] = lifespan
application = ProtocolTypeRouter(protocols)
