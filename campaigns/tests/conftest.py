from typing import Any

import pytest
from django.test import Client

from accounts.factories import AccountFactory, api_client
from accounts.models import Account
from agents.factories import PhoneNumberFactory
from agents.models import PhoneNumber


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was enqueued, by name: nothing runs by itself here."""
    names: list[str] = []

    def send_task(name: str, *_: Any, **__: Any) -> None:
        names.append(name)

    monkeypatch.setattr("celery.current_app.send_task", send_task)
    return names


@pytest.fixture(autouse=True)
def _roomy(settings: Any) -> None:
    """Lines and pace that limit nothing unless a test says so."""
    settings.MAX_CONCURRENT_CALLS = 1000
    settings.TRANSCRIBER_SOCKETS = settings.VOICE_SOCKETS = 1000
    settings.INBOUND_RESERVED_CALLS = 0
    settings.CARRIER_CALLS_PER_SECOND = 1000.0


@pytest.fixture
def account() -> Account:
    return AccountFactory.create(max_concurrent_calls=100)


@pytest.fixture
def client(account: Account) -> Client:
    return api_client(account)


@pytest.fixture
def number(account: Account) -> PhoneNumber:
    return PhoneNumberFactory.create(account=account)
