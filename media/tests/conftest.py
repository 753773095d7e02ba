"""Providers on loopback for calls with sound."""

from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from media.tests.providers_side import Providers, be_patient


@pytest.fixture
async def providers(settings, tmp_path, monkeypatch) -> AsyncIterator[Providers]:
    be_patient(monkeypatch)
    side = Providers()
    await side.server.start_server()
    settings.DEEPGRAM_API_URL = settings.ANTHROPIC_API_URL = settings.TWILIO_API_URL = side.url
    settings.DEEPGRAM_API_KEY = settings.ANTHROPIC_API_KEY = "key"
    settings.RECORDINGS_DIR = tmp_path
    yield side
    await side.server.close()
    await sync_to_async(connections.close_all)()
