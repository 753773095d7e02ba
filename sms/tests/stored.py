"""What a test finds stored of a conversation by text."""

from agents.models import PhoneNumber
from sms.factories import PERSON
from sms.models import Message, Thread


def newest(thread: Thread) -> Message:
    message = thread.messages.inbound().newest_first().first()
    assert message is not None
    return message


def thread_of(number: PhoneNumber) -> Thread:
    return Thread.objects.get(our_number=number.phone_number, their_number=PERSON)
