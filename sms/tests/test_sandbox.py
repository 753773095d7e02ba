"""Texting against the sandbox's carrier and model as processes, through the official SDK."""

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
import uvicorn
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.factories import ApiKeyFactory, CarrierAccountFactory
from accounts.suppression import is_suppressed
from agents.factories import PhoneNumberFactory
from agents.models import PhoneNumber
from agents.tests.outside import Sandbox, official_sdk, running_sandbox
from carriers import twilio
from conftest import PATIENCE_S
from sms import answering, sending, statuses, tasks
from sms.models import Message, MessagePart
from sms.segments import size_of

pytestmark = pytest.mark.django_db(transaction=True)
sdk = official_sdk()

OURS = "+447446466847"
THEIRS = "+12025550120"


@pytest.fixture(scope="module")
def _process() -> Iterator[Sandbox]:
    with running_sandbox("carrier", "model") as sandbox:
        yield sandbox


@pytest.fixture
def web() -> Iterator[str]:
    """The web process' own server, where Django's knows nothing of what stands before Django."""
    listening = socket.create_server(("127.0.0.1", 0))
    application = import_string(settings.ASGI_APPLICATION)
    server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_config=None))
    serving = threading.Thread(target=server.run, args=([listening],))
    serving.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    serving.join()


@pytest.fixture
def outside(_process: Sandbox, web: str, settings: Any) -> Iterator[Sandbox]:
    settings.TWILIO_API_URL = settings.ANTHROPIC_API_URL = _process.url
    settings.PUBLIC_URL = web
    settings.SMS_PER_NUMBER_PER_SECOND = 100
    yield _process
    ask(_process, "DELETE", "/_sandbox/faults")


@pytest.fixture
def number(outside: Sandbox) -> PhoneNumber:
    carrier = CarrierAccountFactory.create(sid=outside.sid, auth_token=outside.token)
    number = PhoneNumberFactory.create(
        account=carrier.account,
        carrier_account=carrier,
        phone_number=OURS,
        agent__system_prompt=(
            "You are Mia, the assistant of Bright Smile Dental in Camden.\n"
            "A check-up takes half an hour and costs 40 pounds. Parking is behind the building."
        ),
        agent__language="en",
    )
    account = twilio.Account(outside.sid, outside.token)
    owned = twilio.find_number(account, OURS)
    assert owned is not None
    twilio.point_number_at(
        account,
        owned.sid,
        voice_url="",
        status_url="",
        sms_url=f"{settings.PUBLIC_URL}/twilio/sms/",
    )
    return number


@pytest.fixture
def nixflex(number: PhoneNumber, web: str) -> Iterator[Any]:
    key = ApiKeyFactory.create(account=number.account)
    credentials = f"{key.key_id}:{key.secret}"
    with sdk.Nixflex(api_key=credentials, base_url=web, max_retries=0) as client:
        yield client


def ask(sandbox: Sandbox, method: str, path: str, body: Any = None) -> None:
    request = urllib.request.Request(
        sandbox.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S):
        pass


def person_texts(sandbox: Sandbox, body: str) -> None:
    ask(sandbox, "POST", "/_sandbox/messages", {"from": THEIRS, "to": OURS, "body": body})


def until(holds: Callable[[], bool]) -> None:
    """Wait, as a worker that takes in what comes."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        tasks.take_in()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def text(nixflex: Any, number: PhoneNumber, body: str, to: str = THEIRS) -> str:
    assert number.agent is not None
    answer = nixflex.sms.send(number.agent.agent_id, OURS, to, body)
    return str(answer["message_id"])


def status_of(message_id: str) -> str:
    return Message.objects.get(message_id=message_id).status


def test_a_text_its_answer_and_a_stop(nixflex: Any, number: PhoneNumber, outside: Sandbox):
    message_id = text(nixflex, number, "Your check-up is tomorrow at 2 pm.")
    sending.send_due()
    until(lambda: status_of(message_id) == "delivered")

    person_texts(outside, "How much does the check-up cost?")
    until(lambda: Message.objects.filter(reply="pending").exists())
    with time_machine.travel(timezone.now() + timedelta(seconds=5)):
        assert answering.answer_due() == 1
        assert sending.send_due() == 1
    answer = Message.objects.get(origin="auto_reply")
    assert "40 pounds" in answer.body
    until(lambda: status_of(answer.message_id) == "delivered")

    person_texts(outside, "STOP")
    until(lambda: is_suppressed(number.account, THEIRS, "voice") is not None)
    with pytest.raises(sdk.NixflexError) as refusal:
        text(nixflex, number, "One more thing.")
    assert (refusal.value.status, refusal.value.code) == (403, "recipient_unsubscribed")

    person_texts(outside, "START")
    until(lambda: is_suppressed(number.account, THEIRS, "voice") is None)
    again = text(nixflex, number, "Welcome back.")
    until(lambda: sending.send_due() == 1)
    until(lambda: status_of(again) == "delivered")


def test_a_late_failure_is_told(nixflex: Any, number: PhoneNumber):
    message_id = text(nixflex, number, "Hello", to="+15005553007")

    sending.send_due()

    until(lambda: status_of(message_id) == "undelivered")
    assert Message.objects.get(message_id=message_id).error_code == 30007


@pytest.mark.parametrize("how", ["reset", "500"])
def test_a_text_whose_answer_was_lost_is_sent_once(
    nixflex: Any, number: PhoneNumber, outside: Sandbox, how: str
):
    faults = {"create_message": {"lose_answer": how, "count": 1}, "callbacks": {"drop": 1.0}}
    ask(outside, "PUT", "/_sandbox/faults", faults)
    message_id = text(nixflex, number, f"Lost by {how}, {timezone.now()}")

    sending.send_due()
    assert MessagePart.objects.get().status == "unknown"
    sending.send_due()
    sending.reconcile()
    part = MessagePart.objects.get()
    account = twilio.Account(outside.sid, outside.token)
    until(lambda: twilio.fetch_message(account, part.carrier_sid).status == "delivered")
    assert status_of(message_id) != "delivered"  # nobody told us
    with time_machine.travel(timezone.now() + statuses.ASK_EVERY + timedelta(seconds=1)):
        assert statuses.ask_about_silent() == 1
    assert status_of(message_id) == "delivered"

    seen = twilio.list_messages(account, THEIRS, OURS, timezone.now() - timedelta(minutes=5))
    assert [one.sid for one in seen if one.body == part.body] == [part.carrier_sid]


def test_callbacks_that_are_doubled_and_late_end_in_the_truth(
    nixflex: Any, number: PhoneNumber, outside: Sandbox
):
    ask(outside, "PUT", "/_sandbox/faults", {"callbacks": {"double": 1.0, "reorder": 0.7}})
    sent = [text(nixflex, number, f"Text {which} of {timezone.now()}") for which in range(5)]

    until(lambda: not (sending.send_due() or MessagePart.objects.unsent().exists()))

    until(lambda: all(status_of(message_id) == "delivered" for message_id in sent))


def test_we_count_segments_as_the_carrier_does(number: PhoneNumber, outside: Sandbox):
    import requests

    corpus = ["a" * n for n in (160, 161, 306, 307)] + ["€" * 80, "€" * 81, "€" * 153]
    corpus += ["😀" * 35, "😀" * 36, "😀" * 67, "’" + "a" * 69, "’" + "a" * 70, "ñ[]{}" * 40]
    url = f"{outside.url}/2010-04-01/Accounts/{outside.sid}/Messages.json"

    for body in corpus:
        answer = requests.post(
            url,
            data={"To": THEIRS, "From": OURS, "Body": body},
            auth=(outside.sid, outside.token),
            timeout=PATIENCE_S,
        )
        assert int(answer.json()["num_segments"]) == size_of(body).segments
