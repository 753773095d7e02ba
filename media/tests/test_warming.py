"""What a media process does before its first call."""

import gc
from collections.abc import Iterator

import httpx2
import pytest

from agents.model import ModelFailed
from media import garbage, warming
from media.providers import model_client, speech_client
from media.tests.providers_side import Providers


@pytest.fixture(autouse=True)
def _as_before(settings) -> Iterator[None]:
    settings.DEEPGRAM_API_KEY = settings.ANTHROPIC_API_KEY = "key"
    settings.DEEPGRAM_API_URL = settings.ANTHROPIC_API_URL = "http://127.0.0.1:1"
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


async def test_what_was_loaded_is_kept_from_the_garbage_collector():
    await warming.warm_up()

    assert gc.get_freeze_count() > 100_000
    assert gc.get_threshold()[0] == garbage.OBJECTS_BETWEEN_COLLECTIONS


async def test_a_model_that_cannot_be_reached_does_not_stop_the_start(caplog):
    await warming.connect_model()

    assert "no connection to the model" in caplog.text


async def test_the_answer_from_memory_is_read_like_the_services():
    assert await warming._load_model() == "Hello."


async def test_a_failure_of_the_model_is_read_ahead_as_well(monkeypatch):
    read, statuses = warming._read, []

    async def note(answer: httpx2.Response) -> str:
        statuses.append(answer.status_code)
        return await read(answer)

    monkeypatch.setattr(warming, "_read", note)
    await warming._load_model()

    assert statuses == [529, 200]
    with pytest.raises(ModelFailed, match="overloaded_error"):
        await read(httpx2.Response(529, json=warming._OVERLOADED))


async def test_a_request_to_the_speech_service_reads_no_version_from_the_disk(monkeypatch):
    headers = speech_client()._client_wrapper.get_headers()
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "another")

    again = speech_client()._client_wrapper.get_headers()

    assert again == headers
    assert again is not headers
    assert again["Authorization"] == "Token key"
    assert again["User-Agent"].startswith("deepgram-sdk/")
    assert model_client().api_key == "key"


async def test_a_call_finds_the_model_connected_even_after_a_pause(settings, monkeypatch):
    side = Providers()
    await side.server.start_server()
    settings.ANTHROPIC_API_URL = side.url

    await warming.keep_model_connected()
    await warming.keep_model_connected()
    assert side.models_listed == 1

    monkeypatch.setattr(warming, "CONNECTED_FOR_S", 0.0)  # a minute later
    await warming.keep_model_connected()
    assert side.models_listed == 2
    await side.server.close()
