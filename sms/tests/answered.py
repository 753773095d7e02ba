"""Automatic answers to texts in tests: given when they are due, and what they say."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from sms import answering
from sms.models import Message, Thread


def answer_after(seconds: float) -> int:
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
        return answering.answer_due()


def with_meanwhile(
    monkeypatch: pytest.MonkeyPatch, of: Callable[..., Any], happens: Callable[[], object]
) -> None:
    """Let something happen each time that an answer has waited for ``of``."""
    answer = answering._answer

    def in_between(question: Any) -> Any:
        steps = answer(question)
        try:
            waits_for = next(steps)
            while True:
                try:
                    outcome = yield waits_for
                except Exception as failure:
                    waits_for = steps.throw(failure)
                    continue
                if waits_for.func is of:  # type: ignore[attr-defined]
                    happens()
                waits_for = steps.send(outcome)
        except StopIteration as over:
            return over.value

    monkeypatch.setattr(answering, "_answer", in_between)


def answers(thread: Thread) -> list[str]:
    found = thread.messages.filter(origin=Message.Origin.AUTO_REPLY).order_by("pk")
    return list(found.values_list("body", flat=True))
