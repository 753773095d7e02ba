"""Endpoints and what is sent to them, for tests."""

from factory.declarations import SelfAttribute, SubFactory
from factory.django import DjangoModelFactory

from accounts.factories import AccountFactory
from webhooks.models import Delivery, Endpoint, Event


class EndpointFactory(DjangoModelFactory[Endpoint]):
    """An account's own endpoint."""

    class Meta:
        model = Endpoint

    account = SubFactory(AccountFactory)
    url = "https://hooks.example.com/nixflex"


class EventFactory(DjangoModelFactory[Event]):
    class Meta:
        model = Event

    account = SubFactory(AccountFactory)
    type = "call.completed"
    subject = "call_0123456789abcdef"
    body = '{"event": "call.completed", "call_id": "call_0123456789abcdef"}'


class DeliveryFactory(DjangoModelFactory[Delivery]):
    """An event that is due at an endpoint of the same account."""

    class Meta:
        model = Delivery

    event = SubFactory(EventFactory)
    endpoint = SubFactory(EndpointFactory, account=SelfAttribute("..event.account"))
    begun_at = SelfAttribute("event.created_at")
    due_at = SelfAttribute("event.created_at")
