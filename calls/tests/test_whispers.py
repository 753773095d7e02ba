"""What a colleague hears before a warm transfer."""

import io
import wave
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from agents.tests.model_side import ModelServer
from agents.tests.twilio_side import knock
from calls import nudges, tasks, transfers, whispers
from calls.factories import TransferFactory, TurnFactory
from calls.models import Transfer
from calls.tests.speech_side import SpeechServer, running_speech

pytestmark = pytest.mark.django_db

BRIEF = "Sarah Bell wants to move her check-up."


@pytest.fixture
def model(model: ModelServer) -> ModelServer:
    model.answers = [{"written": BRIEF}]
    return model


@pytest.fixture
def speech(settings: Any) -> Iterator[SpeechServer]:
    with running_speech() as server:
        settings.DEEPGRAM_API_URL = server.url
        yield server


def ringing(**fields: Any) -> Transfer:
    return TransferFactory.create(rings=True, warm=True, **fields)


def picks_up(transfer: Transfer, query: str = "") -> HttpResponse:
    call = transfer.call
    return knock(
        "transfer/whisper",
        call.number,
        query=query or f"?t={transfer.token}",
        ParentCallSid=call.carrier_sid,
        CallSid="CA" + "7" * 32,
        CallStatus="in-progress",
    )


def verbs(answer: HttpResponse) -> dict[str, str]:
    return {verb.tag: str(verb.text) for verb in ElementTree.fromstring(answer.content)}


def test_a_warm_transfer_has_its_whisper_prepared_while_it_rings(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
):
    sent: list[tuple[str, Any]] = []
    monkeypatch.setattr(
        "celery.current_app.send_task", lambda name, **about: sent.append((name, about["args"]))
    )
    call = TransferFactory.create(failed=True, number=1).call

    with django_capture_on_commit_callbacks(execute=True):
        transfer = transfers.ask(
            call.pk, generation=1, to_number="+442087601234", kind="warm", after_turn=0
        )

    assert transfer is not None
    assert sent == [(nudges.PREPARE_WHISPER, [transfer.pk])]


def test_the_agents_own_words_are_spoken_in_its_voice(model: ModelServer, speech: SpeechServer):
    transfer = ringing(
        call__agent__transfer_whisper="About {{topic}}.", call__variables={"topic": "a bill"}
    )

    tasks.prepare_whisper(transfer.pk)
    answer = picks_up(transfer)

    [(query, text)] = speech.requests
    assert (text, query["model"], query["encoding"]) == (
        "About a bill.",
        "aura-2-thalia-en",
        "linear16",
    )
    assert model.requests == []
    said = verbs(answer)
    assert list(said) == ["Play", "Redirect"]
    assert said["Redirect"].endswith(f"/twilio/transfer/joined/?t={transfer.token}")
    address = urlsplit(said["Play"])
    audio = Client().get(f"{address.path}?{address.query}")
    with wave.open(io.BytesIO(audio.content)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        assert sound.readframes(9_999) == speech.SAMPLES
    transfer.refresh_from_db()
    assert transfer.status == "whispering"


def test_without_any_the_model_sums_the_call_up(model: ModelServer, speech: SpeechServer):
    transfer = ringing()
    TurnFactory.create(call=transfer.call, sequence=1, role="caller", text="It's Sarah Bell.")

    tasks.prepare_whisper(transfer.pk)

    assert model.prompt() == "Caller: It's Sarah Bell."
    assert "one or two short sentences in English" in model.requests[0]["system"][0]["text"]
    transfer.refresh_from_db()
    assert BRIEF in transfer.whisper
    assert speech.requests[0][1] == transfer.whisper


def test_where_the_model_fails_plain_words_do(model: ModelServer, speech: SpeechServer):
    model.answers = [529]
    transfer = ringing()
    TurnFactory.create(call=transfer.call, sequence=1, role="caller", text="It's Sarah Bell.")

    tasks.prepare_whisper(transfer.pk)

    assert len(model.requests) == 1  # a colleague is about to pick up: no second try
    assert speech.requests[0][1] == "Hello. I am putting a caller through to you."


@pytest.mark.parametrize(
    ("language", "words", "locale"),
    [("de", "Ein Anruf.", b"de-DE"), ("en-GB", "A call.", b"en-US"), ("ar", "مكالمة.", b"arb")],
)
def test_where_the_voice_fails_the_carriers_own_says_it(
    speech: SpeechServer, language: str, words: str, locale: bytes
):
    speech.status = 500
    transfer = ringing(call__agent__transfer_whisper=words, call__agent__language=language)

    tasks.prepare_whisper(transfer.pk)
    answer = picks_up(transfer, f"?t={transfer.token}&w=4")

    assert verbs(answer)["Say"] == words
    assert b'language="%s"' % locale in answer.content


def test_a_colleague_who_is_quicker_than_the_worker_waits_four_seconds_at_most():
    transfer = ringing()

    answers = [picks_up(transfer)]
    while "Pause" in verbs(answers[-1]):
        query = urlsplit(verbs(answers[-1])["Redirect"]).query
        answers.append(picks_up(transfer, f"?{query}"))

    assert len(answers) == 5
    assert verbs(answers[-1])["Say"] == "Hello. I am putting a caller through to you."


def test_a_whisper_is_not_prepared_for_a_transfer_that_is_settled(speech: SpeechServer):
    transfer = TransferFactory.create(failed=True, warm=True)

    tasks.prepare_whisper(transfer.pk)
    tasks.prepare_whisper(transfer.pk + 1)

    assert speech.requests == []
    assert whispers.audio_url(transfer) is None


def test_the_audio_is_behind_a_signature_that_expires(speech: SpeechServer):
    transfer = ringing(call__agent__transfer_whisper="About a bill.")
    whispers.prepare(transfer.pk)
    address = urlsplit(str(whispers.audio_url(transfer)))
    path = f"{address.path}?{address.query}"

    assert Client().get(path).status_code == 200
    assert Client().get(f"{address.path}?s={transfer.pk}").status_code == 404
    assert Client().get(path + "x").status_code == 404
    with time_machine.travel(timezone.now() + timedelta(seconds=121), tick=False):
        assert Client().get(path).status_code == 404
