import pytest
from django.test import Client

from accounts.factories import api_client
from agents.factories import PhoneNumberFactory
from agents.models import PhoneNumber
from agents.tests.fixtures import carrier as carrier
from agents.tests.fixtures import carrier_process as carrier_process


@pytest.fixture
def number() -> PhoneNumber:
    return PhoneNumberFactory.create()


@pytest.fixture
def client(number: PhoneNumber) -> Client:
    """Who calls the API for the account that ``number`` belongs to."""
    return api_client(number.account)
