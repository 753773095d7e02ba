"""The ASGI application of web and media processes, which differ only in the port they have."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nixflex.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from nixflex import checks

checks.stop_if_unusable()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from media.consumers import TwilioStreamConsumer

application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": URLRouter(
            [path("media/twilio/", TwilioStreamConsumer.as_asgi())]  # type: ignore[arg-type, list-item]
        ),
    }
)
