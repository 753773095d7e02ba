"""Automatic answers to texts in tests: given when they are due, and what they say."""

from datetime import timedelta

import time_machine
from django.utils import timezone

from sms import answering
from sms.models import Message, Thread


def answer_after(seconds: float) -> int:
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
        return answering.answer_due()


def answers(thread: Thread) -> list[str]:
    found = thread.messages.filter(origin=Message.Origin.AUTO_REPLY).order_by("pk")
    return list(found.values_list("body", flat=True))
