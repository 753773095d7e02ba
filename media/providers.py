"""Process-wide clients of the speech service and the model: one connection pool each, per event
loop.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakKeyDictionary

import httpx2
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient, Timeout
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from django.conf import settings

from media import speech_tls

# A caller waits: no answer within these is a failure, not a delay.
MODEL_TIMEOUT = Timeout(20.0, connect=3.0, read=6.0)
SPEECH_REST_TIMEOUT_S = 8.0
MODEL_CONNECTIONS = httpx2.Limits(
    max_connections=1_000, max_keepalive_connections=100, keepalive_expiry=90.0
)

Client = TypeVar("Client")
_speech: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncDeepgramClient] = WeakKeyDictionary()
_models: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncAnthropic] = WeakKeyDictionary()


def _once[Client](
    clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, Client]", make: Callable[[], Client]
) -> Client:
    loop = asyncio.get_running_loop()
    if loop not in clients:
        clients[loop] = make()
    return clients[loop]


def speech_client() -> AsyncDeepgramClient:
    return _once(_speech, _make_speech)


def model_client() -> AsyncAnthropic:
    return _once(_models, _make_model)


def speech_environment() -> DeepgramClientEnvironment:
    """``DEEPGRAM_API_URL`` in the SDK's terms."""
    base = settings.DEEPGRAM_API_URL.rstrip("/")
    parts = urlsplit(base)
    sockets = urlunsplit(parts._replace(scheme="wss" if parts.scheme == "https" else "ws"))
    return DeepgramClientEnvironment(base=base, production=sockets, agent=sockets, agent_rest=base)


def _make_speech() -> AsyncDeepgramClient:
    environment = speech_environment()
    speech_tls.share()
    if environment.base.startswith("https:"):
        speech_tls.context()  # now, rather than while somebody talks
    client = AsyncDeepgramClient(
        api_key=settings.DEEPGRAM_API_KEY, environment=environment, timeout=SPEECH_REST_TIMEOUT_S
    )
    # For every request and socket the SDK reads its own version from the disk anew.
    wrapper = client._client_wrapper
    wrapper.get_headers = wrapper.get_headers().copy  # type: ignore[method-assign]
    return client


def _make_model() -> AsyncAnthropic:
    return AsyncAnthropic(
        api_key=settings.ANTHROPIC_API_KEY,
        base_url=settings.ANTHROPIC_API_URL,
        timeout=MODEL_TIMEOUT,
        # A caller may think for longer than the 5 s for which connections are kept by default, and
        # would then wait for a new one.
        http_client=DefaultAsyncHttpxClient(limits=MODEL_CONNECTIONS),
        max_retries=0,  # the conversation decides whether a second try still makes sense
    )
