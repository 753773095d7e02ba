"""A request that is sent twice places one call, whoever sends it and however it got lost."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone

from accounts import idempotency
from accounts.factories import ApiKeyFactory
from accounts.models import StoredAnswer
from accounts.tests.loopback import Handler, serving
from agents.factories import AgentFactory, PhoneNumberFactory
from agents.tests.outside import official_sdk
from calls.models import Call
from calls.outputs import placed
from conftest import PATIENCE_S

pytestmark = pytest.mark.django_db

TO = "+447386172392"


class Api:
    """An account with a key, an agent and a number; ``place`` asks for the same call each time."""

    def __init__(self) -> None:
        self.key: Any = ApiKeyFactory.create()
        self.agent = AgentFactory.create(account=self.key.account)
        self.number = PhoneNumberFactory.create(account=self.key.account, agent=self.agent)

    def place(
        self, key: str | None = None, *, path: str = "/v1/calls/outbound", **changes: Any
    ) -> Any:
        headers = {"Authorization": self.key.header}
        if key is not None:
            headers["Idempotency-Key"] = key
        if changes.pop("allow_duplicate", False):
            headers["X-Allow-Duplicate"] = "1"
        body = {"agent_id": self.agent.agent_id, "to_number": TO, "prompt": "Say hello."} | changes
        # False: an error that another thread's request meets is not this one's.
        return Client(raise_request_exception=False).post(
            path, json.dumps(body), content_type="application/json", headers=headers
        )


@pytest.fixture
def api() -> Api:
    return Api()


def is_replay(answer: Any) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


# --- with a key -----------------------------------------------------------------------------------


def test_the_same_key_gets_the_first_answer_for_a_day(api: Api):
    first = api.place("k1")

    with time_machine.travel(timezone.now() + timedelta(hours=23, minutes=59), tick=False):
        again = api.place("k1")

    assert (first.status_code, is_replay(first)) == (201, False)
    assert (again.status_code, is_replay(again)) == (201, True)
    assert again.content == first.content
    assert Call.objects.count() == 1


def test_a_key_is_new_after_a_day(api: Api):
    first = api.place("k1")

    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1), tick=False):
        again = api.place("k1")

    assert is_replay(again) is False
    assert again.json()["call_id"] != first.json()["call_id"]


def test_a_key_with_another_body_is_refused(api: Api):
    api.place("k1")

    other = api.place("k1", to_number="+447386172393")

    assert other.status_code == 409
    assert other.json()["error"]["code"] == "idempotency_key_reused"
    assert Call.objects.count() == 1


def test_two_keys_are_two_calls_however_alike(api: Api):
    api.place("k1")
    api.place("k2")

    assert Call.objects.count() == 2


def test_a_key_belongs_to_its_api_key(api: Api):
    api.place("k1")

    assert Api().place("k1").status_code == 201

    assert Call.objects.count() == 2


def test_the_order_of_the_fields_does_not_make_another_request(api: Api):
    api.place("k1", metadata={"a": 1, "b": 2})

    again = api.place("k1", metadata={"b": 2, "a": 1})

    assert is_replay(again)


@pytest.mark.parametrize("key", ["", " ", "x" * 256])
def test_a_key_that_cannot_be_one_is_refused(api: Api, key: str):
    answer = api.place(key)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_idempotency_key")
    assert Call.objects.count() == 0


def test_an_error_is_not_stored_so_the_key_can_be_used_again(api: Api):
    assert api.place("k1", to_number="nobody").status_code == 400

    answer = api.place("k1")

    assert (answer.status_code, is_replay(answer)) == (201, False)


@pytest.mark.django_db(transaction=True)
def test_a_copy_with_a_key_is_told_while_the_first_is_in_flight(api: Api):
    with transaction.atomic():
        idempotency._take_slot(*_slot_of_key(api, "k1"))

        answer = _in_a_thread(lambda: api.place("k1"))

    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "idempotency_key_in_flight"
    assert answer.headers["Retry-After"] == "1"
    assert Call.objects.count() == 0


# --- without a key --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/calls/outbound", "/v1/calls"])
def test_the_same_request_within_a_minute_is_a_copy(api: Api, path: str):
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        first = api.place(path=path)

    with time_machine.travel(start + timedelta(seconds=59), tick=False):
        again = api.place(path=path)

    assert (is_replay(first), is_replay(again)) == (False, True)
    assert again.json() == first.json()
    assert Call.objects.count() == 1


def test_the_minute_runs_from_the_first_arrival(api: Api):
    start = timezone.now()
    for seconds in (0, 40, 59, 61):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            api.place()

    assert Call.objects.count() == 2


def test_who_wants_a_duplicate_says_so(api: Api):
    api.place()

    answer = api.place(allow_duplicate=True)

    assert (answer.status_code, is_replay(answer)) == (201, False)
    assert Call.objects.count() == 2


def test_another_body_is_another_call(api: Api):
    api.place()
    api.place(to_number="+447386172393")

    assert Call.objects.count() == 2


def test_an_error_without_a_key_is_not_replayed(api: Api):
    agent = api.agent
    agent.is_active = False
    agent.save(update_fields=["is_active"])
    assert api.place().status_code == 404
    agent.is_active = True
    agent.save(update_fields=["is_active"])

    assert api.place().status_code == 201


@pytest.mark.django_db(transaction=True)
def test_copies_at_the_same_time_place_one_call(api: Api):
    def send(_: int) -> Any:
        try:
            return api.place()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, range(8)))

    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.json()["call_id"] for answer in answers}) == 1
    assert sum(not is_replay(answer) for answer in answers) == 1
    assert Call.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_copy_takes_the_place_of_a_first_that_failed(api: Api, monkeypatch):
    failing, second_arrived = threading.Event(), threading.Event()

    def fail_once(call: Call) -> Any:
        if failing.is_set():
            return placed(call)
        failing.set()
        second_arrived.wait(PATIENCE_S)
        raise RuntimeError("the process dies here")

    monkeypatch.setattr("calls.api.placed", fail_once)

    def first() -> Any:
        try:
            return api.place()
        finally:
            connections.close_all()

    def copy() -> Any:
        failing.wait(PATIENCE_S)
        threading.Thread(target=_set_when_somebody_waits, args=[second_arrived]).start()
        try:
            return api.place()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.submit(first), threads.submit(copy)

        assert one.result(PATIENCE_S).status_code == 500
        answer = other.result(PATIENCE_S)

    assert (answer.status_code, is_replay(answer)) == (201, False)
    assert Call.objects.get().call_id == answer.json()["call_id"]


def test_answers_are_unreadable_in_the_database_and_purged(api: Api):
    answer = api.place()
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM accounts_storedanswer")
        stored = cursor.fetchone()[0]
    assert answer.json()["call_id"] not in stored

    assert idempotency.purge() == 0
    assert idempotency.purge(timezone.now() + timedelta(seconds=61)) == 1

    assert StoredAnswer.objects.count() == 0


# --- the official client --------------------------------------------------------------------------


@dataclass
class SwallowingProxy:
    """Passes requests on, and drops the connection instead of the first answer."""

    url: str = ""
    passed: int = 0


@contextmanager
def swallowing_proxy(upstream: str) -> Iterator[SwallowingProxy]:
    proxy = SwallowingProxy()

    class Passing(Handler):
        def do_POST(self) -> None:
            link = HTTPConnection(urlsplit(upstream).netloc, timeout=PATIENCE_S)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            link.request("POST", self.path, self.body(), headers)
            answer = link.getresponse()
            content = answer.read()
            proxy.passed += 1
            if proxy.passed == 1:
                self.connection.close()
                return
            self.say(answer.status, content, {"Content-Type": "application/json"})

    with serving(Passing) as port:
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy


@pytest.mark.django_db(transaction=True)
def test_the_official_sdk_behind_a_proxy_that_swallows_the_answer_places_one_call(
    api: Api, live_server
):
    with swallowing_proxy(live_server.url) as proxy:
        client = official_sdk().Nixflex(api_key=api.key.credentials, base_url=proxy.url)

        answer = client.calls.create(agent_id=api.agent.agent_id, to_number=TO, prompt="Say hello.")

    assert proxy.passed == 2
    assert Call.objects.get().call_id == answer["call_id"]


def _slot_of_key(api: Api, key: str) -> tuple[Any, ...]:
    slot = hashlib.sha256(f"key:{key}".encode()).hexdigest()
    now = timezone.now()
    return api.key, slot, "0" * 64, now, now + timedelta(hours=24), 100


def _in_a_thread(work: Any) -> Any:
    def run() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result(PATIENCE_S)


def _set_when_somebody_waits(arrived: threading.Event) -> None:
    """Set ``arrived`` once a copy waits in the database for the first one's row."""
    deadline = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline:
            with connection.cursor() as cursor:
                # The server is shared with other runs of the tests, whose locks are not ours.
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                if cursor.fetchone()[0]:
                    break
            time.sleep(0.01)
    finally:
        arrived.set()
        connections.close_all()
